"""What training and judging need of a set-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.corpus.case import Made


@dataclass(frozen=True)
class Prepared:
    """A set-up, its score so far by the law of the table, and how many steps it may take."""

    made: Made
    score: Callable[[], float]
    budget: int
    learnable: float | None = None
    """Share of the constant answer's loss that the best known training takes; None where the score says it all."""
    best: float | None = None
    """Of a case: the share of its evaluation loss that a score of 1 stands for."""
