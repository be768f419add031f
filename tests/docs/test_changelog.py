"""The fragments of changelog.d make a page, and a release moves them into the changelog and loses nothing of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from steadygrad import __version__
from tests.docs.test_readme import commands, parse

pytest.importorskip("towncrier", reason="towncrier is not installed; the group dev has it")

ROOT = Path(__file__).parents[2]
FRAGMENTS = sorted(path for path in (ROOT / "changelog.d").glob("*.md") if path.name != "README.md")


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "towncrier", "build", "--date", "2030-01-01", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What a release reads and writes, outside of the repository."""
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "changelog.d", tmp_path / "changelog.d")
    (tmp_path / "src" / "steadygrad").mkdir(parents=True)
    (tmp_path / "src" / "steadygrad" / "__init__.py").write_text(f'__version__ = "{__version__}"\n')
    return tmp_path


def test_the_fragments_make_a_page_of_this_version() -> None:
    done = build(ROOT, "--draft")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"## {__version__} (2030-01-01)" in done.stdout
    for path in FRAGMENTS:
        assert path.read_text(encoding="utf-8").splitlines()[0] in done.stdout


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_is_short_and_of_whole_sentences(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.name.startswith("+"), "the name begins with + and a word"
    assert text.endswith(".\n") and len(text.splitlines()) <= 4 and max(map(len, text.splitlines())) <= 130
    for line in commands(text):
        parse(line)


def test_a_release_moves_the_fragments_into_the_changelog_and_keeps_the_rest(project: Path) -> None:
    (project / "changelog.d" / "+twice.fixed.md").write_text("A step is counted once.\n")
    before = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    head, _, rest = before.partition("<!-- released -->\n")
    done = build(project, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    after = (project / "CHANGELOG.md").read_text(encoding="utf-8")
    assert after.startswith(f"{head}<!-- released -->\n") and after.rstrip().endswith(rest.strip())
    added = after.removeprefix(head).removesuffix(rest)
    assert f"## {__version__} (2030-01-01)" in added
    assert "\n- A step is counted once.\n" in added.partition("### Fixed\n")[2]
    assert [path.name for path in (project / "changelog.d").iterdir()] == ["README.md"]


def test_a_fragment_of_another_kind_is_refused(project: Path) -> None:
    (project / "changelog.d" / "+word.mended.md").write_text("Something.\n")
    done = build(project, "--draft")
    assert done.returncode == 1 and "Invalid news fragment name: +word.mended.md" in done.stdout + done.stderr
