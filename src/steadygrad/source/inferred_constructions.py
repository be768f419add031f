"""The places where modules were constructed, read off the source text, for a model built before steadygrad could watch.

A construction is inferred only where the text leaves no doubt: one call of the class in the model's own classes, or in
the files around it, or exactly as many calls as there are modules. Reads source, runs nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from types import FrameType, FunctionType, ModuleType

from torch import nn
from torch.optim import Optimizer

from steadygrad.record import Location
from steadygrad.source.cells import cells
from steadygrad.source.spans import (
    Constructed,
    construction_of,
    is_user_file,
    location_of_node,
    remember_construction,
    syntax_tree,
)


def infer_constructions(model: nn.Module, frame: FrameType | None, optimizer: Optimizer | None = None) -> None:
    """Remember a construction for each module that has none on record, and the optimizer, where the source leaves no doubt.

    ``frame`` is that of the caller of ``check``: its files are read, and those of what its globals name.
    """
    unknown: dict[str, list[Constructed]] = {}
    for module in (*model.modules(), *((optimizer,) if optimizer is not None else ())):
        if construction_of(module) is None:
            unknown.setdefault(type(module).__name__, []).append(module)
    if not unknown:
        return
    bodies = tuple(dict.fromkeys(_bodies(model)))
    for scope in (bodies, tuple((path, 0, 0) for path in dict.fromkeys(_files(bodies, frame)))):
        calls = _calls(scope)
        for name in list(unknown):
            places = calls.get(name, [])
            modules = unknown[name]
            if len(places) == 1 or len(places) == len(modules) > 0:
                for number, module in enumerate(unknown.pop(name)):
                    remember_construction(module, places[min(number, len(places) - 1)])


Scope = tuple[str, int, int]
"""A file and the first and last line of a part of it; (path, 0, 0) is the whole file."""


def _bodies(model: nn.Module) -> Iterator[Scope]:
    """The class definitions of the model's modules, the user's own only."""
    for kind in dict.fromkeys(base for module in model.modules() for base in type(module).__mro__):
        functions = [value for value in vars(kind).values() if isinstance(value, FunctionType)]
        for path in {function.__code__.co_filename for function in functions}:
            if is_user_file(path):
                for node in ast.walk(syntax_tree(path)):
                    if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                        yield path, node.lineno, node.end_lineno or node.lineno


def _files(bodies: Iterable[Scope], frame: FrameType | None) -> Iterator[str]:
    yield from (path for path, _, _ in bodies)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            yield frame.f_code.co_filename
            # What a cell builds is checked in another one.
            yield from cells()
            for value in list(frame.f_globals.values()):
                path = _file_of(value)
                if path is not None and is_user_file(path):
                    yield path
            return
        frame = frame.f_back


def _file_of(value: object) -> str | None:
    if isinstance(value, FunctionType):
        return value.__code__.co_filename
    if isinstance(value, ModuleType):
        # A package's own file says nothing of a net, and reading whole libraries would take long.
        return (
            getattr(value, "__file__", None)
            if "site-packages" not in (getattr(value, "__file__", None) or "")
            else None
        )
    return None


def _calls(scopes: Iterable[Scope]) -> dict[str, list[Location]]:
    """Every call in the scopes by the last name of what is called, in the order of the text."""
    found: dict[str, list[Location]] = {}
    for path, first, last in scopes:
        for node in ast.walk(syntax_tree(path)):
            if not isinstance(node, ast.Call) or (first and not first <= node.lineno <= last):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found.setdefault(name, []).append(location_of_node(path, node))
    return {name: sorted(set(places), key=lambda p: (p.path, p.line, p.column)) for name, places in found.items()}
