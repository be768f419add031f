"""What CI runs: the action's script in a plain shell, its file, the problem matcher, the pre-commit hook."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from steadygrad.report import FORMATS, render
from tests.cli.test_check import SICK, WELL
from tests.report import records

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A checkout with two models, and the command as an installed one would be."""
    (tmp_path / "sick.py").write_text(SICK)
    (tmp_path / "well.py").write_text(WELL)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "steadygrad"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m steadygrad "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(job: Path, targets: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{job / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(job / "summary.md"),
        "STEADYGRAD_TARGETS": targets,
        "STEADYGRAD_RESULTS": "results",
        **more,
    }
    script = str(ROOT / "action" / "run.sh")
    return subprocess.run(["bash", script], cwd=job, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_the_script_annotates_uploads_and_sums_up(job: Path) -> None:
    pytest.importorskip("sarif_pydantic")
    done = run(job, "sick.py:Net\nwell.py:build", STEADYGRAD_ARGS="--trial 10")
    assert done.returncode == 1, done.stderr
    assert "::error file=sick.py,line=14," in done.stdout
    for number in (1, 2):
        (log,) = json.loads((job / "results" / f"{number}.sarif").read_text())["runs"]
        assert bool(log["results"]) == (number == 1)
    summary = (job / "summary.md").read_text()
    assert summary.count("### steadygrad") == 2
    assert "    error[SG102]" in summary and "torch.sigmoid(fc(x))" in summary


@pytest.mark.long
def test_the_worst_exit_code_wins_and_a_target_that_fails_is_named(job: Path) -> None:
    pytest.importorskip("sarif_pydantic")
    done = run(job, "nope.py well.py:build", STEADYGRAD_ARGS="--trial 0")
    assert done.returncode == 2
    assert "nope.py" in done.stderr and "::error title=steadygrad::could not check" in done.stdout
    assert "nope.py: could not be checked" in (job / "summary.md").read_text()


def test_no_target_is_an_error(job: Path) -> None:
    done = run(job, "  ")
    assert done.returncode == 2 and "no target" in done.stdout


def test_the_action_hands_every_input_to_the_script() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    install, check, upload = action["runs"]["steps"]
    used = " ".join(map(str, [*install.values(), *check["env"].values(), *upload.values()]))
    for name in action["inputs"]:
        assert f"inputs.{name}" in used
    script = (ROOT / "action" / "run.sh").read_text()
    for variable in check["env"]:
        assert variable in script
    # What a user writes reaches the shell as a variable, never as a part of its text.
    assert all("${{" not in step.get("run", "") for step in (install, check))


def test_the_problem_matcher_reads_concise_lines() -> None:
    (matcher,) = json.loads((ROOT / "action" / "problem-matcher.json").read_text())["problemMatcher"]
    (pattern,) = matcher["pattern"]
    lines = render(records.vanishing(), "concise").split("\n")
    found = [match for line in lines if (match := re.match(pattern["regexp"], line))]
    assert len(found) == 3
    first = {name: found[0][group] for name, group in pattern.items() if name != "regexp"}
    assert (first["file"], first["line"], first["column"]) == ("net.py", "9", "17")
    assert (first["severity"], first["code"]) == ("error", "SG102")
    assert found[2][pattern["severity"]] == "warning"


def test_the_hook_runs_a_command_that_there_is() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "steadygrad check" and hook["pass_filenames"] is False and hook["language"] == "system"


def test_the_page_uses_what_there_is() -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    workflow, hooks = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL))
    (used,) = [step["with"] for step in workflow["steps"] if "steadygrad" in step.get("uses", "")]
    assert set(used) <= set(yaml.safe_load((ROOT / "action.yml").read_text())["inputs"])
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [one["id"] for one in hooks["repos"][0]["hooks"]] == [hook["id"]]
    formats = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    assert formats == set(FORMATS)
