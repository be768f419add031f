"""Symptoms over several looks: attention whose logits grow, gains of norms that drift until a layer behind them saturates.

One look says how an operation is now; these say what the run has made of it. Plain numbers of each look in, symptoms out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from steadygrad.detect.symptoms import Symptom, plain, times
from steadygrad.numerals import percent
from steadygrad.record import Location, Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns

LOGITS = 10.0
"""Standard deviation of an attention's logits from which they are large. Healthy, in the transformers of ``bench.faults``: at
most 4.3; where queries and keys learn at 0.03: 27 after 50 steps, 400 after 500."""
LOGITS_GROWN = 4.0
"""The multiple of the least of the run that it must be, and go on growing: attention that was pretrained is sharp from the first
look on. Healthy runs from scratch grow by up to 12."""
SURE = 0.2
"""Entropy of the attention's weights, as a share of that of equal ones, below which they attend to few positions (SG305).
Healthy: at least 0.33."""
GAIN_GROWN = 3.0
"""Root mean square of a norm's gain against its least of the run. Healthy, in five runs with norms: at most 1.8."""
SATURATED, MORE = 0.5, 0.3
"""Share of an activation's units that are saturated, and by how much it has risen since the first look. Healthy: by 0.06; at a
gain of 4.9 in front of a tanh 0.69."""

Key = tuple[int, str, str]
"""Position in the order of execution, torch's name, and the module."""


@dataclass(frozen=True)
class Seen:
    """One operation at one look; None for what it does not have."""

    parameter: str
    """The weight that its input comes from, of a norm's gain the gain itself; "" = none."""
    location: Location | None
    logits: float | None = None
    """Standard deviation of the logits of an attention."""
    entropy: float | None = None
    saturated: float | None = None
    """Share of the units of an activation whose derivative is below 5 % of its greatest."""
    gain: float | None = None
    """Root mean square of the gain of the norm in front of an activation."""


@dataclass
class Course:
    """What the looks at one model have shown so far."""

    steps: list[int] = field(default_factory=list)
    first: dict[Key, Seen] = field(default_factory=dict)
    last: dict[Key, Seen] = field(default_factory=dict)
    least_logits: dict[Key, tuple[float, int]] = field(default_factory=dict)
    least_gain: dict[Key, tuple[float, int]] = field(default_factory=dict)
    told: dict[FaultKind, float] = field(default_factory=dict)
    """How much had grown when that was last said: it is said again when it is twice as much."""


def judge_look(
    course: Course, step: int, seen: Mapping[Key, Seen], columns: Columns, *, prefix: str = ""
) -> list[Symptom]:
    """Compare a look with those before it; the course goes on in place. ``prefix``: of the model's names in the columns."""
    places = {name: at for at, name in enumerate(columns.names)}
    since = course.steps[-1] if course.steps else step
    found = [*_logits(course, step, since, seen, places, prefix), *_gains(course, step, since, seen, places, prefix)]
    for key, one in seen.items():
        course.first.setdefault(key, one)
        for least, value in ((course.least_logits, one.logits), (course.least_gain, one.gain)):
            if value is not None and value > 0:
                least[key] = min(least.get(key, (math.inf, step)), (value, step))
    course.last = dict(seen)
    course.steps.append(step)
    return found


def _logits(
    course: Course, step: int, since: int, seen: Mapping[Key, Seen], places: Mapping[str, int], prefix: str
) -> Iterator[Symptom]:
    """The attention whose logits have grown most, where they still grow."""
    grown: list[tuple[float, int, Seen]] = []
    for key, one in seen.items():
        least, before = course.least_logits.get(key), course.last.get(key)
        if least is None or before is None or one.logits is None or one.entropy is None or before.logits is None:
            continue
        if one.logits >= max(LOGITS, LOGITS_GROWN * least[0]) and one.logits > before.logits and one.entropy < SURE:
            grown.append((one.logits / least[0], least[1], one))
    if not grown:
        return
    factor, began, one = max(grown, key=lambda each: each[0])
    if not _more(course, FaultKind.LOGITS, factor):
        return
    message = (
        f"the logits of an attention have grown {times(factor)} since step {began:,}, to a standard deviation of "
        f"{plain(one.logits or 0.0, 2)}: its weights have {plain(one.entropy or 0.0, 2)} of the entropy of equal ones"
    )
    others = len(grown) - 1
    yield _symptom(
        "SG305",
        step,
        since,
        one,
        places,
        prefix,
        f"{message}{f'; so have those of {others} more' if others else ''}",
        "queries and keys grow with their weights, and nothing bounds their product",
        FaultKind.LOGITS,
    )


def _gains(
    course: Course, step: int, since: int, seen: Mapping[Key, Seen], places: Mapping[str, int], prefix: str
) -> Iterator[Symptom]:
    """The first activation that has saturated behind a norm whose gain has drifted."""
    for key, one in seen.items():
        least, first = course.least_gain.get(key), course.first.get(key)
        if least is None or first is None or one.gain is None or one.saturated is None or first.saturated is None:
            continue
        grown = one.gain / least[0]
        if grown < GAIN_GROWN or one.saturated < max(SATURATED, first.saturated + MORE):
            continue
        if not _more(course, FaultKind.GAIN, grown):
            return
        message = (
            f"the gain of this norm has grown {times(grown)} since step {least[1]:,}, to "
            f"{plain(one.gain, 2)}: {percent(one.saturated)} of the units of the {key[1]} behind it are saturated, "
            f"{percent(first.saturated)} were"
        )
        cause = "the gain drifts, and nothing pulls it back"
        yield _symptom("SG102", step, since, one, places, prefix, message, cause, FaultKind.GAIN)
        return


def _more(course: Course, kind: FaultKind, grown: float) -> bool:
    """Return whether it is worth saying: the first time, and whenever it has doubled."""
    if grown < 2 * course.told.get(kind, 0.0):
        return False
    course.told[kind] = grown
    return True


def _symptom(
    code: str,
    step: int,
    since: int,
    one: Seen,
    places: Mapping[str, int],
    prefix: str,
    message: str,
    cause: str,
    kind: FaultKind,
) -> Symptom:
    return Symptom(
        code,
        Severity.WARNING,
        step,
        places.get(prefix + one.parameter) if one.parameter else None,
        message,
        (),
        step,
        cause=cause,
        slack=step - since,
        lasting=True,
        explained=True,
        kind=kind,
        location=one.location,
    )
