"""The optimizer of a file, given the groups that a patched constructor makes; or in words what is to be done by hand.

One optimizer, made from ``model.parameters()`` of a model that is seen to be the patched one, is changed. Any other is named.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch

from steadygrad._fix.source import Source, libcst
from steadygrad._fix.training import function_around
from steadygrad.errors import CannotFixError

_ALIKE = {"Adam": "Adam", "AdamW": "Adam"}
"""Optimizers whose steps are as large as each other's at any size: what was measured of one holds for the other."""

_ONE_RATE = re.compile(r"\w+\[[\"']lr[\"']\]\s*=(?!=)[^\n#]*|\b(OneCycleLR|CyclicLR)\b(?=\()")
"""What gives all groups of an optimizer one rate again."""

_KINDS = {
    name
    for name, value in vars(torch.optim).items()
    if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
}


@dataclass(frozen=True)
class Made:
    """How the patched model is made, and what was measured."""

    constructor: str
    optimizer: str
    """The class that was measured."""
    at: str
    """What it was measured at, the smallest size: "hidden = 64"."""
    method: bool
    """Whether a class was patched, so that the groups are a method's."""


def patch(files: Sequence[Source], made: Made, groups: str, code: CodeType) -> list[str]:
    """Change the one optimizer of the files, and say what is left to do. Raises ``CannotFixError`` for one not measured.

    Args:
        files: That of the constructor, and that of the target.
        made: The model.
        groups: The name of the function or the method that makes the groups.
        code: Of the constructor.
    """
    call_ = f"model.{groups}(lr=...)" if made.method else f"{groups}(model, lr=...)"
    found = [(source, call) for source in files for call in source.calls() if _kind(source, call) in _KINDS]
    why_not = [_why_not(*one, made, code) for one in found]
    mine = [one for one, why in zip(found, why_not, strict=True) if not why]
    told = []
    for source, call in mine:
        kind = _kind(source, call)
        if _ALIKE.get(kind, kind) != _ALIKE.get(made.optimizer, made.optimizer):
            line = source.text.count("\n", 0, source.spans[call][0]) + 1
            raise CannotFixError(
                f"{source.path.name}:{line} makes {kind}, and {made.optimizer} was measured; measure with --optimizer "
                f"{kind.lower()}:RATE"
            )
        _give(source, call, kind, made, groups)
        told.append(f"{_place(source, call)}: the rate is that of {made.at} from now on; give the best one there")
    if not mine:
        reasons = [f"{_place(*one)}: {why}" for one, why in zip(found, why_not, strict=True)]
        seen = "; ".join(reasons) or f"no optimizer stands in {' and '.join(one.path.name for one in files)}"
        told.append(f"display only: give {call_} to the optimizer ({seen})")
    return [*told, *_one_rate(files)]


def before_optimizer(source: Source, function: Any, this: str) -> int | None:
    """The start of the statement of a function that makes an optimizer from the model; None where none does."""
    for statement in function.body.body:
        start, end = source.spans[statement]
        for call in source.calls():
            inside = start <= source.spans[call][0] < end
            if inside and _kind(source, call) in _KINDS and _owner(source, call) == this:
                return start
    return None


def _kind(source: Source, call: Any) -> str:
    return source.code(call.func).rpartition(".")[2]


def _owner(source: Source, call: Any) -> str:
    """The name whose plain ``parameters()`` the optimizer steps; "" for anything else."""
    first = call.args[0] if call.args else None
    if first is None or first.star or (first.keyword is not None and first.keyword.value != "params"):
        return ""
    found = re.fullmatch(r"(\w+)\.parameters\(\)", source.code(first.value))
    return found[1] if found else ""


def _why_not(source: Source, call: Any, made: Made, code: CodeType) -> str:
    """Why the optimizer is left as it is; "" where it is the patched model's."""
    owner = _owner(source, call)
    if not owner:
        return "it is not made from plain model.parameters(), so join these groups with its own"
    if _rate(source, call) is None and _default(_kind(source, call)) is None:
        return "its rate is not seen"
    if made.method and owner == "self" and _class_around(source, call) == made.constructor:
        return ""
    ways = [
        rf"([\w.]*\.)?{re.escape(made.constructor)}\(.*\)(\.(to|cuda|cpu|train|double|float)\([^()]*\))*",
        rf"{owner}\.(to|cuda|cpu|train|double|float)\([^()]*\)",
        rf"torch\.compile\({owner}\b[^()]*\)",
    ]
    if function_around(source, call) is not None and _own(source, call, code):
        return "" if not made.method else f"{owner} is not seen to be {made.constructor}"
    values = _assigned(source, owner, call)
    if not any(re.fullmatch(ways[0], value, re.DOTALL) for value in values):
        return f"{owner} is not seen to be {made.constructor}"
    other = [value for value in values if not any(re.fullmatch(way, value, re.DOTALL) for way in ways)]
    return f"{owner} is also {' '.join(other[0].split())[:40]}" if other else ""


def _own(source: Source, call: Any, code: CodeType) -> bool:
    """Return whether the optimizer is made in the constructor itself."""
    around = function_around(source, call)
    try:
        return around is source.definition(code)
    except CannotFixError:
        return False


def _class_around(source: Source, node: Any) -> str:
    cst = libcst()
    while not isinstance(node, (cst.ClassDef, cst.Module)):
        node = source.parent(node)
    return node.name.value if isinstance(node, cst.ClassDef) else ""


def _assigned(source: Source, name: str, call: Any) -> list[str]:
    """The text of all that a name is assigned in front of a call, in its function; where nothing is, in the file itself."""
    cst, own, outside = libcst(), [], []
    around = function_around(source, call)
    for node in source.spans:
        if not isinstance(node, (cst.Assign, cst.AnnAssign)) or node.value is None:
            continue
        targets = [one.target for one in node.targets] if isinstance(node, cst.Assign) else [node.target]
        plain = [one for one in targets if isinstance(one, (cst.Name, cst.Tuple, cst.List))]
        if any(re.search(rf"\b{name}\b", source.code(one)) for one in plain):
            home = function_around(source, node)
            if home is around and source.spans[node] < source.spans[call]:
                own.append(source.code(node.value))
            elif home is None:
                outside.append(source.code(node.value))
    return own or outside


def _rate(source: Source, call: Any) -> Any:
    """The argument with the rate: by its name, or the second."""
    named = [one for one in call.args if one.keyword is not None and one.keyword.value == "lr"]
    plain = [one for one in call.args if one.keyword is None and not one.star]
    return named[0] if named else (plain[1] if len(plain) > 1 else None)


def _default(kind: str) -> float | None:
    """The rate of an optimizer that is given none."""
    parameter = inspect.signature(getattr(torch.optim, kind)).parameters.get("lr")
    value = None if parameter is None else parameter.default
    return float(value) if isinstance(value, (int, float)) else None


def _give(source: Source, call: Any, kind: str, made: Made, groups: str) -> None:
    """``Adam(model.parameters(), lr=1e-3)`` becomes ``Adam(model.parameter_groups(lr=1e-3))``."""
    owner, rate = _owner(source, call), _rate(source, call)
    text = f"{_default(kind):g}" if rate is None else source.code(rate.value)
    source.replace(
        call.args[0].value, f"{owner}.{groups}(lr={text})" if made.method else f"{groups}({owner}, lr={text})"
    )
    if rate is None:
        return
    at = call.args.index(rate)
    start, end = source.spans[call.args[at - 1]][1], source.spans[rate][1]
    positional = rate.keyword is None and any(one.keyword is None for one in call.args[at + 1 :])
    # What others count by their place, and what a comment stands in, stays: the groups' own rates go before it.
    if at and not positional and "#" not in source.text[start:end]:
        source.splice(start, end, "")


def _one_rate(files: Sequence[Source]) -> Iterator[str]:
    for source in files:
        found = _ONE_RATE.search(source.text)
        if found is not None:
            yield (
                f"display only: {source.path.name}: {' '.join(found[0].split())} gives every group one rate; multiply that of "
                "each group instead, as LambdaLR does"
            )


def _place(source: Source, call: Any) -> str:
    """The function that an optimizer is made in: a line is another one once the patch is written."""
    around = function_around(source, call)
    where = source.path.name if around is None else f"{around.name.value} in {source.path.name}"
    return f"{_kind(source, call)} of {where}"
