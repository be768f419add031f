"""Fixed thresholds on each gradient, as the young monitors have them: below 1e-7 vanishing, above 1e4 exploding."""

from __future__ import annotations

from bench.peers.watch import Subject, finite

NAME = "fixed-thresholds"
REFERENCE = "github.com/johnmarktaylor91/torchlens, gradient_flow_audit; the same 1e-7 in many gradient monitors"
COST = "one forward and backward pass, every gradient's norm"

VANISHED, EXPLODED = 1e-7, 1e4


def judge(subject: Subject) -> str | None:
    first = subject.first
    for gradient in (*first.gradients, *first.biases):
        norm = float(gradient.norm())
        if not finite(gradient) or norm > EXPLODED:
            return f"exploding gradient: {norm:.1e}"
        if norm < VANISHED:
            return f"vanishing gradient: {norm:.1e}"
    return None
