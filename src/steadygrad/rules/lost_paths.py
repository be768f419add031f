"""The ways to lose a gradient's path in words: what the expression does, and what to write in its place.

By the name that the probe gives the cut: torch's own for a call, that of the block for everything inside it. Knows records;
must not judge how bad a cut is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from steadygrad.record import Operation

RULE = "SG107", "no-gradient"


@dataclass(frozen=True)
class Way:
    """One way to lose the path."""

    what: str
    """Predicate to the expression: "passes the values on without their path back"."""
    instead: str


DETACHED = Way("passes the values on without their path back", "the tensor itself, without detach or .data")
NUMBER = Way("makes a Python number, which has no path back", "the tensor itself in the loss")
ARRAY = Way("leaves torch, and no gradient follows", "torch's own functions in place of numpy's")
LIST = Way("makes Python numbers, which have no path back", "the tensor itself in the loss")
NEW = Way("makes a new tensor without a path back", "the tensor itself, or torch.stack for a list of tensors")
PARAMETER = Way(
    "makes a new leaf of a result, without its path back", "the result itself; nn.Parameter belongs in __init__"
)
BLOCK = Way("turns gradients off for the code under it", "requires_grad_(False) on the weights that are to stay")
COMPARED = Way(
    "returns true or false, which have no gradient",
    "the compared values themselves in the loss, or a sigmoid for the step",
)
INDEX = Way(
    "returns positions, which have no gradient", "softmax weights in its place, or the values at those positions"
)
CAST = Way("makes integers, which have no gradient", "the floating-point values")
STEP = Way(
    "is flat, so its derivative is zero",
    "a straight-through estimator, x + (step(x) - x).detach()",
)
WRITTEN = Way(
    "writes values into a tensor that has no path back",
    "torch.stack or torch.cat of the parts",
)
COPIED = Way("makes a copy without a path back", "the tensor or module itself, or .clone()")
DERIVATIVE = Way("returns a derivative without a path back", "create_graph=True")
FUNCTION = Way(
    "returns no gradient for its input", "a backward() that returns a gradient for each input that needs one"
)
OTHER = Way("returns a result without a path back", "torch functions that have a derivative")

_NAMES: dict[Way, str] = {
    DETACHED: "detach data",
    NUMBER: "item float int index bool complex",
    ARRAY: "numpy array from_numpy",
    LIST: "tolist",
    NEW: "tensor new_tensor as_tensor asarray Tensor FloatTensor DoubleTensor HalfTensor LongTensor IntTensor "
    "BoolTensor stack full",
    PARAMETER: "Parameter",
    BLOCK: "no_grad inference_mode set_grad_enabled",
    COMPARED: "gt lt ge le eq ne greater less greater_equal less_equal not_equal isclose logical_and logical_or logical_not "
    "isnan isfinite isinf",
    INDEX: "argmax argmin argsort topk sort max min multinomial bucketize searchsorted nonzero argwhere one_hot kthvalue "
    "mode median unique",
    CAST: "long to type byte short char type_as",
    STEP: "round floor ceil trunc fix sign heaviside bernoulli floor_divide floordiv ifloordiv div divide",
    WRITTEN: "setitem copy set fill add iadd index_copy scatter masked_fill",
    COPIED: "deepcopy",
    DERIVATIVE: "grad",
    FUNCTION: "Function",
}
WAYS = {name: way for way, names in _NAMES.items() for name in names.split()}

OF_A_MASK = Way(NEW.what, COMPARED.instead)

SHORT = 48
"""Characters of an expression in a message."""


COMPARISON = re.compile(r"[<>]|[!=]=|\.(gt|lt|ge|le|eq|ne)\(")


def way_of(cut: Operation) -> Way:
    """What the expression does to the path, and what to write instead."""
    if cut.name in ("int", "bool") and cut.output_shape:
        return CAST
    way = WAYS.get(cut.name, OTHER)
    if way is NEW and cut.location is not None and COMPARISON.search(cut.location.text):
        return OF_A_MASK
    return way


def expression(cut: Operation) -> str:
    """The expression as it stands in the source, short, with its place: "`x.detach()` at 12:9"."""
    if cut.location is None:
        return cut.name
    text = re.sub(r"\s+", " ", cut.location.text).strip()
    if len(text) > SHORT:
        text = text[: SHORT - 1].rstrip() + "…"
    return f"`{text or cut.name}` at {cut.location.line}:{cut.location.column}"
