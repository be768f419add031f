"""The run as a person reads it in a terminal: a header, the picture over time, then what was said and done.

No line is wider than asked, and no string of the user's can reach the terminal as a control code. May rely on the run's
record and its neighbours here; must not read a journal, judge or print.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len

from steadygrad import numerals
from steadygrad.record import Severity
from steadygrad.record.run import Run
from steadygrad.record.training import Alarm
from steadygrad.report import words
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import NARROWEST, WIDEST_PROSE, fill, shorten
from steadygrad.report.run import phrases, story
from steadygrad.report.run.picture import picture

WIDEST = 240
"""A picture no wider than this."""

ALARMS_IN_BRIEF = 3
FEWEST_LAYERS = 4
"""Of a screen that is followed live: where there is no room for so many, it has the curves alone."""

TOLD_APART = ("optimizers", "optimizer", "clip")
"""Entries of ``about`` that the header shows."""


def render(
    run: Run,
    *,
    width: int | None = None,
    color: Color = "auto",
    now: float | None = None,
) -> str:
    """The whole, ``width`` cells wide (default: the terminal's), without a newline at its end.

    ``now`` (seconds since the epoch) turns the last write into an age.
    """
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns if width is None else width))
    paint = Paint(wants_colour(color))
    prose = min(width, WIDEST_PROSE)
    blocks = [list(_header(run, width, paint, now))]
    if len(run.series):
        blocks.append(list(picture(run, width, paint)))
    blocks += list(story.alarms(run, prose, paint))
    blocks += [part(run, prose, paint) for part in (story.actions, story.looks, story.notes)]
    blocks.append([row for name, text in _facts(run) for row in _fact(name, text, prose, paint)])
    return "\n\n".join("\n".join(row.rstrip() for row in block) for block in blocks if block)


def screenful(run: Run, width: int, height: int, *, color: Color, now: float) -> str:
    """The header, the picture and the newest alarms, a line each, within ``height`` rows."""
    width = max(NARROWEST, min(WIDEST, width))
    paint = Paint(wants_colour(color))
    told = [_brief(alarm, width, paint) for alarm in run.alarms[-ALARMS_IN_BRIEF:]]
    head = [*_header(run, width, paint, now), "", *told, *([""] if told else [])]
    if not len(run.series):
        return "\n".join(head[:height])
    room = height - len(head)
    return "\n".join(row.rstrip() for row in [*head, *_picture_within(room, run, width, paint)][:height])


def _picture_within(room: int, run: Run, width: int, paint: Paint) -> list[str]:
    """The picture in so many rows: first flatter, then with fewer layers, then without them."""
    layers, low = max(FEWEST_LAYERS, room), False
    rows = list(picture(run, width, paint, most_layers=layers))
    while len(rows) > room and layers:
        layers = layers if not low else min(layers - 1, layers - (len(rows) - room))
        layers, low = layers if layers >= FEWEST_LAYERS else 0, True
        rows = list(picture(run, width, paint, most_layers=layers, low=True))
    return rows


def _brief(alarm: Alarm, width: int, paint: Paint) -> str:
    number = f"▲{alarm.number} "
    return paint(number, alarm.severity.value) + shorten(story.one_line(alarm), width - cell_len(number))


def _header(run: Run, width: int, paint: Paint, now: float | None) -> Iterator[str]:
    took, each = phrases.run_seconds(run), phrases.step_seconds(run)
    steps = numerals.count(run.steps, "step") if run.steps else "no step yet"
    if run.steps and math.isfinite(took) and took > 0:
        steps += f" in {phrases.duration(took)}"
    head = [words.shown_path(run.path), steps]
    head += [phrases.pace(each)] if math.isfinite(each) else []
    head.append(phrases.state(run, now))
    yield from (paint(row, "strong") for row in _joined(head, width))
    parts = [phrases.optimizers(run), phrases.clipping(run), phrases.interval(run)]
    rate = phrases.constant_rate(run) if run.optimizers == 1 else None
    parts.insert(1, f"lr {numerals.number(rate)}" if rate is not None else "")
    if len(run.sessions) > 1:
        parts.append(f"session {run.session} of {len(run.sessions)}")
    parts += list(_tally(run))
    tail = parts[-1]
    *lines, last = _joined([part for part in parts if part], width)
    worst = min((alarm.severity for alarm in run.alarms), key=lambda one: one.rank, default=None)
    yield from lines
    yield last.removesuffix(tail) + paint(tail, worst.value if worst else "healthy") if last.endswith(tail) else last


def _joined(parts: list[str], width: int) -> list[str]:
    """The parts with dots between; a line ends between two of them, and within one only where it is wider than that."""
    lines: list[str] = []
    for part in parts:
        if lines and cell_len(lines[-1]) + cell_len(part) + 3 <= width:
            lines[-1] += f" · {part}"
        else:
            lines += fill(part, width)
    return lines


def _tally(run: Run) -> Iterator[str]:
    if run.actions:
        yield numerals.count(len(run.actions), "action")
    amounts = {severity: sum(alarm.severity is severity for alarm in run.alarms) for severity in Severity}
    nouns = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    told = ", ".join(numerals.count(number, nouns[severity]) for severity, number in amounts.items() if number)
    yield f"{numerals.count(len(run.alarms), 'alarm')} ({told})" if told else "no alarm"


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """List the facts that are worth a line and have no picture."""
    updates = _updates(run)
    if updates:
        yield "updates", updates
    ranks = _ranks(run)
    if ranks:
        yield "ranks", ranks
    if len(run.sessions) > 1:
        others = [one for one in run.sessions if one.number != run.session]
        told = ", ".join(f"{one.number} ({phrases.moment(one.started)})" for one in others[-3:])
        yield "sessions", f"--session N shows another one: {'… ' if len(others) > 3 else ''}{told}"
    for name, value in run.about.items():
        if name not in TOLD_APART:
            yield name, numerals.number(value) if isinstance(value, float) else str(value)


def _updates(run: Run) -> str:
    """The update ratios as last measured."""
    measured = [index for index, row in enumerate(run.weights.ratios) if np.isfinite(row).any()]
    if not measured:
        return ""
    ratios = run.weights.ratios[measured[-1]]
    least, most = int(np.nanargmin(ratios)), int(np.nanargmax(ratios))
    step = int(run.weights.steps[measured[-1]])
    return (
        f"at step {step:,} the norm of the update ÷ the norm of the weight is {numerals.number(float(np.nanmedian(ratios)))} "
        f"in the median, {numerals.number(float(ratios[least]))} in {run.watched[least].name} (smallest) and "
        f"{numerals.number(float(ratios[most]))} in {run.watched[most].name} (largest)"
    )


def _ranks(run: Run) -> str:
    """Say which process had the greatest norm most often, and by how much."""
    extremes = run.extremes
    if not len(extremes.steps):
        return ""
    ranks, counts = np.unique(extremes.highest_rank, return_counts=True)
    often = int(counts.argmax())
    share = counts[often] / counts.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = extremes.highest / extremes.lowest
    at = int(np.nanargmax(ratio)) if np.isfinite(ratio).any() else 0
    return (
        f"rank {int(ranks[often])} has the largest gradient norm in {phrases.of(int(counts[often]), int(counts.sum()), 'read')} "
        f"({numerals.percent(float(share))}); the ranks differ most at step {int(extremes.steps[at]):,}: "
        f"{numerals.number(float(extremes.highest[at]))} on rank {int(extremes.highest_rank[at])}, "
        f"{numerals.number(float(extremes.lowest[at]))} on rank {int(extremes.lowest_rank[at])}"
    )


def _fact(name: str, text: str, width: int, paint: Paint) -> Iterator[str]:
    name = words.clean(name)
    column = max(12, cell_len(name) + 1)
    first, *rest = fill(words.clean(text), width - column - 2)
    yield f"  {paint(name, 'faint')}{' ' * (column - cell_len(name))}{first}"
    yield from (" " * (column + 2) + row for row in rest)
