"""What is imported while a program runs draws from none of the generators that the program draws from."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import steadygrad

SOURCES = Path(steadygrad.__file__).parent

IMPORTS = """
import importlib, json, os, random, sys
import numpy, torch

def states():
    kind, keys, *rest = numpy.random.get_state()
    return random.getstate(), (kind, keys.tobytes(), *rest), torch.get_rng_state().numpy().tobytes()

def drawn(names):
    found = []
    for name in names:
        before = states()
        importlib.import_module(name)
        found += [(name, kind) for kind, one, other in zip(("random", "numpy", "torch"), before, states()) if one != other]
    return found

for line in sys.stdin.read().splitlines():
    sys.stdout.flush()
    child = os.fork()
    if not child:
        print(json.dumps(drawn(line.split())))
        sys.stdout.flush()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(json.dumps([(line, "failed")]))
"""


def drawn(imports: list[list[str]], folder: Path) -> list[tuple[str, str]]:
    """Of these modules, imported in this order and each list in a process of its own, those that drew, and from what."""
    lines = "\n".join(" ".join(one) for one in imports)
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTS], input=lines, cwd=folder, capture_output=True, text=True, check=True
    )
    told = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("[")]
    assert len(told) == len(imports), ran.stderr
    return [(name, kind) for one in told for name, kind in one]


def in_functions() -> list[list[str]]:
    """What each of our functions imports that is not ours, in order, after the module that the function is in."""
    found: list[list[str]] = []
    for path in sorted(SOURCES.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                names = list(_imported_in(function))
                if any(not name.startswith("steadygrad") for name in names):
                    found.append([_name_of(path), *names])
    return found


def _imported_in(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _name_of(path: Path) -> str:
    return ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.long
def test_no_import_in_a_function_draws_a_random_number(tmp_path: Path) -> None:
    imports = in_functions()
    assert any("rich.console" in one for one in imports)
    assert drawn(imports, tmp_path) == []


@pytest.mark.long
def test_no_module_of_ours_draws_a_random_number(tmp_path: Path) -> None:
    """The program imports torch and numpy; all of ours comes later, some of it in mid-run."""
    rooms = [path for path in sorted(SOURCES.iterdir()) if path.is_dir() or path.suffix == ".py"]
    names = [[_name_of(one) for one in (sorted(room.rglob("*.py")) if room.is_dir() else [room])] for room in rooms]
    assert drawn([[one for one in room if not one.endswith("__main__")] for room in names if room], tmp_path) == []


@pytest.mark.long
def test_a_module_that_draws_is_found(tmp_path: Path) -> None:
    (tmp_path / "draws.py").write_text(
        "import random\nimport numpy\nimport torch\nrandom.random()\nnumpy.random.rand()\ntorch.rand(1)\n"
    )
    assert drawn([["json", "draws"]], tmp_path) == [("draws", "random"), ("draws", "numpy"), ("draws", "torch")]
