"""The examples of the public names pass a type checker."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import steadygrad as sg

ROOT = Path(__file__).parent.parent


def in_one_file() -> str:
    """Return the examples of all public names as one file, a typed function for each."""
    return "\n\n".join(
        f"def {example.name.replace('.', '__')}() -> None:\n"
        + "".join(f"    {line}\n" for part in example.examples for line in part.source.splitlines())
        for name in sg.__all__
        if not (inspect.ismodule(value := getattr(sg, name)) or isinstance(value, str))
        for example in doctest.DocTestFinder().find(value, name, globs={})
        if example.examples
    )


def checked(text: str, folder: Path) -> str:
    """Return what mypy prints of a file with this text."""
    file = folder / "examples.py"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(folder), str(file)]
    ran = subprocess.run(command, cwd=ROOT / "src", capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


@pytest.mark.long
def test_the_examples_of_the_public_names_pass_mypy_strict(tmp_path: Path) -> None:
    text = in_one_file()
    assert text.count("sg.") >= 12
    assert "Success: no issues found in 1 source file" in checked(text, tmp_path)
    # The same check refuses a word where a module belongs.
    wrong = "import steadygrad as sg\nsg.check('net.py')\n"
    assert "[arg-type]" in checked(wrong, tmp_path)


if __name__ == "__main__":  # For other checkers: pyright reads the same file.
    sys.stdout.write(in_one_file())
