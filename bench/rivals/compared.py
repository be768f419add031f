"""What counts as ahead, decided before anything was measured; knows the record and no words.

A cell is a net and a rival. Both are means over the seeds: the rival's at the best rate of its grid, ours at the rates that the
cure chose. Loss: ours is *ahead or equal* where it is at most ``TOLERANCE`` times the rival's, or where both are below ``FLOOR``:
there the right class has a probability of 95 %, and what is left is the noise of twenty batches. *Strictly* asks that it is no
higher, with no tolerance and no floor. Accuracy: ahead or equal where ours is at most ``POINT`` below; strictly, no lower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bench.rivals.listed import ALONE, OURS, RIVALS
from bench.rivals.measure import FIRST, SECOND, Row
from bench.rivals.nets import NETS

TOLERANCE, FLOOR, POINT = 1.05, 0.05, 0.01


@dataclass(frozen=True)
class Score:
    """Of one way on one net: means over the seeds."""

    loss: float
    accuracy: float
    rates: tuple[float, ...]
    """One a seed where they differ."""


@dataclass(frozen=True)
class Cell:
    """A net and a rival."""

    net: str
    rival: str
    ours: Score
    theirs: Score

    @property
    def lower(self) -> bool:
        return self.ours.loss <= self.theirs.loss

    @property
    def low_enough(self) -> bool:
        ours, theirs = self.ours.loss, self.theirs.loss
        return ours <= TOLERANCE * theirs or max(ours, theirs) < FLOOR

    @property
    def as_right(self) -> bool:
        return self.ours.accuracy >= self.theirs.accuracy

    @property
    def right_enough(self) -> bool:
        return self.ours.accuracy >= self.theirs.accuracy - POINT - 1e-9


def _mean(rows: list[Row]) -> Score:
    losses = [math.inf if row.loss is None else row.loss for row in rows]
    rates = tuple(dict.fromkeys(row.rate for row in rows))
    return Score(sum(losses) / len(rows), sum(row.accuracy for row in rows) / len(rows), rates)


def scores(rows: Iterable[Row]) -> dict[tuple[str, str], Score]:
    """By net and way, where both seeds are there; of a rival at the rate with the least loss."""
    kept = list(rows)
    found: dict[tuple[str, str], Score] = {}
    for net in NETS:
        for way in (*OURS, ALONE, *RIVALS):
            mine = [row for row in kept if (row.net, row.way) == (net.title, way)]
            groups = (
                [mine]
                if way in OURS
                else [[row for row in mine if row.rate == rate] for rate in {r.rate for r in mine}]
            )
            whole = [_mean(group) for group in groups if {row.seed for row in group} == {FIRST, SECOND}]
            if whole:
                found[net.title, way] = min(whole, key=lambda score: score.loss)
    return found


def cells(found: dict[tuple[str, str], Score], ours: str) -> list[Cell]:
    """Every net and rival that were measured, beside one of ours."""
    return [
        Cell(net, way, found[net, ours], score)
        for (net, way), score in found.items()
        if way in RIVALS and (net, ours) in found
    ]
