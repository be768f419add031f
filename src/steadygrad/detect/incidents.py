"""Symptoms to alarms: one incident has one cause, gathers what follows, ends, and is one alarm. Pure, but for its book."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Alarm, Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Columns
from steadygrad.rules import find

_SUDDEN = ("SG201", "SG203", "SG204", "SG206", "SG207")
"""Symptoms that cause each other: a step too large makes a spike, a spike an explosion, an explosion NaN."""

QUIET = 100
"""Rows without a symptom after which an incident has ended."""


@dataclass
class Book:
    """All alarms of a run, and which are still open."""

    alarms: list[Alarm] = field(default_factory=list)
    open: dict[tuple[int, str, FaultKind], int] = field(default_factory=dict)
    """By optimizer, "sudden", "lasting" or the code of a mistake of the loop, and its kind: the index of the alarm."""
    usual: dict[int, float] = field(default_factory=dict)
    """By index of the alarm: log10 of the total norm up to which the run is back at its old level."""


_SHARPER = ("SG101", "SG106", "SG108", "SG201")
"""Symptoms that explain a loss that runs away or stands still."""


class Gathered(NamedTuple):
    """The alarm that a symptom belongs to."""

    alarm: Alarm
    new: bool
    sharper: bool = False
    """Whether an alarm about the loss now says which layer it comes from, or one about a gradient what its update does."""


def gather(
    book: Book,
    symptom: Symptom,
    columns: Columns,
    *,
    optimizer: int,
    step: int,
    delay: int,
    usual: float = math.inf,
) -> Gathered:
    """The alarm that this symptom belongs to; the book has it from now on."""
    key = (optimizer, *_sort(symptom))
    at = _belongs(book, symptom, optimizer, delay + 1)
    if at is None:
        alarm = Alarm(
            number=len(book.alarms) + 1,
            step=symptom.step,
            code=symptom.code,
            name=name_of(symptom.code),
            severity=symptom.severity,
            parameter="" if symptom.column is None else columns.names[symptom.column],
            message=symptom.message,
            optimizer=optimizer,
            cause=symptom.cause,
            delay=max(delay, symptom.slack),
            noticed=step,
            last_step=max(symptom.last_step, symptom.step),
            others=max(0, len(symptom.columns) - 1),
        )
        book.open[key] = len(book.alarms)
        if symptom.code in ("SG201", "SG206"):
            book.usual[len(book.alarms)] = usual
        book.alarms.append(alarm)
        return Gathered(alarm, True)
    alarm = book.alarms[at]
    if alarm.ended and alarm.code == symptom.code:
        book.open[key] = at
        alarm = replace(alarm, ended=False)
    damaged = any(sign.kind == "weights" for sign in alarm.signs)
    if symptom.kind is FaultKind.STALE_MOMENT and alarm.code in ("SG201", "SG206", "SG207") and not damaged:
        # The gradient has risen, and what makes it worse is known now; of weights that something overwrote, that is the cause.
        alarm = book.alarms[at] = replace(
            alarm,
            code=symptom.code,
            name=name_of(symptom.code),
            parameter="" if symptom.column is None else columns.names[symptom.column],
            message=symptom.message,
            cause=symptom.cause,
            last_step=max(alarm.last_step, symptom.last_step, symptom.step),
            symptoms=(*alarm.symptoms, alarm.code),
        )
        return Gathered(alarm, False, True)
    sharper = alarm.code == "SG207" and symptom.code in _SHARPER and symptom.lasting
    if sharper:
        alarm = replace(
            alarm,
            step=symptom.step,
            delay=max(delay, symptom.slack),
            code=symptom.code,
            name=name_of(symptom.code),
            parameter="" if symptom.column is None else columns.names[symptom.column],
            message=symptom.message,
            symptoms=(*alarm.symptoms, "SG207"),
        )
    stayed = alarm.code == "SG206" and symptom.code == "SG201" and symptom.step <= alarm.last_step
    symptoms = alarm.symptoms
    milder = alarm.code == "SG201" and symptom.code == "SG206"
    if symptom.code != alarm.code and not stayed and not milder and symptom.code not in symptoms:
        symptoms = (*symptoms, symptom.code)
    alarm = replace(
        alarm,
        code=symptom.code if stayed else alarm.code,
        name=name_of(symptom.code) if stayed else alarm.name,
        message=symptom.message if stayed else alarm.message,
        severity=_severity(alarm, symptom),
        last_step=max(alarm.last_step, symptom.last_step, symptom.step),
        others=max(alarm.others, len(symptom.columns) - 1),
        symptoms=symptoms,
    )
    book.alarms[at] = alarm
    return Gathered(alarm, False, sharper)


def _sort(symptom: Symptom) -> tuple[str, FaultKind]:
    """Return what counts as one incident: everything sudden, everything lasting, and each mistake of the loop by itself."""
    if symptom.of_the_loop:
        return symptom.code, symptom.kind
    return "sudden" if symptom.code in _SUDDEN else "lasting", FaultKind.UNKNOWN


def _severity(alarm: Alarm, symptom: Symptom) -> Severity:
    """The worse of both; what was found to be by design stays a note when it is seen again."""
    if alarm.severity is Severity.INFO and symptom.code == alarm.code:
        return alarm.severity
    return min(alarm.severity, symptom.severity, key=lambda one: one.rank)


def _belongs(book: Book, symptom: Symptom, optimizer: int, interval: int) -> int | None:
    """The alarm that this symptom is of: an open one of its kind, or something sudden that it came after.

    What had begun before the last one ended is still that one: a drift comes back when the weights were rolled back.
    """
    sudden = symptom.code in _SUDDEN
    at = book.open.get((optimizer, *_sort(symptom)))
    if at is not None or symptom.of_the_loop:
        return at
    if symptom.code in ("SG201", "SG106") and symptom.lasting:
        # Gradients that are added to those of earlier steps grow; those that are cleared are zero.
        for (of, code, kind), at in book.open.items():
            if (of, code) == (optimizer, "SG307") and (symptom.code == "SG201" or kind is FaultKind.CLEARED):
                return at
    if symptom.code == "SG207" and symptom.lasting:
        # What stops the gradients stops the loss, and so does a step too large after which it stays up.
        for at, alarm in enumerate(book.alarms):
            before = alarm.code in _SHARPER or (sudden and is_sudden(alarm.code) and alarm.step <= symptom.step)
            if alarm.optimizer == optimizer and before and alarm.last_step >= symptom.step:
                return at
    if symptom.code in _SHARPER and symptom.lasting:
        for at, alarm in enumerate(book.alarms):
            if (alarm.optimizer, alarm.code) == (optimizer, "SG207") and symptom.step - symptom.slack <= alarm.step:
                return at
    for at, alarm in enumerate(book.alarms):
        if (alarm.optimizer, alarm.code) == (optimizer, symptom.code) and alarm.step <= symptom.step <= alarm.last_step:
            return at
    if sudden:
        return None
    for at in range(len(book.alarms) - 1, -1, -1):
        alarm = book.alarms[at]
        if alarm.optimizer == optimizer and is_sudden(alarm.code):
            earliest = symptom.step - symptom.slack
            return at if earliest - alarm.last_step <= QUIET * interval and alarm.step <= symptom.step else None
    return None


def is_ill(book: Book) -> bool:
    """Return whether something is wrong with the training itself; a mistake of the loop, such as a clip of a part, is a habit."""
    return any(sort in ("sudden", "lasting") for _, sort, _ in book.open)


def close_quiet(book: Book, *, optimizer: int, step: int, interval: int, level: float = -math.inf) -> list[Alarm]:
    """Incidents of this optimizer that have ended: quiet, and back where they were. ``level``: log10 of the total norm now."""
    ended: list[Alarm] = []
    for key, at in list(book.open.items()):
        if key[0] == optimizer and step - book.alarms[at].last_step > QUIET * interval:
            if level > book.usual.get(at, math.inf):
                continue
            del book.open[key]
            book.alarms[at] = replace(book.alarms[at], ended=True)
            ended.append(book.alarms[at])
    return ended


def name_of(code: str) -> str:
    """The rule's name, which says what is wrong."""
    return find(code).name


def is_sudden(code: str) -> bool:
    """Return whether it can be undone by leaving out the very step."""
    return code in _SUDDEN
