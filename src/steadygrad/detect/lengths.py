"""Steps too long for an optimizer of Adam's kind: its second moment is stale.

Adam divides the mean of the gradients by their root mean square, so a step moves an element by the learning rate at most, but
for the order in which gradients came: where they rise within fewer steps than the second moment averages over, the mean
follows and the root mean square does not. The length of a step in learning rates shows it, whatever the weights are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steadygrad.detect.history import WARM, State
from steadygrad.detect.symptoms import Symptom, plain
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Estimates

LONG = 3.0
"""Root mean square of a weight's step ÷ learning rate. The rise of a gradient to 8 to 100 times its size after 3,000 steps makes
it 5.1 to 8.6 under a beta2 of 0.999 or 0.9999, and 1.1 under 0.95. In the 395 healthy runs of ``bench.faults`` the longest are
those of a GAN (2.1), of a critic with its penalty (1.98) and of a run with several tasks (1.69)."""
FELT = 0.03
"""Update ÷ weight of such a step. A generator under a beta2 of 0.999 trains well with steps of up to 4.5 learning rates, 0.011
of a weight; those after such a rise are 0.11 to 0.24 of it."""
STEPS_LONG, AMONG = 5, 10
"""Steps so long, and the steps among which they are."""


def judge_lengths(state: State, estimates: Estimates, *, beta2: float) -> Iterator[Symptom]:
    """Judge the steps of a block. ``beta2``: of the second moment, as the optimizer has it."""
    sizes = np.sqrt(np.array(state.columns.sizes, np.float64))
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = estimates.ratios * (estimates.weights / sizes) / estimates.rates[:, None]
    lengths = np.where(np.isfinite(lengths) & (estimates.ratios >= FELT), lengths, 0.0)
    if not lengths.size or state.seen[-1] < WARM or not lengths.max() >= LONG:
        return
    for at in np.flatnonzero(lengths.max(axis=1) >= LONG):
        step, column = int(estimates.steps[at]), int(np.argmax(lengths[at]))
        if step > state.leap[0] + AMONG or not state.leap[2]:
            state.long_steps.append((step, column, float(lengths[at, column])))
    recent = state.long_steps
    state.long_steps = [one for one in recent if one[0] > int(estimates.steps[-1]) - AMONG]
    begun = next((one[0] for one in recent if sum(one[0] <= o[0] < one[0] + AMONG for o in recent) >= STEPS_LONG), None)
    if begun is None:
        return
    recent = [one for one in recent if one[0] >= begun]
    worst = max(recent, key=lambda one: one[2])
    memory = f"{1 / (1 - beta2):,.0f} steps" if beta2 < 1 else "all steps"
    yield Symptom(
        "SG204",
        Severity.WARNING,
        begun,
        worst[1],
        f"{len(recent)} steps from step {begun:,} on move this weight by up to {plain(worst[2], 2)} times the learning rate, "
        "where gradients like those before move it by the learning rate at most",
        (),
        recent[-1][0],
        cause=f"the second moment is stale: exp_avg_sq (beta2 {beta2:g}) averages over {memory}, and the gradient has risen "
        "since",
        explained=True,
        kind=FaultKind.STALE_MOMENT,
    )
    state.long_steps = []
