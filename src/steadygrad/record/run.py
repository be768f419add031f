"""A training run as its journal holds it: what was watched, the series, and what was said and done.

Arrays are numpy's, but only their owner makes them: nothing here imports numpy, and nothing knows of files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from steadygrad.record.training import Action, Alarm, Look, Watched

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Norms = NDArray[np.float32]
    Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Session:
    """One process's part of a journal: a run that was resumed has several."""

    number: int
    """1 for the first."""
    started: float
    """Seconds since the epoch, as are the other times."""
    written: float
    """When it last wrote."""
    finished: float | None
    """When it was closed; None while it runs, and for ever if it was killed."""
    host: str = ""
    process: int = 0


@dataclass(frozen=True, eq=False)
class LossSeries:
    """The loss of one of several optimizers, on the points of the run's series: arrays of shape (points,)."""

    optimizer: int
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Series:
    """The course of a run on at most so many points, each of one step or of several neighbours.

    Arrays of shape (points,), (points, optimizers) or (points, parameters). NaN: not known there.
    """

    steps: Counts
    """The first step of each point."""
    last_steps: Counts
    times: Floats
    """Seconds since the epoch at the first step; a machine that slept makes a jump."""
    counts: Counts
    """(points, optimizers): rows that were read, 0 where this optimizer did not step."""
    high: Floats
    """(points, optimizers): greatest norm of the whole gradient before any clip; infinite where one was not a number."""
    low: Floats
    """(points, optimizers): the least."""
    after_high: Floats
    """(points, optimizers): the greatest after the clip (the same where nothing is clipped)."""
    after_low: Floats
    """(points, optimizers): the least after the clip."""
    factors: Floats
    """(points, optimizers): least factor by which the clip scaled; 1 = nothing was clipped."""
    clipped: Counts
    """(points, optimizers): rows that were clipped."""
    rates: Floats
    """(points, optimizers): learning rate."""
    norms: Norms
    """(points, parameters): geometric mean of the gradient's norm; NaN = no gradient."""
    peaks: Norms
    """(points, parameters): its maximum."""
    losses: Floats
    """(points,): mean of the loss, that of the first optimizer where each has its own."""
    loss_low: Floats
    loss_high: Floats
    other_losses: tuple[LossSeries, ...] = ()
    """The losses of further optimizers, where they were given."""

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.steps)


@dataclass(frozen=True, eq=False)
class Weights:
    """The rare measurements: arrays of shape (points, parameters), NaN where nothing was measured."""

    steps: Counts
    norms: Norms
    ratios: Norms
    """Norm of the update ÷ norm of the weight."""


@dataclass(frozen=True, eq=False)
class Extremes:
    """The least and the greatest total norm among the processes of a distributed run, and whose they were."""

    steps: Counts
    lowest: Floats
    highest: Floats
    lowest_rank: Counts
    highest_rank: Counts


@dataclass(frozen=True, slots=True)
class Note:
    """A line about the run itself."""

    step: int
    text: str


@dataclass(frozen=True, eq=False)
class Run:
    """One session of a journal, as far as it was written when it was read."""

    path: str
    session: int
    sessions: tuple[Session, ...]
    about: dict[str, str | float]
    watched: tuple[Watched, ...]
    """In depth order: the columns of the series' norms."""
    steps: int
    """The number of the last step."""
    interval: float
    """Every so many steps the norms are read; NaN where it is not known."""
    clipped_share: float
    """Of the rows that were read, in [0, 1]."""
    series: Series
    weights: Weights
    extremes: Extremes
    alarms: tuple[Alarm, ...] = ()
    actions: tuple[Action, ...] = ()
    looks: tuple[Look, ...] = ()
    notes: tuple[Note, ...] = ()
    summary: dict[str, float] = field(default_factory=dict)

    @cached_property
    def this(self) -> Session:
        """The session that was read."""
        return next(one for one in self.sessions if one.number == self.session)

    @property
    def finished(self) -> bool:
        """Return whether its journal was closed."""
        return self.this.finished is not None

    @cached_property
    def optimizers(self) -> int:
        """Return the number of watched optimizers; at least 1."""
        return 1 + max((one.optimizer for one in self.watched), default=0)
