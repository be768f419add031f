"""Initialisations written as a function in the user's file, and called where the model is constructed."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn

from steadygrad._fix import functions, names
from steadygrad._fix.draft import Draft, paths_of
from steadygrad._fix.selecting import Lists
from steadygrad._fix.source import Source
from steadygrad.cures.gates import shut
from steadygrad.cures.initialise import WORKING_VARIANCE, ZEROED, drawn_again
from steadygrad.errors import CannotFixError
from steadygrad.record import Edit
from steadygrad.source.spans import construction_of, is_user_file
from steadygrad.theory import activations, meanfield
from steadygrad.theory.folding import fold as folding

Make = Callable[[str, str, Lists], tuple[str, list[str]]]
"""Name and rows of a function, from what the file calls torch and torch.nn, and the lists of layers that it may name."""


def add_function(draft: Draft, make: Make) -> None:
    """A function of the model: called where the model is complete, else at the end of its class's ``__init__``.

    Where it is constructed first: the numbers are those of this one model, and others of its class may be deeper.
    """
    place = construction_of(draft.subject.model)
    if place is not None and is_user_file(place.path):
        source = draft.source(place.path)
        call = source.at(place)
        before = source.spans[call][0]
        name, rows = _named(draft, source, make)
        built = _built_further(source, call)
        if built is None:
            source.wrap(call, f"{name}(", ")")
        else:
            variable, statement = built
            start, end = source.spans[statement]
            source.insert_lines(source.line_end(end - 1), f"{source.indent_of(start)}{name}({variable})")
    else:
        source, body, this = _own_init(draft)
        start, end = source.spans[body.body[-1]]
        before = source.spans[body.body[0]][0]
        name, rows = _named(draft, source, make)
        source.insert_lines(source.line_end(end - 1), f"{source.indent_of(start)}{name}({this})")
    names.add_function(source, rows, before)


def _named(draft: Draft, source: Source, make: Make) -> tuple[str, list[str]]:
    torch, nn_ = names.torch(source), names.nn(source)
    name, rows = make(torch, nn_, Lists(draft.subject.model, nn_))
    free = names.free(source, name)
    return free, [row.replace(f"def {name}(", f"def {free}(") for row in rows]


_BUILDS = (
    r"{name}\.(append|extend|insert|add_module|register_module|apply)\(",
    r"{name}(\.\w+|\[[^]]*\])+ *=[^=]",
    r"init\w*\([^()]*\b{name}\b",
    r"\b{name}\b.*\binit\.\w+_\(",
)
"""The changes to a model after its construction that an initialisation must wait for."""


def _built_further(source: Source, call: Any) -> tuple[str, Any] | None:
    """The model's variable and the last statement that still builds it, where the construction alone is not all."""
    for block in source.blocks():
        for number, statement in enumerate(block):
            start, end = source.spans[statement]
            assigned = re.match(r"(\w+)\s*(:[^=]*)?=[^=]", source.text[start:end])
            if assigned is None or not start <= source.spans[call][0] < end:
                continue
            name = assigned[1]
            rules = [re.compile(rule.format(name=re.escape(name)), re.DOTALL) for rule in _BUILDS]
            building = [one for one in block[number + 1 :] if any(rule.search(source.code(one)) for rule in rules)]
            return (name, building[-1]) if building else None
    return None


def _own_init(draft: Draft) -> tuple[Source, Any, str]:
    """The body of the class's own ``__init__``, and what it calls the model. Raises ``CannotFixError``."""
    kind = type(draft.subject.model)
    init = inspect.unwrap(vars(kind)["__init__"]) if "__init__" in vars(kind) else None
    code = getattr(init, "__code__", None)
    if code is None or not is_user_file(code.co_filename):
        raise CannotFixError(f"{kind.__name__} has no __init__ of its own to end with a call")
    source = draft.source(code.co_filename)
    return source, source.definition(code).body, code.co_varnames[0]


_BEGIN = {
    "zero-branches": "Residual branches begin at zero (Zhang et al. 2019, arXiv:1901.09321).",
    "unit-factors": "Factors exp(·) begin at 1 (Kingma and Dhariwal 2018, arXiv:1807.03039).",
    "zero-head": "The head begins at zero (Zhang et al. 2019, arXiv:1901.09321).",
}


def initialise(draft: Draft, edit: Edit) -> None:
    net = draft.net
    if edit.to in ZEROED:
        chosen = set(ZEROED[edit.to](net))
        paths = paths_of(layer for layer in net.layers if layer.operation.index in chosen)
        words = _BEGIN[edit.to]
        scale_ = partial(functions.scaled, factor=0.0, words=words)
        add_function(draft, lambda torch, _, lists: scale_(lists.of(paths), lists.rows, torch=torch))
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

    def made(_: str, nn_: str, lists: Lists) -> tuple[str, list[str]]:
        rows = [(lists.of(paths), name, _gain(name)) for name, paths in groups.items()]
        return functions.scheme(edit.to, rows, lists.rows, nn_)

    add_function(draft, made)


def _gain(name: str) -> float:
    phi = activations.find(name)
    return meanfield.critical_point(phi, WORKING_VARIANCE)[0] if phi is not None else 1.0


def fold(draft: Draft, edit: Edit) -> None:
    net = draft.net
    plain = drawn_again(net)
    chosen = {layer.weight for layer in plain}
    points = {
        name: folding(phi, len(plain))
        for name in {layer.activation.name for layer in plain if layer.activation is not None}
        if (phi := activations.find(name)) is not None
    }
    mean, std = net.trace.input_mean or 0.0, net.trace.input_std or 0.0
    known = [(0.0, math.hypot(mean, std) or 1.0) if abs(mean) <= ALIKE * std else (mean, std or 1.0)]
    known += [(point.output_mean, point.output_std) for point in points.values() if point is not None]
    rows: dict[tuple[float, float, float, float], list[str]] = {}
    begun = False
    for layer in net.layers:
        if layer.weight in chosen:
            point = points.get(layer.activation.name if layer.activation is not None else "")
            if point is None:
                raise CannotFixError(f"the activation behind {layer.weight} has no working point")
            scale, shift, begun = point.scale, point.shift, True
        elif begun and layer.activation is None and not layer.normalised:
            scale, shift, begun = 1.0, 0.0, False
        else:
            continue
        (path,) = paths_of([layer])
        come = _incoming(draft.cured.get_submodule(path), scale, shift, known)
        known.append(come)
        rows.setdefault((scale, shift, *come), []).append(path)
    activation = plain[0].activation.name if plain[0].activation is not None else ""
    if any(layer.operation.name.startswith("conv_transpose") for layer in plain):
        raise CannotFixError("a transposed convolution has its own layout of weights")
    model = draft.subject.model
    paths = [path for group in rows.values() for path in group]

    def made(torch: str, nn_: str, lists: Lists) -> tuple[str, list[str]]:
        table = [(lists.of(paths), *numbers) for numbers, paths in rows.items()]
        return functions.fold(
            table,
            lists.rows,
            len(plain),
            activation.strip("_"),
            torch,
            nn_,
            convolutions=any(layer.operation.name.startswith("conv") for layer in plain),
            biases=all(getattr(model.get_submodule(path), "bias", None) is not None for path in paths),
        )

    add_function(draft, made)


def gates(draft: Draft, edit: Edit) -> None:
    groups: dict[float, list[str]] = {}
    for layer, mean in shut(draft.net):
        if draft.net.site(layer) in edit.sites:
            groups.setdefault(float(f"{-mean:.3g}"), []).append(layer.weight.rpartition(".")[0])

    def made(torch: str, _: str, lists: Lists) -> tuple[str, list[str]]:
        rows = [(lists.of(paths), much) for much, paths in groups.items()]
        return functions.raised(rows, lists.rows, torch)

    add_function(draft, made)


ALIKE = 0.15
"""Relative difference from a working point's own numbers under which what was measured on the batch is taken for it."""


def _incoming(
    layer: nn.Module, scale: float, shift: float, known: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """Mean and deviation of what comes into a layer, read off the weights that the cure gave it on the batch.

    It made the result's deviation ``scale`` and each unit's mean ``shift``. Of the known ones those are taken that are alike.
    """
    weight = layer.get_parameter("weight").detach().double().flatten(1)
    std = scale / float(weight.square().sum(1).mean().sqrt())
    mean = 0.0
    if layer.bias is not None:
        sums, moved = weight.sum(1), shift - layer.get_parameter("bias").detach().double()
        mean = float((sums * moved).sum() / sums.square().sum().clamp_min(1e-12))
    for known_mean, known_std in known:
        if abs(std - known_std) <= ALIKE * known_std and abs(mean - known_mean) <= ALIKE * known_std:
            return known_mean, known_std
    return 0.0 if abs(mean) <= ALIKE * std else float(f"{mean:.2g}"), float(f"{std:.2g}") or 1.0


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

    def made(torch: str, nn_: str, lists: Lists) -> tuple[str, list[str]]:
        where = lists.of(paths)
        return functions.recurrent(where, lists.rows, edit.to, edit.value or 100.0, torch, nn_)

    add_function(draft, made)
