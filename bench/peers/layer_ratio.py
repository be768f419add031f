"""First-layer ÷ last-layer gradient norm: more than three decades apart is vanishing or exploding."""

from __future__ import annotations

from bench.peers.watch import Subject

NAME = "first-last-ratio"
REFERENCE = (
    "Glorot & Bengio, AISTATS 2010 (gradients by layer); Nielsen, Neural Networks and Deep Learning, ch. 5; the bound is "
    "AUTOTRAINER's 1e-3, taken both ways"
)
COST = "one forward and backward pass, two norms"

DECADES = 1e3


def judge(subject: Subject) -> str | None:
    gradients = subject.first.gradients
    first, last = float(gradients[0].norm()), float(gradients[-1].norm())
    healthy = last > 0 and 1 / DECADES <= first / last <= DECADES
    return None if healthy else f"first {first:.1e}, last {last:.1e}"
