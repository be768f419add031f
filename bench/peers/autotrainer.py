"""AUTOTRAINER's gradient rules: first ÷ last kernel gradient, share of zero gradients, NaN.

The published tool asks them once accuracy disappoints after a third of a training; here they are asked at every step of
the short run, each step in an epoch's place: one symptom at one step is an alarm, as its threshold of one count has it.
"""

from __future__ import annotations

from bench.peers.watch import Step, Subject, finite

NAME = "autotrainer"
REFERENCE = "Zhang et al., ICSE 2021; github.com/shiningrain/AUTOTRAINER, utils/monitor.py, gradient_issue"
COST = "30 training steps, every gradient read"

# Defaults of gradient_issue: beta_1, beta_2, beta_3, gamma; nan_loss of loss_issue.
RATIO_VANISHED, FIRST_VANISHED, RATIO_EXPLODED, ZERO_SHARE, LOSS_EXPLODED = 1e-3, 1e-4, 70.0, 0.7, 1e5


def judge(subject: Subject) -> str | None:
    return next((alarm for step in subject.run if (alarm := _symptom(step)) is not None), None)


def _symptom(step: Step) -> str | None:
    gradients = (*step.gradients, *step.biases)
    if not finite(*gradients) or not step.loss < LOSS_EXPLODED:
        return f"exploding: loss {step.loss:.3g} or a gradient that is no number"
    norms = [float(gradient.norm()) for gradient in step.gradients]
    ratio = norms[0] / norms[-1] if norms[-1] > 0 else float("inf") if norms[0] > 0 else 0.0
    if ratio < RATIO_VANISHED and norms[0] < FIRST_VANISHED:
        return f"vanishing gradient: first ÷ last {ratio:.1e}, first {norms[0]:.1e}"
    if ratio > RATIO_EXPLODED:
        return f"exploding gradient: first ÷ last {ratio:.3g}"
    zeros = sum(int((gradient == 0).sum()) for gradient in gradients) / sum(g.numel() for g in gradients)
    return f"dying ReLU: {zeros:.0%} of the gradient is 0" if zeros >= ZERO_SHARE else None
