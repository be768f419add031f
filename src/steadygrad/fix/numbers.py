"""Initialisations written as a function in the user's file, and called where the model is constructed."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

from steadygrad.cures.initialise import WORKING_VARIANCE, drawn_again, last_of_branches
from steadygrad.errors import CannotFixError
from steadygrad.fix import functions
from steadygrad.fix.draft import Draft, paths_of
from steadygrad.fix.source import Source, libcst
from steadygrad.probe.spans import construction_of, is_user_file
from steadygrad.record import Edit
from steadygrad.theory import activations, meanfield
from steadygrad.theory.folding import fold as folding


def add_function(draft: Draft, make: Callable[[str, str], tuple[str, list[str]]]) -> None:
    """A function of the model: around the expression that constructs it, else at the end of its class's ``__init__``.

    Around the construction first: the numbers are those of this one model, and others of its class may be deeper.
    """
    model = draft.subject.model
    place_of_model = construction_of(model)
    if place_of_model is not None and is_user_file(place_of_model.path):
        source = draft.source(place_of_model.path)
        call = source.at(place_of_model)
        name, rows = _free_name(source, *make(source.torch(), source.nn()))
        start, end = source.spans[call]
        source.splice(start, start, f"{name}(")
        source.splice(end, end, ")")
    else:
        file = inspect.getsourcefile(type(model))
        if file is None or not is_user_file(file):
            raise CannotFixError("where the model is constructed is not known")
        source = draft.source(file)
        body = _init_body(source, type(model).__qualname__)
        if body is None:
            raise CannotFixError(f"{type(model).__name__} has no __init__ of its own to end with a call")
        name, rows = _free_name(source, *make(source.torch(), source.nn()))
        start, end = source.spans[body.body[-1]]
        place = source.line_end(end)
        missing = "" if source.text[:place].endswith(("\n", "\r")) else source.newline
        source.splice(place, place, f"{missing}{source.indent_of(start)}{name}(self){source.newline}")
    at = source.after_imports
    around = source.newline * 2
    source.splice(at, at, f"{around}{source.lines(*rows)}{source.newline}")


def _init_body(source: Source, qualname: str) -> Any:
    """The indented body of the class's own ``__init__``; None where the class is not to be found by name."""
    cst = libcst()
    node: Any = source.module
    for part in qualname.replace("<locals>.", "").split("."):
        statements = node.body.body if hasattr(node.body, "body") else node.body
        node = next(
            (s for s in statements if isinstance(s, (cst.ClassDef, cst.FunctionDef)) and s.name.value == part), None
        )
        if node is None:
            return None
    found = [s for s in node.body.body if isinstance(s, cst.FunctionDef) and s.name.value == "__init__"]
    if not found or not isinstance(found[-1].body, cst.IndentedBlock):
        return None
    if found[-1].params.params and found[-1].params.params[0].name.value != "self":
        return None
    return found[-1].body


def _free_name(source: Source, name: str, rows: list[str]) -> tuple[str, list[str]]:
    free = name
    while re.search(rf"\b{re.escape(free)}\s*\(", source.text):
        free = f"cured_{free}"
    return free, [row.replace(f"def {name}(", f"def {free}(") for row in rows]


def initialise(draft: Draft, edit: Edit) -> None:
    net = draft.net
    if edit.to == "zero-branches":
        last = set(last_of_branches(net))
        paths = paths_of(layer for layer in net.layers if layer.operation.index in last)
        words = "Residual branches begin at zero (Zhang et al. 2019, arXiv:1901.09321)."
        add_function(draft, lambda torch, _: functions.scaled(functions.names(paths), 0.0, words, torch))
        return
    if edit.to == "data-driven":
        raise CannotFixError("a data-driven initialisation needs a batch")
    groups: dict[str, list[str]] = {}
    layers = drawn_again(net)
    for layer, path in zip(layers, paths_of(layers), strict=True):
        assert layer.activation is not None
        groups.setdefault(layer.activation.name.strip("_"), []).append(path)
    if edit.to != "orthogonal":
        groups = {"": [path for paths in groups.values() for path in paths]}
    rows = [(functions.names(paths), name, _gain(name)) for name, paths in groups.items()]
    add_function(draft, lambda torch, nn_: functions.scheme(edit.to, rows, torch, nn_))


def _gain(name: str) -> float:
    phi = activations.find(name)
    return meanfield.critical_point(phi, WORKING_VARIANCE)[0] if phi is not None else 1.0


def fold(draft: Draft, edit: Edit) -> None:
    net = draft.net
    plain = drawn_again(net)
    rows: dict[tuple[float, float, float, float], list[str]] = {}
    mean, std = 0.0, math.hypot(net.trace.input_mean or 0.0, net.trace.input_std or 1.0) or 1.0
    chosen = {layer.weight for layer in plain}
    following = [
        layer for layer in net.layers if layer.weight in chosen or (layer.activation is None and not layer.normalised)
    ]
    begun = False
    for layer in following:
        (path,) = paths_of([layer])
        if layer.weight in chosen:
            assert layer.activation is not None
            phi = activations.find(layer.activation.name)
            point = folding(phi, len(plain)) if phi is not None else None
            if point is None:
                raise CannotFixError(f"{layer.activation.name} has no working point")
            rows.setdefault((point.scale, point.shift, mean, std), []).append(path)
            mean, std, begun = point.output_mean, point.output_std, True
        elif begun:
            rows.setdefault((1.0, 0.0, mean, std), []).append(path)
            begun = False
    table = [(functions.names(paths), *numbers) for numbers, paths in rows.items()]
    activation = plain[0].activation.name if plain[0].activation is not None else ""
    convolutions = any(layer.operation.name.startswith("conv") for layer in plain)
    if any(layer.operation.name.startswith("conv_transpose") for layer in plain):
        raise CannotFixError("a transposed convolution has its own layout of weights")
    add_function(
        draft,
        lambda torch, nn_: functions.fold(table, len(plain), activation, torch, nn_, convolutions=convolutions),
    )


def recurrent(draft: Draft, edit: Edit) -> None:
    paths = [site.module for site in edit.sites]
    if not paths:
        raise CannotFixError("the recurrence is written by hand")
    if edit.to == "gated":
        for path in paths:
            place = draft.construction(path)
            source = draft.source(place.path)
            call = source.at(place)
            name = source.code(call.func)
            source.replace(call.func, re.sub(r"RNN(Cell)?$", r"GRU\1", name))
            if not re.search(r"RNN(Cell)?$", name):
                raise CannotFixError(f"{name} is no plain name of nn.RNN")
            for argument in call.args:
                if argument.keyword is not None and argument.keyword.value == "nonlinearity":
                    raise CannotFixError("nonlinearity has no meaning for a GRU; take it out")
    where = functions.names(paths)
    add_function(draft, lambda torch, nn_: functions.recurrent(where, edit.to, edit.value or 100.0, torch, nn_))
