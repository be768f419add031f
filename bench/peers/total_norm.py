"""The total gradient norm, as trainers log it: healthy between 1e-3 and 100, by the usual advice."""

from __future__ import annotations

import math

from bench.peers.watch import Subject

NAME = "total-norm"
REFERENCE = (
    "Pascanu, Mikolov & Bengio, ICML 2013 (the norm as the measure of explosion); Lightning's track_grad_norm; "
    "the bounds are rules of thumb that published guides give"
)
COST = "one forward and backward pass, one norm"

LEAST, GREATEST = 1e-3, 100.0


def judge(subject: Subject) -> str | None:
    first = subject.first
    norm = math.sqrt(sum(float(gradient.norm()) ** 2 for gradient in (*first.gradients, *first.biases)))
    return None if LEAST <= norm <= GREATEST else f"total norm {norm:.1e}"
