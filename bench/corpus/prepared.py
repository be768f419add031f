"""What training and judging need of a set-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.suite.case import Made


@dataclass(frozen=True)
class Prepared:
    """A set-up, its score so far by the law of the table, and how many steps it may take."""

    made: Made
    score: Callable[[], float]
    budget: int
    learnable: float | None = None
    """Share of the constant answer's loss that the best known training takes; None where the score says it all."""
