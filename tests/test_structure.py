"""The shape of the package and of its tests: no circles, no file too long, no assertion that looks at the last round alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import networkx
import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"
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


def names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    """Names that are read or written below a node, without those of comprehensions, which live in them alone."""
    own: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.comprehension):
            own |= {one.id for one in ast.walk(inner.target) if isinstance(one, ast.Name)}
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, context)} - own


def of_the_last_round(text: str) -> list[int]:
    """Lines of assertions behind a loop that read what only the loop sets: they hold for its last round, or for none."""
    found: list[int] = []
    for node in ast.walk(ast.parse(text)):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            set_before: set[str] = set()
            by_loop: set[str] = set()
            for statement in block if isinstance(block, list) else ():
                if isinstance(statement, ast.Assert) and names(statement, ast.Load) & by_loop:
                    found.append(statement.lineno)
                written = names(statement, ast.Store)
                if isinstance(statement, (ast.For, ast.While)):
                    by_loop |= written - set_before
                else:
                    set_before |= written
                    by_loop -= written
    return sorted(found)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_what_a_loop_sets_is_asserted_in_every_round(path: Path) -> None:
    assert of_the_last_round(path.read_text()) == [], "indent the assertion, or set the name before the loop"


def test_the_check_sees_an_assertion_behind_a_loop() -> None:
    behind = (
        "def test():\n    for x in family:\n        made = make(x)\n    assert made\n    assert [x for x in family]\n"
    )
    assert of_the_last_round(behind) == [4]
    assert of_the_last_round(behind.replace("    assert made", "        assert made")) == []
    assert of_the_last_round(behind.replace("    for", "    made = None\n    for")) == []
