"""One-place changes of a module's syntax tree, as a slip of the hand makes them: an operator, a number, a condition.

Annotations, decorators and strings are left alone: what a message says is held by snapshots.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}
UNSEEN = ("annotation", "returns", "decorator_list")
"""Fields that hold no code that runs."""


@dataclass(frozen=True)
class Mutant:
    """A file with one change."""

    path: Path
    number: int
    """Of the change within the file."""
    lines: range
    """Of the statement that holds it; of its first part, where it holds others."""
    at_import: bool
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lines.start}: {self.before}  ->  {self.after}"


@dataclass(frozen=True)
class _Place:
    """A node, the lines of its statement, and whether it runs when the module is imported."""

    node: ast.AST
    lines: range
    at_import: bool


def mutants(path: Path) -> list[Mutant]:
    """Every change of a file."""
    found = []
    for number, (place, name, value) in enumerate(_changes(ast.parse(path.read_text()))):
        kept, before = getattr(place.node, name), _shown(place.node)
        setattr(place.node, name, value)
        found.append(Mutant(path, number, place.lines, place.at_import, before, _shown(place.node)))
        setattr(place.node, name, kept)
    return found


def mutated(mutant: Mutant) -> ast.Module:
    """The tree of the file with this change alone."""
    tree = ast.parse(mutant.path.read_text())
    place, name, value = list(_changes(tree))[mutant.number]
    setattr(place.node, name, value)
    return ast.fix_missing_locations(tree)


def _shown(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0]


def _changes(tree: ast.Module) -> Iterator[tuple[_Place, str, object]]:
    """Places, a field of each node, and another value of the field."""
    for place in _code(_Place(tree, range(1, 2), True)):
        for name, value in _alternatives(place.node):
            yield place, name, value


def _code(place: _Place) -> Iterator[_Place]:
    """Nodes below a place that run, each with its place."""
    yield place
    for name, value in ast.iter_fields(place.node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or name in UNSEEN or _for_types_alone(child):
                continue
            lines = place.lines
            if isinstance(child, ast.stmt):
                inner = getattr(child, "body", None)
                end = inner[0].lineno - 1 if inner else child.end_lineno or child.lineno
                lines = range(child.lineno, max(end, child.lineno) + 1)
            if isinstance(place.node, ast.Lambda) and isinstance(child, ast.expr):
                lines = range(child.lineno, (child.end_lineno or child.lineno) + 1)
            later = isinstance(place.node, (ast.FunctionDef, ast.Lambda)) and name == "body"
            yield from _code(_Place(child, lines, place.at_import and not later))


def _for_types_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _not(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), node, lineno=node.lineno, col_offset=node.col_offset)


def _alternatives(node: ast.AST) -> Iterator[tuple[str, object]]:
    """Names of a node's fields and other values of them."""
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                for other in COMPARED[type(op)]:
                    yield "ops", [*ops[:at], other(), *ops[at + 1 :]]
        case ast.BoolOp(op=op):
            yield "op", ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in COMPUTED and not _of_text(node):
            yield "op", COMPUTED[type(op)]()
        case ast.UnaryOp(op=ast.USub()):
            yield "op", ast.UAdd()
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "operand", _not(operand)
        case ast.Constant(value=bool() as value):
            yield "value", not value
        case ast.Constant(value=int() as value):
            yield "value", value + 1
        case ast.Constant(value=float() as value):
            yield "value", 2 * value if value else 1.0
        case ast.Name(id=name, ctx=ast.Load()) if name in CALLED:
            yield "id", CALLED[name]
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "value", ast.Constant(None)
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, (ast.Compare, ast.UnaryOp)):
            yield "test", _not(test)


def _of_text(node: ast.AST) -> bool:
    """Whether text is put together, not numbers."""
    return any(
        isinstance(one, ast.JoinedStr) or (isinstance(one, ast.Constant) and isinstance(one.value, str))
        for one in ast.iter_child_nodes(node)
    )
