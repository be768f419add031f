"""A wire: one module, and where in a forward pass it is put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from steadygrad.record import Site

ADDED = "added"
"""Name, at the top of the model, of the list of modules that a graph or rerouted calls get."""


@dataclass(frozen=True)
class Wire:
    """``how`` is "replace" (the call), "before" (on its first argument), "after" (on its result), "join":
    ``module(result of the call at site, first argument of the call at source)``, or "carry": ``module(result, what it gave
    the time before)``, zeros at first, at every call that the expression of the site makes, however often it runs."""

    how: str
    site: Site
    module: nn.Module
    source: Site | None = None


def attach(model: nn.Module, wires: Sequence[Wire]) -> list[str]:
    """Make every module of the wires a submodule of ``model`` (those it has already stay); their paths, wire by wire."""
    paths = {id(module): path for path, module in model.named_modules()}
    if not hasattr(model, ADDED):
        model.add_module(ADDED, nn.ModuleList())
    shelf = getattr(model, ADDED)
    found = []
    for wire in wires:
        if id(wire.module) not in paths:
            paths[id(wire.module)] = f"{ADDED}.{len(shelf)}"
            shelf.append(wire.module.train(model.training))
        found.append(paths[id(wire.module)])
    if not len(shelf):
        delattr(model, ADDED)
    return found


def paths_by_module(model: nn.Module) -> dict[int, str]:
    """The path by which a tape names each module: of one that is held at several places, the last."""
    return {id(module): path for path, module in model.named_modules(remove_duplicate=False)}


def named(function: str) -> str:
    """A function's name as a tape has it: "sigmoid" for sigmoid_, "add" for __add__."""
    return function.strip("_") or function


def in_place(name: str) -> bool:
    """Whether torch's name of a function says that it writes into its argument: "sigmoid_", not "__add__"."""
    return name.endswith("_") and not name.endswith("__")


def parent_of(model: nn.Module, path: str) -> tuple[nn.Module, str]:
    """The module that holds the one at ``path``, and the name it has there."""
    above, _, name = path.rpartition(".")
    return model.get_submodule(above), name
