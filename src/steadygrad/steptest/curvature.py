"""The largest curvature of the loss where the steps of plain gradient descent first make it leap, and a rate that it bears.

On a quadratic of curvature λ, gradient descent at a rate over 2 ÷ λ moves ever further from the minimum. The steps are taken
once more on a copy, and stop in front of the leap; a few power iterations give λ there. A product of the Hessian and a vector is
the difference of two gradients, which every operation has, also one without a second derivative. Since λ grows while a net
trains, the rate 2 ÷ λ is tried too, and lowered until its steps leap no more. Judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from steadygrad.probe.backward import put_back
from steadygrad.record import StepTest
from steadygrad.record.steptest import Curvature
from steadygrad.rules import thresholds
from steadygrad.steptest.at_step import batch_at, gradient_at, stepped_weights
from steadygrad.steptest.plain_step import one_step
from steadygrad.steptest.run_steptest import Stepped
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import SubjectCopy, with_copy

ITERATIONS = 12
"""Products of a power iteration that begins with the gradient, which lies mostly along the greatest curvature."""

REACH = 1e-3
"""Distance of the two gradients, each way, as a share of the weights' norm."""

STEPS = 30
"""At most as many are taken once more; ten are too few for the curvature to grow to what a small rate bears."""

CHEAP = 0.1
"""Seconds of a plain step from which it is left out: the tries take some hundred steps together."""

TRIES = 6
"""Rates that are tried, each 2 ÷ the curvature at the leap of the one before."""


def with_curvature(subject: Subject, stepped: Stepped) -> StepTest:
    """The record with the curvature where its first steps leapt; as it is where none did, or the optimizer is not SGD."""
    record = stepped.record
    if stepped.seconds > CHEAP:
        return record
    losses = record.losses[: STEPS + 1]
    leapt = any(_leaps(before, after, losses[0]) for before, after in pairwise(losses))
    if not leapt and (len(losses) > STEPS or not record.diverged):
        return record
    return replace(record, curvature=_curvature(subject))


def _curvature(subject: Subject) -> Curvature | None:
    first = None
    rate: float | None = None
    for _ in range(TRIES):
        with with_copy(subject) as run:
            own = _plain_rate(run.optimizer)
            if own is None:
                return None
            rate = rate or own[0]
            seen = _in_front_of_the_leap(run, rate)
        if seen is None or seen[1] <= 0:
            break
        first = first or Curvature(seen[0], seen[1], own[0], 2 * (1 + own[1]), None)
        rate = min(2 / seen[1], rate / 2)
    return first and replace(first, stable=rate if seen is None else None)


def _plain_rate(optimizer: torch.optim.Optimizer) -> tuple[float, float] | None:
    """Rate and momentum of gradient descent with one rate; None for any other optimizer, or weights of 16 bits."""
    groups = {(float(g["lr"]), float(g.get("momentum", 0)), bool(g.get("nesterov"))) for g in optimizer.param_groups}
    exact = all(p.dtype in (torch.float32, torch.float64) for g in optimizer.param_groups for p in g["params"])
    if type(optimizer) is not torch.optim.SGD or len(groups) != 1 or not exact:
        return None
    ((rate, momentum, nesterov),) = groups
    return None if nesterov or rate <= 0 else (rate, momentum)


def _in_front_of_the_leap(run: SubjectCopy, rate: float) -> tuple[int, float] | None:
    """The step that makes the loss leap, and the largest curvature before it; None where none of the first does."""
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    outside: list[tuple[Tensor, Tensor | None]] = []
    weights = [parameter for _, parameter in run.copied.named_parameters()]
    before: list[Tensor] = []
    losses: list[float] = []
    try:
        for step in range(STEPS + 1):
            now = [weight.detach().clone() for weight in weights]
            losses.append(one_step(run.copied, run.objective, *batch_at(run, step), outside, None)[0])
            if step and _leaps(losses[-2], losses[-1], losses[0]):
                _put(weights, before)
                return step - 1, _largest(run, step - 1)
            before = now
        return None
    finally:
        put_back(outside)


def _leaps(before: float, after: float, first: float) -> bool:
    return not math.isfinite(after) or after - before > thresholds.LEAP * abs(first)


def _largest(run: SubjectCopy, step: int) -> float:
    """The greatest eigenvalue of the Hessian of one step's loss, by power iterations; 0 or less if none is above."""
    weights = stepped_weights(run)
    here = [weight.detach().clone() for weight in weights]
    reach = REACH * (_norm(here) or 1.0)
    vector = gradient_at(run, step, weights)
    found, shift = 0.0, 0.0
    for at in range(2 * ITERATIONS):
        size = _norm(vector)
        if not size or not math.isfinite(size):
            break
        vector = [one / size for one in vector]
        sides = []
        for way in (reach, -reach):
            _put(weights, [one + way * v for one, v in zip(here, vector, strict=True)])
            sides.append(gradient_at(run, step, weights))
        product = [(up - down) / (2 * reach) for up, down in zip(*sides, strict=True)]
        found = float(sum((a * b).sum() for a, b in zip(vector, product, strict=True)))
        if at >= ITERATIONS - 1 and found > 0:
            break
        # Where a negative eigenvalue is the greatest in size, the Hessian is shifted, so that the greatest stands out.
        shift = max(shift, -found)
        vector = [b + shift * a for a, b in zip(vector, product, strict=True)]
    return found


def _put(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for weight, value in zip(weights, values, strict=True):
            weight.copy_(value)


def _norm(vectors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(one.double().square().sum()) for one in vectors))
