"""Rows of marks on the step axis: each alarm's number where it began, and each thing that the guard did.

May rely on the run's record and the axis; must not know of the curves beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.record.training import Alarm
from steadygrad.report import words
from steadygrad.report.colour import Paint
from steadygrad.report.layout import shorten
from steadygrad.report.run.columns import Axis

ALARM_LANES, ACTION_LANES = 3, 2
"""Rows for what would overlap in one."""

BEGAN, LASTED, DID = "▲", "━", "◆"


@dataclass(frozen=True, slots=True)
class Mark:
    """A text within the columns of the picture."""

    begin: int
    text: str
    style: str

    @property
    def end(self) -> int:
        """One past its last column."""
        return self.begin + cell_len(self.text)


def alarm_rows(run: Run, axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    """``▲3━━━━``: the alarm's number where it began, and a line for as long as it lasted."""
    marks = [alarm_mark(one, run, axis) for one in sorted(run.alarms, key=lambda one: one.step)]
    yield from _rows("alarms", "alarm", marks, ALARM_LANES, axis, margin, paint)


def action_rows(run: Run, axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    """``◆skip``: what was done, where; the same in one column is one mark with its count."""
    done = sorted(run.actions, key=lambda one: one.step)
    marks = []
    for (at, kind), same in groupby(done, key=lambda one: (axis.column(one.step), words.clean(one.kind))):
        number = len(list(same))
        marks.append(_beside(DID, f"{kind}{f'×{number:,}' if number > 1 else ''}", at, "strong", axis))
    yield from _rows("actions", "action", marks, ACTION_LANES, axis, margin, paint)


def alarm_mark(alarm: Alarm, run: Run, axis: Axis) -> Mark:
    """``▲`` in the column of its step; near the right edge the number stands before it."""
    begin = axis.column(alarm.step)
    last = axis.column(max(alarm.step, alarm.last_step if alarm.ended or alarm.last_step else run.steps))
    mark = _beside(BEGAN, str(alarm.number), begin, alarm.severity.value, axis)
    return Mark(mark.begin, mark.text + LASTED * max(0, last + 1 - mark.end), mark.style)


def _beside(sign: str, text: str, at: int, style: str, axis: Axis) -> Mark:
    """The sign in its column and the text after it, or before it where there is no room."""
    if at + 1 + cell_len(text) <= axis.columns:
        return Mark(at, f"{sign}{text}", style)
    text = shorten(text, at) if at else ""
    return Mark(at - cell_len(text), f"{text}{sign}", style)


def _rows(
    name: str, noun: str, marks: Iterable[Mark], most: int, axis: Axis, margin: int, paint: Paint
) -> Iterator[str]:
    """The marks in as many rows as keep them apart, and how many have no room."""
    lanes: list[list[Mark]] = []
    crowded = 0
    for mark in sorted(marks, key=lambda one: one.begin):
        lane = next((one for one in lanes if one[-1].end <= mark.begin), None)
        if lane is None and len(lanes) >= most:
            crowded += 1
            continue
        if lane is None:
            lanes.append(lane := [])
        lane.append(mark)
    for number, lane in enumerate(lanes):
        head = name if number == 0 else ""
        yield f"{paint(f'{head:{margin}}', 'strong')} {paint('│', 'faint')}{_line(lane, paint)}"
    if crowded:
        told = shorten(f"{numerals.count(crowded, f'more {noun}')} not drawn: too close to these", axis.columns)
        yield f"{'':{margin}} {paint('│', 'faint')}{paint(told, 'faint')}"


def _line(lane: Sequence[Mark], paint: Paint) -> str:
    line, at = "", 0
    for mark in lane:
        line += " " * (mark.begin - at) + paint(mark.text, mark.style)
        at = mark.end
    return line
