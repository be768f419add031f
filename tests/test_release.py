"""A release can be made: the wheel runs alone, and whatever names a version or a dependency names the same one."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from steadygrad import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEPENDENCIES = [Requirement(one) for one in PROJECT["project"]["dependencies"]]
TOOLS = ("build", "twine", "check-wheel-contents", "hatchling")
ON_CONDA = {"torch": "pytorch"}
"""Names that differ there."""


def missing(*names: str) -> list[str]:
    have = {one.metadata["Name"].lower().replace("_", "-") for one in metadata.distributions()}
    return [name for name in names if name not in have]


def lowest(requirement: Requirement) -> Version:
    """The version that it begins with; that is all that a dependency of ours says."""
    (bound,) = requirement.specifier
    assert bound.operator == ">=", requirement
    return Version(bound.version)


@pytest.mark.long
@pytest.mark.skipif(bool(missing(*TOOLS)), reason="the group dist is not installed; make dist installs it")
def test_the_sdist_and_the_wheel_are_sound_and_the_wheel_runs_alone(tmp_path: Path) -> None:
    """Beside the wheel the environment has what its metadata names, linked from here, and nothing else."""
    command = ["bash", str(ROOT / "recipe" / "dist.sh"), sys.executable, str(tmp_path / "dist")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LEND": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"steadygrad, version {__version__}" in done.stdout
    assert "SG102  saturated-activation" in done.stdout and "healthy, if the loss is cross-entropy" in done.stdout
    wheel, source = sorted((tmp_path / "dist").iterdir(), key=lambda path: path.suffix, reverse=True)
    assert (wheel.name, source.name) == (
        f"steadygrad-{__version__}-py3-none-any.whl",
        f"steadygrad-{__version__}.tar.gz",
    )
    with zipfile.ZipFile(wheel) as file:
        inside = set(file.namelist())
    package = ROOT / "src" / "steadygrad"
    assert {
        f"steadygrad/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    } <= inside


def test_what_is_lent_to_the_wheel_is_what_it_names() -> None:
    """A dependency that pyproject.toml forgets is not there, and the run above fails."""
    needed = runpy.run_path(str(ROOT / "recipe" / "lend.py"))["needed"]
    everything = set(needed(PROJECT["project"]["dependencies"]))
    assert {one.name for one in DEPENDENCIES} <= everything
    assert "pytest" not in everything and "steadygrad" not in everything
    assert "psutil" not in needed([str(one) for one in DEPENDENCIES if one.name != "psutil"])


def test_the_version_is_the_same_wherever_it_stands() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    assert citation["version"] == recipe["context"]["version"] == __version__


def test_the_conda_recipe_renders_to_this_package() -> None:
    """By rattler-build itself, which refuses a key or a value that it does not know."""
    rattler = pytest.importorskip("rattler_build", reason="the group dist is not installed; make dist installs it")
    stage = rattler.Stage0Recipe.from_file(str(ROOT / "recipe" / "recipe.yaml"))
    (variant,) = stage.render(rattler.VariantConfig())
    recipe = variant.recipe.to_dict()
    assert (recipe["package"]["name"], recipe["package"]["version"]) == ("steadygrad", __version__)
    python = f"python {PROJECT['project']['requires-python']}"
    named = {f"{ON_CONDA.get(one.name, one.name)} {one.specifier}" for one in DEPENDENCIES}
    assert set(recipe["requirements"]["run"]) == {python, *named}
    to_build = {f"{one.name} {one.specifier}" for one in map(Requirement, PROJECT["build-system"]["requires"])}
    assert set(recipe["requirements"]["host"]) == {python, "pip", *to_build}
    commands = [f"{name} = {target}" for name, target in PROJECT["project"]["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == commands
    assert recipe["about"]["license"] == PROJECT["project"]["license"]
    assert {*PROJECT["project"]["license-files"]} == {*recipe["about"]["license_file"]}


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    rattler = pytest.importorskip("rattler_build", reason="the group dist is not installed; make dist installs it")
    text = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(text.replace("  run:\n", "  runs:\n"), encoding="utf-8")
    with pytest.raises(rattler.RattlerBuildError):
        rattler.Stage0Recipe.from_file(str(tmp_path / "recipe.yaml"))


def test_the_oldest_releases_are_the_lower_bounds_of_the_dependencies() -> None:
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    found = {}
    for pin in pins:
        (bound,) = pin.specifier
        assert bound.operator == "==" and pin.name not in found, pin
        found[pin.name] = Version(bound.version)
    assert found == {one.name: lowest(one) for one in DEPENDENCIES}


def test_an_extra_asks_for_the_same_as_the_group_that_tests_it() -> None:
    """Where both name a package, so that what is tested is what is promised."""
    groups = PROJECT["dependency-groups"]
    tested = {
        one.name: one.specifier
        for text in (*groups["tests"], *groups["dev"])
        if isinstance(text, str)
        for one in [Requirement(text)]
    }
    promised = [Requirement(text) for texts in PROJECT["project"]["optional-dependencies"].values() for text in texts]
    # Beside torch's CPU build the torchvision that timm needs does not load, so its tests run where it is installed by hand.
    promised = [one for one in promised if one.name != "timm"]
    assert {one.name for one in promised} <= set(tested)
    assert {one.name: one.specifier for one in promised} == {one.name: tested[one.name] for one in promised}
