"""The guard's record of a run: alarms, what was done about them, and what looks cost. Standard library only.

The series (one row of gradient norms a step) live in the journal; these records are few, and are kept for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from steadygrad.record.finding import Finding, Severity
from steadygrad.record.span import Location


@dataclass(frozen=True, slots=True)
class Sign:
    """One quantity that left its usual range around an alarm: what, when it first did, where, and by how much."""

    kind: str
    """ "batch", "forward", "loss", "gradient", "moments", "weights" or "rate"."""
    step: int
    """The first step at which it was outside its usual range."""
    where: str = ""
    """The parameter or operation ("" = the whole model)."""
    factor: float = float("nan")
    """Its value at that step ÷ its usual one; NaN = not known."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One incident with one cause: where and when it began, what it reached, and whether it has ended."""

    number: int
    """1 for the first alarm of a run."""
    step: int
    """The optimizer step at which it began, the first step of the run being 1."""
    code: str
    name: str
    severity: Severity
    parameter: str
    """The first parameter by which it showed ("" = the whole model)."""
    message: str
    """One line: what was seen, with the number."""
    cause: str = ""
    """The cause, where it is known."""
    location: Location | None = None
    action: str = "warned"
    optimizer: int = 0
    """The number of the guarded optimizer, from 0."""
    delay: int = 0
    """Steps by which the beginning may be later than it is said: those that were not watched before it."""
    noticed: int = 0
    """The step at which it was reported."""
    last_step: int = 0
    """The last step at which it was seen."""
    ended: bool = False
    others: int = 0
    """The number of further parameters that it reached."""
    symptoms: tuple[str, ...] = ()
    """Codes of what else was seen meanwhile, and is put down to the same cause."""
    rank: int | None = None
    """The process in which it began, where that is known."""
    advice: str = ""
    """The next step a person would take: a command or one line of code."""
    first_sign: str = ""
    """The first sign, in words: "the update of layers.2.weight, 6 steps before the loss"."""
    signs: tuple[Sign, ...] = ()
    """The quantities that left their usual range, in the order of their steps."""
    rows: tuple[int, ...] = ()
    """Samples of the batch without which the norm is usual, counted from 0."""


@dataclass(frozen=True, slots=True)
class Action:
    """The guard's action on a run, and the state before it."""

    step: int
    kind: str
    """ "skip", "lower", "clip", "rollback", "stop" or "call"."""
    alarm: int
    """Number of the alarm that it answers."""
    message: str
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """A full probe of one step of the run."""

    step: int
    verdict: str
    findings: tuple[Finding, ...]
    seconds: float
    decades: float | None = None
    """log10 gain of the trunk, where there was one."""
    note: str = ""
    """The parts that could not be seen, or why there was no look."""
    alarm: int | None = None
    """The alarm that asked for it; None for a look by the clock."""
    steps: int = 0
    """Steps that were taken on a copy: before the first step of a run; 0 = the probe alone."""
    fall: float | None = None
    """Relative fall of the loss in those steps."""
    settled: bool = True
    """Whether they settle that it learns."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One parameter that is watched: its column in the rows of norms."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    optimizer: int
