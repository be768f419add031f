"""What the search found, in words: findings at the lines of the operations. May rely on records alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from steadygrad.numerals import count, number, percent
from steadygrad.record import Severity
from steadygrad.record.precision import HIGHER, OperationRounding, PrecisionFinding, Trained, UpdateRounding

ENOUGH_SHOWN = 4
"""Names in a message; the table has all."""

SWALLOWED = 0.5
"""Share of a weight's moved elements from which the report names it."""


def judged(
    precision: str,
    operations: Sequence[OperationRounding],
    updates: Sequence[UpdateRounding],
    trained: Sequence[Trained],
    loss_scale: float,
    weights: str,
) -> tuple[PrecisionFinding, ...]:
    """All findings, the worst first."""
    found = [
        *_loss_scale(precision, operations, loss_scale, trained),
        *_operations(precision, operations, trained),
        *_weights(precision, updates, weights),
    ]
    return tuple(sorted(found, key=lambda one: one.severity.rank))


def _operations(
    precision: str, operations: Sequence[OperationRounding], trained: Sequence[Trained]
) -> Iterator[PrecisionFinding]:
    kept, higher = [one for one in operations if one.kept], HIGHER[precision]
    if not kept:
        return
    worst = max(kept, key=lambda one: one.harm)
    many = f"{count(len(kept), 'operation')} of {len(operations)} must stay in {higher}"
    names = ", ".join(one.label for one in kept[:ENOUGH_SHOWN]) + (", …" if len(kept) > ENOUGH_SHOWN else "")
    yield PrecisionFinding(
        Severity.ERROR,
        "operations",
        f"{many}: {names}; with all of them in {precision} {lag(trained[0].behind)}{_of_its_weight(worst)}",
        tuple(one.location for one in kept if one.location is not None),
        advice_for(precision, tuple(dict.fromkeys(one.module for one in kept if one.weight))),
    )


def _of_its_weight(one: OperationRounding) -> str:
    """ ", and the gradient of first.weight is 86% off (cosine 0.41)"."""
    if math.isnan(one.weight_error) or math.isnan(one.weight_cosine):
        return ""
    return (
        f", and the gradient of {one.weight} is {percent(one.weight_error)} off (cosine {number(one.weight_cosine, 2)})"
    )


def lag(behind: float) -> str:
    """ "12% of the loss's fall is missing"."""
    return "the loss diverges" if math.isinf(behind) else f"{percent(behind)} of the loss's fall is missing"


def advice_for(precision: str, modules: Sequence[str]) -> str:
    """What to do in the program."""
    if precision in ("bf16", "fp16"):
        return "run these in torch.autocast(device_type, enabled=False), on inputs cast by .float()"
    if not modules:
        return f"leave these products out of the {precision} region: autocast(enabled=False) in Transformer Engine"
    known = ", ".join(repr(one) for one in modules[:ENOUGH_SHOWN]) + (", …" if len(modules) > ENOUGH_SHOWN else "")
    how = "module_filter_fn in torchao, autocast(enabled=False) in Transformer Engine"
    return f"leave {known} out of the conversion: {how}"


def _loss_scale(
    precision: str, operations: Sequence[OperationRounding], loss_scale: float, trained: Sequence[Trained]
) -> Iterator[PrecisionFinding]:
    if loss_scale == 1.0 or not operations:
        return
    worst = max(operations, key=lambda one: one.gradient.flushed)
    yield PrecisionFinding(
        Severity.ERROR,
        "loss-scale",
        f"{percent(worst.gradient.flushed)} of the gradient's elements become zero in {precision} at {worst.label}; without a "
        f"loss scale {lag(trained[0].behind)}",
        () if worst.location is None else (worst.location,),
        f"multiply the loss by {number(loss_scale)} and divide the gradients by it: "
        f"torch.amp.GradScaler(init_scale={loss_scale:.0f})",
    )


def _weights(precision: str, updates: Sequence[UpdateRounding], weights: str) -> Iterator[PrecisionFinding]:
    if weights in ("as they are", "rounded to nearest"):
        return
    worst = max(updates, key=lambda one: one.swallowed, default=None)
    lost = sum(one.swallowed >= SWALLOWED for one in updates)
    seen = ""
    if worst is not None:
        more = f"; more than half in {count(lost, 'weight')}" if lost else ""
        seen = f" ({percent(worst.swallowed)} of the first update of {worst.weight} rounds back{more})"
    stochastic = "is enough" if weights == "rounded stochastically" else "is not enough"
    yield PrecisionFinding(
        Severity.INFO,
        "weights",
        f"weights stored in {precision} alone do not follow{seen}; rounding them stochastically {stochastic}",
        (),
        "keep float32 weights, and let autocast round what is multiplied",
    )
