"""The shape of the package: no two modules import each other, by whatever way round, and no file is too long."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import networkx
import pytest

SOURCE = Path(__file__).parents[1] / "src"
LONGEST = 350
"""Lines; a file that passes it asks whether two ideas live in it."""


def modules(source: Path) -> dict[str, str]:
    """Text of every module under ``source`` by its dotted name; a package is its ``__init__``."""
    return {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in sorted(source.rglob("*.py"))
    }


def imports_of(name: str, text: str, known: Mapping[str, str]) -> set[str]:
    """Modules that a module imports when it is imported itself, or under ``TYPE_CHECKING``."""
    found: set[str] = set()
    for node in _at_module_level(ast.parse(text).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import in line {node.lineno}"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                # A submodule is imported by its own name; a name of a package is one of its ``__init__``.
                found.add(whole if whole in known else node.module)
    return (found & known.keys()) - {name}


def _at_module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for field in ("body", "orelse", "finalbody"):
                yield from _at_module_level(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from _at_module_level(handler.body)


def circles(texts: Mapping[str, str]) -> list[str]:
    """Every group of modules that import each other, told by one way round."""
    graph = networkx.DiGraph()
    graph.add_edges_from((name, other) for name, text in texts.items() for other in imports_of(name, text, texts))
    told = []
    for group in networkx.strongly_connected_components(graph):
        if len(group) > 1:
            way = [edge[0] for edge in networkx.find_cycle(graph.subgraph(sorted(group)))]
            told.append(f"{' > '.join([*way, way[0]])}, of {len(group)} that import each other: {sorted(group)}")
    return sorted(told)


def test_no_modules_import_each_other() -> None:
    found = circles(modules(SOURCE))
    assert not found, "\n".join(found)


def test_the_check_sees_a_circle(tmp_path: Path) -> None:
    """The law above can fail: one module imports the other, which needs a name of it for its types alone."""
    package = tmp_path / "made_up"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "hen.py").write_text("from made_up import egg\n")
    (package / "egg.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made_up.hen import Hen\n"
    )
    (package / "cock.py").write_text("def crow():\n    from made_up import cock, hen\n")
    (found,) = circles(modules(tmp_path))
    assert "made_up.egg" in found and "made_up.hen" in found and "made_up.cock" not in found


def test_the_check_sees_a_circle_through_a_package(tmp_path: Path) -> None:
    package = tmp_path / "made_up"
    package.mkdir()
    (package / "__init__.py").write_text("from made_up.hen import Hen\nEGGS = 1\n")
    (package / "hen.py").write_text("from made_up import EGGS\n")
    (found,) = circles(modules(tmp_path))
    assert found.startswith("made_up > made_up.hen > made_up") or found.startswith(
        "made_up.hen > made_up > made_up.hen"
    )


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_holds_one_idea(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{path.name} has {lines} lines: which of its ideas is a module of its own?"
