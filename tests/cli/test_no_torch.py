"""What needs no torch does not import it; the twin shows that the test can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.journal.runs import whole
from tests.report.records import vanishing

RUN = """
import sys
from steadygrad.cli import main
code = main(sys.argv[1:])
sys.stderr.write("torch imported" if "torch" in sys.modules else "no torch")
sys.exit(code)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["check", "--help"],
        ["show", "--help"],
        ["watch", "--help"],
        ["mcp", "--help"],
        ["rules"],
        ["explain", "SG102"],
        ["cures"],
        ["cures", "fold"],
        ["activations", "relu"],
        ["lab"],
        ["lab", "explain", "depth-product"],
        ["lab", "run", "--help"],
    ],
    ids=" ".join,
)
def test_without_torch(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert done.stderr == "no torch"
    assert done.stdout


@pytest.mark.long
def test_a_saved_report_is_shown_without_torch(tmp_path: Path) -> None:
    saved = tmp_path / "report.json"
    saved.write_text(vanishing().to_json())
    for form in ("text", "concise", "github", "junit", "agent", "html", "json"):
        done = run("report", str(saved), "--output-format", form)
        assert (done.returncode, done.stderr) == (0, "no torch")


@pytest.mark.long
def test_a_journal_is_shown_and_watched_without_torch(tmp_path: Path) -> None:
    journal = str(whole(tmp_path / "run.sgj"))
    for form in ("text", "json", "csv", "parquet"):
        done = run("show", journal, "--output-format", form, "--output-file", str(tmp_path / form))
        assert (done.returncode, done.stderr) == (0, "no torch")
    for arguments in (["show", journal], ["watch", journal]):
        done = run(*arguments)
        assert (done.returncode, done.stderr) == (0, "no torch")
        assert done.stdout


@pytest.mark.long
def test_check_does_import_it(tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text("from torch import nn\n\nmodel = nn.Linear(4, 2)\n")
    assert run("check", str(net), "--trial", "0").stderr.endswith("torch imported")
