"""The quantities that rules compare with thresholds, each as a function of what a check measured.

A quantity is None where the record has nothing to measure it on.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from steadygrad.record import CheckRecord
from steadygrad.rules import thresholds
from steadygrad.rules.read_steptest import informed_fall
from steadygrad.rules.read_trunk import body, lost, taken_by
from steadygrad.rules.sg102_saturated_activation import SQUASHING
from steadygrad.rules.sg105_collapsed_representation import SPREAD

Quantity = Callable[[CheckRecord], float | None]


def _spread_growth(record: CheckRecord) -> float | None:
    """Only where there is hardly any: elsewhere growth says nothing."""
    before = record.trace.output_spread
    if before is None or before >= SPREAD:
        return None
    after = record.trial.first.output_spread_after if record.trial is not None else None
    return after / before if after is not None and before > 0 else None


def _updates(record: CheckRecord) -> list[float]:
    return [p.update_ratio for p in record.trace.parameters if p.update_ratio is not None and len(p.shape) > 1]


def _entropy(record: CheckRecord) -> float | None:
    return min((o.attention_entropy for o in record.trace.operations if o.attention_entropy is not None), default=None)


def _dead(record: CheckRecord) -> float | None:
    return max((o.saturation.dead_share for o in record.trace.operations if o.saturation is not None), default=None)


def _saturated(record: CheckRecord) -> float | None:
    return max(
        (o.saturation.saturated_share for o in record.trace.operations if o.saturation is not None), default=None
    )


def _input(record: CheckRecord) -> float | None:
    mean, std = record.trace.input_mean, record.trace.input_std
    return None if mean is None or std is None else max(abs(mean), std)


def _output(record: CheckRecord) -> float | None:
    outputs = (o.output for o in record.trace.operations if o.output is not None and o.module_type)
    return max((max(output.std, abs(output.mean)) for output in outputs), default=None)


def _squashed(record: CheckRecord) -> float | None:
    shrinking = -sum(min(0.0, step.decades) for step in body(record.trace) if math.isfinite(step.decades))
    if shrinking < thresholds.DECADES_AT_RISK:
        return None
    taken, _ = taken_by(record.trace, lambda operation: operation.name in SQUASHING)
    return -taken / shrinking


def _unreached(record: CheckRecord) -> float | None:
    known = [p for p in record.trace.parameters if p.requires_grad and p.registered]
    lost_ones = sum(math.prod(p.shape) for p in known if p.used and not p.connected)
    return lost_ones / max(1, sum(math.prod(p.shape) for p in known))


COST = "cost in plain steps"


def _cost(record: CheckRecord) -> float | None:
    return record.cost.total / record.cost.plain if record.cost.plain else None


QUANTITIES: dict[str, Quantity] = {
    "steps": lambda r: r.trial.steps if r.trial is not None else None,
    COST: _cost,
    "informed fall in ten steps": lambda r: informed_fall(r.trial.first) if r.trial is not None else None,
    "informed fall in all steps": lambda r: informed_fall(r.trial) if r.trial is not None else None,
    "greatest rise in one step": lambda r: r.trial.first.greatest_rise if r.trial is not None else None,
    "predicted first fall": lambda r: r.trial.predicted_first if r.trial is not None else None,
    "decades lost on the trunk": lambda r: lost(r.trace, r.trial) if r.trace.trunk is not None else None,
    "spread of the output": lambda r: r.trace.output_spread,
    "growth of the spread, where under 1e-7": _spread_growth,
    "greatest update ratio": lambda r: max(_updates(r), default=None),
    "greatest dead share": _dead,
    "greatest saturated share": _saturated,
    "least attention entropy": _entropy,
    "decades lost per recurrent step": lambda r: max((-x.decades_per_step for x in r.trace.recurrences), default=None),
    "decades lost in a recurrence": lambda r: max((-x.decades for x in r.trace.recurrences), default=None),
    "decades gained in a recurrence": lambda r: max((x.decades for x in r.trace.recurrences), default=None),
    "underflow share": lambda r: r.trace.underflow_share,
    "fall in ten steps, either way": lambda r: abs(r.trial.first.fall) if r.trial is not None else None,
    "weight decay's part ÷ the gradient's": lambda r: r.trial.decay if r.trial is not None else None,
    "input, greater of std and |mean|": _input,
    "greatest output, std or |mean|": _output,
    "decades of squashing, of what shrinks": _squashed,
    "elements used, but not reached": _unreached,
}


def measured(record: CheckRecord) -> dict[str, float]:
    """Every quantity that is known of a record."""
    found = {what: measure(record) for what, measure in QUANTITIES.items()}
    return {what: value for what, value in found.items() if value is not None and not math.isnan(value)}
