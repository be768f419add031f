"""The result of an experiment: readings that test its claim, and figures as data.

Frozen and plain, so that one outcome is drawn in a terminal, a picture, a page and JSON alike. Knows nothing of torch,
of how a number was measured, or of how a figure is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Numbers = Sequence[float]

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted at these settings", "undecided at these settings"


@dataclass(frozen=True)
class Reading:
    """One number that was measured, its interval, and the range in which the claim holds. Raises ``ValueError``."""

    what: str
    value: float
    low: float
    high: float
    """95 % interval around ``value``; equal to it for a number without chance in it."""
    unit: str = ""
    least: float = -math.inf
    greatest: float = math.inf
    """The claim needs a number from ``least`` to ``greatest``."""

    def __post_init__(self) -> None:
        _as_floats(self, "value", "low", "high", "least", "greatest")
        if any(map(math.isnan, (self.value, self.low, self.high))):
            raise ValueError(f"the reading {self.what!r} is not a number")
        if self.least == -math.inf and self.greatest == math.inf:
            raise ValueError(f"the reading {self.what!r} has neither least nor greatest, so nothing could refute it")
        if self.low > self.value or self.value > self.high:
            raise ValueError(
                f"the reading {self.what!r} is {self.value}, outside its interval {self.low} to {self.high}"
            )

    @property
    def verdict(self) -> str:
        """Supported with the whole interval in the range, refuted with all of it outside, else undecided."""
        if self.least <= self.low and self.high <= self.greatest:
            return SUPPORTED
        return REFUTED if not (self.high >= self.least and self.low <= self.greatest) else UNDECIDED


def _as_floats(record: object, *names: str) -> None:
    for name in names:
        object.__setattr__(record, name, float(getattr(record, name)))


@dataclass(frozen=True)
class Curve:
    """Points of one quantity, in order; a value that is not finite leaves a gap.

    Any sequence of numbers will do, an array or a tensor too. Raises ``ValueError`` for unequal lengths.
    """

    name: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    """A band around ``y``; empty = none."""
    style: Literal["line", "dashed", "points"] = "line"
    """Measured: line or points. Expected from theory: dashed."""

    def __post_init__(self) -> None:
        for name in ("x", "y", "low", "high"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        for values in (self.y, *(band for band in (self.low, self.high) if band)):
            if len(values) != len(self.x):
                raise ValueError(f"the curve {self.name!r} has {len(self.x)} x but {len(values)} of another")
        if bool(self.low) != bool(self.high):
            raise ValueError(f"the curve {self.name!r} has one side of a band; give low and high, or neither")


@dataclass(frozen=True)
class Panel:
    """Curves over the same axes. Raises ``TypeError`` for what is no curve."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    x_log: bool = False
    y_log: bool = False
    y_range: tuple[float, float] | None = None
    """Limits of the y axis; None = those of the data."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "curves", tuple(self.curves))
        for curve in self.curves:
            if not isinstance(curve, Curve):
                raise TypeError(f"the panel {self.title!r} holds {type(curve).__name__}, expected Curve")


@dataclass(frozen=True)
class Box:
    """A labelled box, or a plain label, or the sign of an addition, centred at (x, y)."""

    text: str
    x: float
    y: float
    kind: Literal["box", "label", "sum"] = "box"


@dataclass(frozen=True)
class Arrow:
    """A line through points, with a head at the last one."""

    points: tuple[tuple[float, float], ...]
    strong: bool = False


@dataclass(frozen=True)
class Diagram:
    """A block diagram; x grows to the right, y upwards, a box is about 2 by 1."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    text: str
    """The same for a terminal, in lines of at most 76 cells."""
    alt: str
    """The same for who cannot see it."""


@dataclass(frozen=True)
class Outcome:
    """The measurements of an experiment.

    Raises ``ValueError`` without a reading, since a claim is tested by a number, and ``TypeError`` for parts of another kind.
    """

    readings: tuple[Reading, ...]
    figures: tuple[Panel | Diagram, ...] = ()
    seen: str = ""
    """One or two sentences with the numbers that matter."""

    def __post_init__(self) -> None:
        for name, kinds in (("readings", (Reading,)), ("figures", (Panel, Diagram))):
            parts = tuple(getattr(self, name))
            object.__setattr__(self, name, parts)
            for part in parts:
                if not isinstance(part, kinds):
                    known = " or ".join(kind.__name__ for kind in kinds)
                    raise TypeError(f"{name} of an outcome holds {type(part).__name__}, expected {known}")
        if not self.readings:
            raise ValueError("an outcome needs at least one reading: a claim is tested by a number")

    @property
    def verdict(self) -> str:
        """Refuted where one reading is, undecided where one is, else supported."""
        verdicts = {reading.verdict for reading in self.readings}
        return next(one for one in (REFUTED, UNDECIDED, SUPPORTED) if one in verdicts)


@dataclass(frozen=True)
class Ran:
    """One run of an experiment: what it said of itself, with which parameters, and what came out."""

    name: str
    summary: str
    sections: Mapping[str, str]
    """Text by heading: Claim, Source, Measurement, Refuted by."""
    parameters: Mapping[str, int | float | str | bool]
    seed: int
    quick: bool
    outcome: Outcome
    seconds: float
    changed: tuple[str, ...] = field(default=())
    """Names of parameters that were set by hand."""
