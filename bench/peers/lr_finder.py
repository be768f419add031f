"""The learning-rate finder: a mock training while the rate grows; the set-up's own rate against the curve.

fastai's: 100 steps from 1e-7 to 10, ended where the smoothed loss passes four times the best. It suggests a tenth of the rate
at the minimum. It gives no verdict of its own; the alarm read into it is: no rate brings the loss down by a hundredth, or
the set-up's rate lies above the one at the minimum, or three decades below the suggestion.
"""

from __future__ import annotations

import math

from bench.corpus.case import objective
from bench.peers.watch import Subject

NAME = "lr-finder"
REFERENCE = "Smith, WACV 2017; fastai's LRFinder (start_lr 1e-7, end_lr 10, num_it 100, stop_div at 4 × the best)"
COST = "up to 100 training steps"

START, END, STEPS, DIVERGED, SMOOTHING = 1e-7, 10.0, 100, 4.0, 0.98
FALL, TIMID = 0.01, 1e-3


def judge(subject: Subject) -> str | None:
    rates, losses = _curve(subject)
    if not losses:
        return "the loss is not finite at any rate"
    best = min(range(len(losses)), key=losses.__getitem__)
    if losses[best] > (1 - FALL) * losses[0]:
        return f"no rate brings the loss down: {losses[0]:.3g} to {losses[best]:.3g}"
    rate = float(subject.fresh().optimizer.param_groups[0]["lr"])
    if rate > rates[best]:
        return f"rate {rate:g} above the minimum's {rates[best]:.1e}"
    return f"rate {rate:g} far below {rates[best] / 10:.1e}" if rate < TIMID * rates[best] / 10 else None


def _curve(subject: Subject) -> tuple[list[float], list[float]]:
    """Rates and smoothed losses (exponential mean, bias corrected)."""
    made = subject.fresh()
    made.model.train()
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for step in range(STEPS):
        rate = START * (END / START) ** (step / (STEPS - 1))
        for group in made.optimizer.param_groups:
            group["lr"] = rate
        made.optimizer.zero_grad()
        loss, _ = objective(made, made.batches(step))
        now = float(loss.detach())
        if not math.isfinite(now):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * now
        smooth = mean / (1 - SMOOTHING ** (step + 1))
        rates.append(rate)
        losses.append(smooth)
        if smooth > DIVERGED * min(losses):
            break
        loss.backward()
        made.optimizer.step()
    return rates, losses
