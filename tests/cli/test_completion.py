"""What Tab offers: values, not only the names of options, and without torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from steadygrad.cli import group
from steadygrad.cli.completing import OPTIMIZERS
from steadygrad.subject.optimizers import _CLASSES


def offered(*words: str) -> list[str]:
    *before, incomplete = words
    return [item.value for item in ShellComplete(group, {}, "steadygrad", "").get_completions(list(before), incomplete)]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["check", "net.py", "--output-format", "sa"], ["sarif"]),
        (["check", "net.py", "--select", "SG30"], [f"SG30{number}" for number in range(1, 10)]),
        (["check", "net.py", "--ignore", "SG101,SG10"], [f"SG101,SG10{number}" for number in range(1, 10)]),
        (["check", "net.py", "--fail-on", "w"], ["warning"]),
        (["check", "net.py", "--optimizer", "ada"], ["adadelta", "adagrad", "adam", "adamax", "adamw"]),
        (["precision", "net.py", "--to", "n"], ["nvfp4"]),
        (["cure", "net.py", "--only", "fo"], ["fold"]),
        (["cures", "fo"], ["fold"]),
        (["show", "run.sgj", "--output-format", "p"], ["parquet"]),
        (["report", "a.json", "--output-format", "ju"], ["junit"]),
        (["explain", "saturated-act"], ["SG102"]),
        (["explain", "tru"], ["trunk"]),
    ],
    ids=" ".join,
)
def test_values_are_offered(words: list[str], wanted: list[str]) -> None:
    assert offered(*words) == wanted


def test_every_optimizer_that_is_offered_is_taken() -> None:
    assert set(OPTIMIZERS) <= set(_CLASSES)


def test_the_shell_asks_without_loading_torch() -> None:
    code = "import sys; from steadygrad.cli import group; sys.argv = ['steadygrad']\n"
    code += "try:\n    group.main(prog_name='steadygrad')\nexcept SystemExit:\n    pass\n"
    code += "sys.stderr.write('torch' if 'torch' in sys.modules else 'none')"
    environment = {
        **os.environ,
        "_STEADYGRAD_COMPLETE": "bash_complete",
        "COMP_WORDS": "steadygrad cure net.py --only fo",
        "COMP_CWORD": "4",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("plain,fold", "none")
