"""The names of torch and its parts in a file, the place for a new import, and the place for a new function.

Only imports at the file's own level count: what a function imports for itself is not known outside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from steadygrad._fix.source import Source, libcst
from steadygrad.errors import CannotFixError

_FUNCTIONAL = "torch.nn.functional"


def torch(source: Source) -> str:
    """Return this file's name for torch; add the import where there is none."""
    return _imported(source).get("torch") or _add(source, "torch", "import torch")


def nn(source: Source) -> str:
    """Return this file's name for torch.nn."""
    have = _imported(source)
    if "torch.nn" in have:
        return have["torch.nn"]
    if "torch" in have:
        return f"{have['torch']}.nn"
    if _taken(source, "nn"):
        return f"{torch(source)}.nn"
    return _add(source, "nn", "from torch import nn")


def functional(source: Source) -> str:
    """Return this file's name for torch.nn.functional."""
    return _imported(source).get(_FUNCTIONAL) or f"{nn(source)}.functional"


def modules(source: Source) -> set[str]:
    """Every name here under which functions of torch are called."""
    have = _imported(source)
    parts = [f"{name}{rest}" for name in have.values() for rest in ("", ".nn.functional", ".functional", ".special")]
    return {*parts, "torch", "F", "nn.functional"}


def free(source: Source, name: str) -> str:
    """The name, or one like it that the file does not use yet."""
    while re.search(rf"\b{re.escape(name)}\b", source.text):
        name = f"cured_{name}"
    return name


def start_of(source: Source, statement: Any) -> int:
    """Find where a statement begins, its decorators included."""
    decorators = getattr(statement, "decorators", ())
    return source.spans[decorators[0] if decorators else statement][0]


def add_function(source: Source, rows: list[str], before: int) -> None:
    """A function behind the imports of the file's head, and above the statement at ``before``.

    Raises ``CannotFixError`` where the two are one statement.
    """
    place = None
    for statement in source.module.body:
        if start_of(source, statement) <= before < source.spans[statement][1] or not _is_head(statement):
            break
        if _is_import(statement):
            place = source.line_end(source.spans[statement][1] - 1)
    text = source.lines(*rows)
    gap = source.newline * 2
    if place is not None:
        if not source.text[:place].endswith(("\n", "\r")):
            gap += source.newline
        source.splice(place, place, f"{gap}{text}{source.newline}")
        return
    place = _first(source)
    if before < place:
        raise CannotFixError(f"{source.path.name} has no place for a function in front of the model")
    above = gap if any(one.start == place for one in source.splices) else ""
    source.splice(place, place, f"{above}{text}{source.newline}{gap}")


def _imported(source: Source) -> dict[str, str]:
    """Names of torch, torch.nn and torch.nn.functional at the file's own level."""
    cst = libcst()
    have: dict[str, str] = {}
    for node in _at_own_level(source.module):
        if isinstance(node, cst.Import):
            for alias in node.names:
                name, said = source.code(alias.name), alias.evaluated_alias
                if said is not None and name in ("torch", "torch.nn", _FUNCTIONAL):
                    have[name] = said
                elif said is None and (name == "torch" or name.startswith("torch.")):
                    have["torch"] = "torch"
        elif isinstance(node, cst.ImportFrom) and node.module is not None and not node.relative:
            owner = source.code(node.module)
            for alias in () if isinstance(node.names, cst.ImportStar) else node.names:
                name = f"{owner}.{source.code(alias.name)}"
                if name in ("torch.nn", _FUNCTIONAL):
                    have[name] = alias.evaluated_alias or name.rpartition(".")[2]
    return have


def _at_own_level(node: Any) -> Iterator[Any]:
    """Small statements outside functions and classes; those under ``if`` and ``try`` too."""
    cst = libcst()
    for child in node.children:
        if isinstance(child, (cst.FunctionDef, cst.ClassDef, cst.BaseExpression)):
            continue
        if isinstance(child, cst.BaseSmallStatement):
            yield child
        else:
            yield from _at_own_level(child)


def _add(source: Source, name: str, statement: str) -> str:
    if _taken(source, name):
        raise CannotFixError(f"{source.path.name} uses the name {name} for something else")
    place = _first(source)
    source.splice(place, place, statement + source.newline)
    return name


def _taken(source: Source, name: str) -> bool:
    """Return whether the file binds the name to something that is not torch's, or may."""
    cst = libcst()
    uses = sum(isinstance(node, cst.Name) and node.value == name for node in source.spans)
    plain = sum(
        isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value == name
        for node in source.spans
    )
    inner = sum(
        re.search(rf"\b{name}\b", source.code(node)) is not None and "torch" in source.code(node)
        for node in source.spans
        if isinstance(node, (cst.Import, cst.ImportFrom))
    )
    return bool(uses > plain + inner)


def _first(source: Source) -> int:
    """The start of the first statement that is neither docstring nor ``__future__``."""
    cst = libcst()
    for statement in source.module.body:
        small = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        docstring = isinstance(small, cst.Expr) and isinstance(small.value, (cst.SimpleString, cst.ConcatenatedString))
        future = (
            isinstance(small, cst.ImportFrom) and small.module is not None and source.code(small.module) == "__future__"
        )
        if not docstring and not future:
            return start_of(source, statement)
    return len(source.text)


def _is_head(statement: Any) -> bool:
    """Return whether what stands at the head of a file can go on behind it."""
    cst = libcst()
    return isinstance(statement, (cst.SimpleStatementLine, cst.If, cst.Try))


def _is_import(statement: Any) -> bool:
    cst = libcst()
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(small, (cst.Import, cst.ImportFrom)) for small in statement.body
    )
