"""Skips written into a forward method: around one expression, or from one statement to a later one of the same block,
or from one turn of a loop to the next."""

from __future__ import annotations

from typing import Any

from steadygrad._fix import names
from steadygrad._fix.draft import Draft
from steadygrad._fix.source import Source, libcst
from steadygrad.cures.residual import GATED
from steadygrad.errors import CannotFixError
from steadygrad.record import Edit, Location


def residual(draft: Draft, edit: Edit) -> None:
    """``x = f(layer(x))`` becomes ``x = x + scale * f(layer(x))``; over several statements the first ``x`` is kept."""
    cst = libcst()
    if edit.to == GATED:
        raise CannotFixError("a gate is a new parameter, which fix cannot write; sg.cure returns the model that has it")
    scale = f"{edit.value or 1.0:.4g}"
    for first, last in zip(edit.sites[::2], edit.sites[1::2], strict=True):
        if last.call is None or first.call is None:
            raise CannotFixError("where the layer is called is not known")
        if edit.span > 1 and _times(draft, first.call) > 1:
            raise CannotFixError(f"{first.call} runs for several layers, so a skip over {edit.span} has no place there")
        source = draft.source(last.call.path)
        whole, inner = source.at(last.call), draft.source(first.call.path).at(first.call)
        argument = inner.args[0].value if inner.args else None
        if not isinstance(argument, cst.Name):
            raise CannotFixError(f"what goes into the layer at {first.call} has no name")
        start, end = source.spans[whole]
        inside = source.spans.get(inner, (-1, -1))
        skip = argument.value
        if not start <= inside[0] <= inside[1] <= end:
            skip = _kept(source, inner, whole, argument.value)
        before = f"{skip} + {scale} * "
        bare = isinstance(source.parent(whole), (cst.Assign, cst.AnnAssign, cst.Arg, cst.Return, cst.Lambda))
        source.wrap(whole, before if bare else f"({before}", "" if bare else ")")


def through_time(draft: Draft, edit: Edit) -> None:
    """``h = f(h, x)`` in a loop becomes ``h = h + scale * (f(h, x))``."""
    cst = libcst()
    call = edit.sites[0].call
    if call is None:
        raise CannotFixError("where the loop makes its state is not known")
    source = draft.source(call.path)
    place = (source.offset(call.line, call.column - 1), source.offset(call.end_line, call.end_column - 1))
    made = [node for node in source.spans if isinstance(node, cst.Assign) and source.spans.get(node.value) == place]
    target = made[0].targets[0].target if len(made) == 1 and len(made[0].targets) == 1 else None
    if not isinstance(target, cst.Name):
        raise CannotFixError(f"the state that is made at {call} has no name")
    bare = isinstance(made[0].value, cst.Call)
    before, behind = ("", "") if bare else ("(", ")")
    source.wrap(made[0].value, f"{target.value} + {edit.value or 1.0:.4g} * {before}", behind)


def _times(draft: Draft, call: Location) -> int:
    return sum(operation.call == call for operation in draft.net.trace.operations)


def _kept(source: Source, inner: Any, whole: Any, value: str) -> str:
    """A name for the value, given to it above the statement of ``inner``, for the later statement of ``whole``."""
    for block in source.blocks():
        places = [source.spans[statement] for statement in block]
        holding = [
            [number for number, (start, end) in enumerate(places) if start <= source.spans.get(node, (-1, -1))[0] < end]
            for node in (inner, whole)
        ]
        if holding[0] and holding[1] and holding[0] != holding[1]:
            simple = all(isinstance(block[number[0]], libcst().SimpleStatementLine) for number in holding)
            if not simple:
                break
            start = places[holding[0][0]][0]
            indent = source.indent_of(start)
            if source.text[:start].rpartition(source.newline)[2] != indent:
                break
            skip = names.free(source, "skip")
            line = f"{skip} = {value}{source.newline}{indent}"
            source.splice(start, start, line)
            return skip
    raise CannotFixError(f"layer and activation at {source.path.name} stand neither in one expression nor in one block")
