"""The cure as numbers: how the start and the learning rate of each weight follow the size of the model.

The maximal update parametrisation (Yang et al. 2022, arXiv:2203.03466, table 3), relative to the smallest size, which stays as
it is. The powers are read off the measured exponents, to the nearest half: so they hold for any optimizer whose step is as
large whatever the gradient, and for a model that has a part of the parametrisation already.
"""

from __future__ import annotations

import math
from statistics import median

from steadygrad.record.scale import ScaleRecord, WeightScale
from steadygrad.scaling.judge import reading_out

_UPDATES = {
    True: {"input": 0.0, "hidden": 1.0, "output": 1.0, "vector": 0.0},
    False: {"input": -0.5, "hidden": 0.5, "output": 1.0, "vector": -0.5},
}
"""Exponents of updates at 1/√fan-in and one rate, by whether the optimizer is adaptive and by role: for what no step moved."""

_READ_OUT = -0.5
"""Power of size for the gain of a weight that reads out: it starts so small that what is learned soon outgrows it."""


def powers(found: ScaleRecord, name: str) -> tuple[float, float]:
    """The powers of size ÷ smallest size for the start and for the rate of one parameter."""
    tied = reading_out(found.weights)
    one = next((one for one in found.weights if one.name == name and one not in tied), None)
    if one is None or one.role == "fixed":
        return 0.0, 0.0
    start, rate = _start(one), -_halves(_update(found, one))
    if not found.adaptive and one.role != "output":
        # The gradients of all that lies before the output layer go with its start.
        rate -= _start(_head(found))
    if name in _queries(found, packed=False):
        # 1/d in place of 1/√d, taken into the queries: a step of Adam's is as large as its rate, one of SGD's goes with it twice.
        start, rate = start - 0.5, rate - (0.5 if found.adaptive else 1.0)
    return start, rate


def multipliers(found: ScaleRecord) -> dict[str, float]:
    """For each weight that embeds and reads out, the power of what it reads out; for packed queries, that of the logits."""
    tied = {one.name: -_halves(_update(found, one)) for one in reading_out(found.weights)}
    return {**tied, **dict.fromkeys(_queries(found, packed=True), -0.5)}


def _queries(found: ScaleRecord, *, packed: bool) -> list[str]:
    """The weights that make the queries of attentions whose logits are divided by √d, with their biases."""
    named = {name for one in found.findings if one.kind == "attention" for name in one.weights}
    weights = [one.queries for one in found.attentions if one.queries in named and one.packed == packed]
    return [*weights, *(name.removesuffix("weight") + "bias" for name in weights if not packed)]


def _start(one: WeightScale | None) -> float:
    if one is None or math.isnan(one.gain.value):
        return 0.0
    if one.role == "output":
        return min(0.0, _halves(_READ_OUT - one.gain.value))
    return -_halves(one.gain.value) if one.role in ("input", "hidden") else 0.0


def _head(found: ScaleRecord) -> WeightScale | None:
    """The last weight that reads out."""
    return next((one for one in reversed(found.weights) if one.role == "output"), None)


def _update(found: ScaleRecord, one: WeightScale) -> float:
    """The exponent of a weight's update; where no gradient reached it yet, that of its role."""
    if not math.isnan(one.update.value):
        return one.update.value
    known = [other.update.value for other in found.weights if other.role == one.role]
    known = [value for value in known if not math.isnan(value)]
    return median(known) if known else _UPDATES[found.adaptive].get(one.role, 0.0)


def _halves(power: float) -> float:
    return round(2 * power) / 2
