"""TheDeepChecker's checks before and during the fit of a single batch.

Can one batch be fitted at all; is the first loss the expected one; do updates have a sane size; are gradients and outputs
numbers; are units dead. The repository ships without its settings file, so thresholds named in the paper are the paper's
and the remaining ones (marked) are ours, chosen once.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F

from bench.corpus.case import objective
from bench.peers.watch import Subject, finite

NAME = "thedeepchecker"
REFERENCE = "Ben Braiek & Khomh, TOSEM 2023, arXiv 2204.00694; github.com/thedeepchecker/thedeepchecker, deep_checker"
COST = "100 steps on one batch and 30 training steps, every weight and gradient read"

FIT_STEPS = 100  # Ours.
FITTED = 0.1  # Ours: share of the first loss that may be left when one batch was to be overfitted.
UPDATES = (-4.0, -1.0)  # Of log10 of mean update ÷ mean weight: the paper's, after Bottou's 1e-3.
VANISHED, EXPLODED = 1e-8, 1e8  # Ours; the mean absolute gradient.
DEAD_SHARE = 0.5  # Ours.
OFF_SHARE = 0.5  # Ours: of the expected first loss, log of the number of classes.


def judge(subject: Subject) -> str | None:
    made = subject.fresh()
    made.model.train()
    losses: list[float] = []
    for _ in range(FIT_STEPS):
        made.optimizer.zero_grad()
        loss, output = objective(made, made.batch)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            return "loss is not finite on a single batch"
        loss.backward()
        made.optimizer.step()
    if made.loss_fn is F.cross_entropy:
        expected = math.log(output.shape[1])
        if abs(losses[0] - expected) >= OFF_SHARE * expected:
            return f"first loss {losses[0]:.3g}, expected {expected:.3g}"
    if min(losses) > FITTED * losses[0]:
        return f"cannot fit a single batch: {losses[0]:.3g} to {min(losses):.3g} in {FIT_STEPS} steps"
    return _during(subject)


def _during(subject: Subject) -> str | None:
    run = subject.run
    for before, after in pairwise(run):
        if not finite(*before.gradients):
            return "gradient is not finite"
        for gradient in before.gradients:
            size = float(gradient.abs().mean())
            if not VANISHED <= size <= EXPLODED:
                return f"mean gradient {size:.1e}"
        if not finite(*after.weights):
            return "weights are not finite"
    for place in range(len(run[0].weights)):
        ratios = []
        for before, after in pairwise(run):
            size = float(before.weights[place].abs().mean())
            moved = float((after.weights[place] - before.weights[place]).abs().mean())
            if size > 0 and moved > 0:
                ratios.append(math.log10(moved / size))
        if not ratios:
            return "weights do not train"
        middle = sum(ratios) / len(ratios)
        if not UPDATES[0] <= middle <= UPDATES[1]:
            return f"updates of 1e{middle:.1f} of the weights"
    for activation in run[-1].activations:
        if activation.kind == "relu":
            units = activation.after.flatten(0, -2) if activation.after.ndim > 1 else activation.after[None]
            if float((torch.quantile(units.float().abs(), 0.95, dim=0) < 1e-5).float().mean()) > DEAD_SHARE:
                return "dead layer"
    return None
