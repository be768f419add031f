"""The depth at which a family stops training: foretold from the laws of depth, found by short real trainings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from steadygrad.record.depth import DepthLimit, Law, Training
from steadygrad.rules import thresholds
from steadygrad.rules.read_steptest import Progress, informed_fall, progress
from steadygrad.scaling.laws import reaches
from steadygrad.steptest.run_steptest import step_test
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

STEPS = 100
FINE = 1.3
"""Neighbouring depths, one that trains and one that fails, are this far apart at most, as a factor."""
DEEPEST = 16
"""Beyond the greatest depth given, as a factor, nothing is tried."""


Laws = tuple[Law, Law, Law]
"""Of activations, gradient and spread."""


def foretold(depths: Sequence[int], laws: Laws) -> tuple[tuple[float, float] | None, str]:
    """Where samples come together for float32, or where gradients run off, whichever comes first; and why."""
    activations, gradient, spread = laws
    together = _between(depths, spread, math.log10(thresholds.SPREAD_FLOOR), math.log10(thresholds.ROUNDING))
    found = [(together, f"samples come together, by {-spread.value:.2g} decades a layer")]
    if activations.kind == gradient.kind == "exponential":
        # A weight's gradient is the product of what it takes and of the gradient of what it gives.
        value, at = activations.value + gradient.value, zip(activations.at, gradient.at, strict=True)
        error = math.hypot(activations.error, gradient.error)
        both = Law("exponential", value, error, tuple(map(sum, at)))
        lost = _between(depths, both, -thresholds.DECADES_LOST, -thresholds.DECADES_DROWNED)
        found.append((lost, f"the gradients of weights fall by {-value:.2g} decades a layer"))
    gained = _between(depths, gradient, thresholds.DECADES_GAINED, thresholds.DECADES_AT_ONCE)
    found.append((gained, f"the gradient grows by {gradient.value:.2g} decades a layer"))
    known = [(ends, why) for ends, why in found if ends is not None]
    return min(known, default=(None, ""))


def _between(depths: Sequence[int], law: Law, first: float, last: float) -> tuple[float, float] | None:
    begins, ends = reaches(depths, law, first), reaches(depths, law, last)
    return (begins[0], ends[1]) if begins is not None and ends is not None else None


def limit_of(
    member: Callable[[int, int], Subject],
    depths: Sequence[int],
    laws: Laws,
    *,
    seconds: float,
    progress_of: Callable[[str], None],
) -> DepthLimit:
    """Train for a few steps at depths around the foretold one, until it is known where that ends or the time is up."""
    predicted, why = foretold(depths, laws)
    found: dict[int, Training] = {}
    begun = time.monotonic()
    depth: int | None = depths[-1]
    while depth is not None and (len(found) < 2 or time.monotonic() - begun < seconds):
        progress_of(f"training at depth {depth}")
        found[depth] = train(member, depth)
        depth = following(found, depths, predicted)
    return DepthLimit(predicted, why, tuple(found[depth] for depth in sorted(found)))


def following(found: dict[int, Training], depths: Sequence[int], predicted: tuple[float, float] | None) -> int | None:
    """The depth to try next: deeper until one fails, shallower until one trains, then between; None: known well enough."""
    fails = min((depth for depth, one in found.items() if one.outcome == "fails"), default=None)
    if fails is None:
        deepest, most = max(found), DEEPEST * depths[-1]
        foreseen = math.ceil(predicted[1]) if predicted and deepest < predicted[1] < most else 2 * deepest
        return None if deepest >= most else min(foreseen, most)
    trains = max((depth for depth, one in found.items() if one.outcome == "trains" and depth < fails), default=None)
    if trains is None:
        return min(found) // 2 or None
    between = round(math.sqrt(trains * fails))
    # Where outcomes between the two are unclear, more of them would not tell more.
    return between if fails > FINE * trains and between not in found else None


def train(member: Callable[[int, int], Subject], depth: int) -> Training:
    """One short training of the model as it is, with its own optimizer."""
    subject = member(depth, 0)
    batches = subject.batches
    with with_copy(subject) as run:
        record = step_test(
            run,
            steps=STEPS,
            batch_of=None if batches is None else batches.to_train_on,
            unseen=() if batches is None else batches.unseen,
        ).record
    now = progress(record)
    outcome = {Progress.LEARNS: "trains", Progress.STALLED: "fails", Progress.BOUNCES: "fails"}.get(now, "unclear")
    return Training(depth, informed_fall(record), outcome)
