"""The picture of a run: total norm, loss, layers, alarms, clip and rate over the same steps, one under the other.

All of its parts share the columns, so that what happened together stands together. May rely on the run's record and its
neighbours here; must not know of the lists below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from steadygrad.record.run import Run
from steadygrad.record.training import Alarm
from steadygrad.report import words
from steadygrad.report.colour import Paint
from steadygrad.report.layout import fill, shorten, slice_cells
from steadygrad.report.run import columns as over
from steadygrad.report.run import curve, heat, layers, phrases
from steadygrad.report.run.columns import Axis
from steadygrad.report.run.layers import Row

Floats = NDArray[np.float64]

LAYER_ROWS = 24
"""Rows of the heat map, at most; a live screen has its own number."""

CURVE_ROWS, LOSS_ROWS = 5, 4
"""Of the curves; two more where the picture is wide."""

CURVES_SHOWN = 3
"""Of so many optimizers the total norm is drawn."""

LEAST_MARGIN = len("optimizer 0 1e+00")

LATEST = 9
"""Cells for the last value of each row, where the width allows."""
WIDE = 110


def picture(run: Run, width: int, paint: Paint, *, most_layers: int = LAYER_ROWS, loss: bool = True) -> Iterator[str]:
    """The rows of the picture, at most ``width`` cells wide; a low screen has no room for the loss."""
    found = layers.rows([words.clean(one.name) for one in run.watched], most_layers)
    margin = max([LEAST_MARGIN, *(cell_len(one.label) for one in found)])
    margin = min(margin, max(LEAST_MARGIN, min(40, width // 5)))
    latest = LATEST if width >= WIDE else 0
    axis = over.axis(run, max(8, width - margin - 2 - latest))
    yield from _totals(run, axis, margin, paint)
    if loss and np.isfinite(run.series.losses).any():
        yield from _losses(run, axis, margin, paint)
        yield ""
    held = over.held(run)
    values = [over.levels(held, np.array(one.members), axis) for one in found]
    if found:
        yield from _layers(run, found, values, axis, margin, latest, paint)
    yield from _alarm_row(run, axis, margin, paint)
    yield from _strips(run, axis, margin, paint)
    yield from _time_axis(axis, margin, paint)
    if found:
        yield from _legend(values, width, paint, alarms=bool(run.alarms))


# Curves.


def _totals(run: Run, axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    series = run.series
    fine = over.axis(run, 2 * axis.columns)
    drawn = min(CURVES_SHOWN, run.optimizers)
    size = CURVE_ROWS + _taller(axis) if drawn == 1 else CURVE_ROWS - 1
    for number in range(drawn):
        name = "total norm" if run.optimizers == 1 else f"optimizer {number}"
        low, high = over.least(series.low[:, number], fine), over.greatest(series.high[:, number], fine)
        yield from _curve(name, low, high, size, margin, paint, logarithmic=True)
        yield ""
    if run.optimizers > drawn:
        yield paint(f"{'':{margin}}   and {words.count(run.optimizers - drawn, 'more optimizer')}", "faint")


def _taller(axis: Axis) -> int:
    return 2 if axis.columns >= WIDE else 0


def _losses(run: Run, axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    """The mean loss; on a log scale where it is positive and spans a decade."""
    series = run.series
    fine = over.axis(run, 2 * axis.columns)
    values = over.mean(series.losses, fine)
    broken = np.isposinf(over.greatest(series.loss_high, fine))
    shown = np.where(broken & np.isnan(values), np.inf, values)
    finite = values[np.isfinite(values)]
    logarithmic = len(finite) > 0 and finite.min() > 0 and finite.max() / finite.min() >= 10
    yield from _curve("loss", shown, shown, LOSS_ROWS + _taller(axis), margin, paint, logarithmic=logarithmic)


def _curve(
    name: str, low: Floats, high: Floats, size: int, margin: int, paint: Paint, *, logarithmic: bool
) -> Iterator[str]:
    broken = ~np.isfinite(high) & ~np.isnan(high)
    low, high = _bridged(low), _bridged(high)
    if logarithmic:
        zero = high == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = np.log10(low), np.log10(high)
        bottom, top = curve.bounds(low, high, 2.0)
        low = np.where(np.isneginf(low) & np.isfinite(high), bottom, low)
        labels = {row: f"1e{value:+03d}" for row, value in curve.ticks(bottom, top, size).items()}
    else:
        zero = np.zeros(len(high), dtype=bool)
        finite = high[np.isfinite(high)]
        bottom, top = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        if top - bottom < 1e-3 * abs(top):
            bottom, top = bottom - 0.1 * abs(bottom or 1.0), top + 0.1 * abs(top or 1.0)
        labels = {0: words.number(top), size - 1: words.number(bottom)}
    drawn = curve.band(low, high, bottom, top, size)
    for number, cells in enumerate(drawn):
        label = labels.get(number, "")
        room = margin - len(label) - 1
        head = paint(f"{shorten(name, room):{room}}", "strong") if number == 0 else " " * room
        gutter = paint(f"{label} {'┤' if label else '│'}", "faint")
        line = _marked(cells, broken, heat.BROKEN, "error", paint) if number == 0 else paint(cells, "curve")
        if number == size - 1 and zero.any():
            line = _marked(cells, zero, heat.ZERO, "faint", paint)
        yield f"{head} {gutter}{line}"


def _bridged(values: Floats) -> Floats:
    """What is not known between two known values is the one before it: rows that are read rarely make one curve."""
    known = ~np.isnan(values)
    if not known.any():
        return values
    begin, end = (int(one) for one in (known.argmax(), len(known) - known[::-1].argmax()))
    at = np.maximum.accumulate(np.where(known, np.arange(len(values)), begin))
    inside = np.arange(len(values))
    return np.where((inside >= begin) & (inside < end), values[at], np.nan)


def _marked(cells: str, marked: NDArray[np.bool_], character: str, style: str, paint: Paint) -> str:
    """The cells with a character where one of their two values is marked."""
    found = {at // 2 for at in np.flatnonzero(marked)}
    return "".join(paint(character, style) if at in found else paint(cell, "curve") for at, cell in enumerate(cells))


# The heat map.


def _layers(
    run: Run, found: list[Row], values: list[Floats], axis: Axis, margin: int, latest: int, paint: Paint
) -> Iterator[str]:
    low, high = heat.bounds(values)
    lead = layers.lead([words.clean(one.name) for one in run.watched])
    title = f"log10 norm of the gradient by layer{f' of {lead}' if lead else ''}, first to last"
    title = shorten(title, axis.columns + margin)
    now = f"{'now':>{margin + 2 + axis.columns + latest - cell_len(title)}}" if latest else ""
    yield paint(title, "strong") + paint(now, "faint")
    marks = _marks(run, found, axis)
    for number, (one, level) in enumerate(zip(found, values, strict=True)):
        label = _fitted(one.label, margin)
        cells = heat.row(level, low, high, marks.get(number, {}), paint)
        now = paint(f"{_power(level[-1]):>{latest}}", "faint") if latest else ""
        yield f"{label}{' ' * (margin - cell_len(label))} {paint('│', 'faint')}{cells}{now}"


def _legend(values: list[Floats], width: int, paint: Paint, *, alarms: bool) -> Iterator[str]:
    """What the shades and marks mean, as far as they occur."""
    low, high = heat.bounds(values)
    every = np.concatenate(values)
    told = [
        (np.isnan(every).any(), "blank no gradient"),
        (np.isneginf(every).any(), f"{heat.ZERO} exactly zero"),
        (np.isposinf(every).any(), f"{heat.BROKEN} not finite"),
        (alarms, "▲ where an alarm began"),
    ]
    left, right = f"shades {_power(low)} ", _power(high)
    shades = heat.legend(low, high, paint)
    size = len(heat.HUES) if paint.on else len(heat.SHADES)
    meanings = " · ".join(meaning for occurs, meaning in told if occurs)
    begin = len(left) + size + 1
    beside = fill(f"{right} · {meanings}" if meanings else right, width - begin)
    first, *rest = beside if width - begin >= cell_len(right) + 20 else [right, *fill(meanings, width - 2)]
    yield f"{paint(left, 'faint')}{shades} {paint(first, 'faint')}"
    indent = begin if rest == beside[1:] else 2
    yield from (paint(" " * indent + line, "faint") for line in rest if line)


def _fitted(label: str, room: int) -> str:
    """The label, or as many of its last parts as fit: what tells layers apart stands there."""
    if cell_len(label) <= room:
        return label
    parts = label.split(".")
    tails = (".".join(parts[at:]) for at in range(1, len(parts)))
    tail = next((one for one in tails if cell_len(one) < room), parts[-1])
    size = cell_len(tail)
    return "…" + (tail if size < room else slice_cells(tail, size - room + 1, size))


def _power(level: float) -> str:
    if math.isnan(level):
        return "–"
    if math.isinf(level):
        return "0" if level < 0 else "∞"
    return f"{10**level:.1e}".replace("e-0", "e-").replace("e+0", "e+")


# Alarms.


def _marks(run: Run, found: list[Row], axis: Axis) -> dict[int, Mapping[int, tuple[str, str]]]:
    """For each row of the heat map, the columns in which an alarm began in it."""
    names = [one.name for one in run.watched]
    row_of = {member: number for number, one in enumerate(found) for member in one.members}
    marks: dict[int, dict[int, tuple[str, str]]] = {}
    for alarm in sorted(run.alarms, key=lambda one: -one.severity.rank):
        if alarm.parameter in names:
            at = axis.column(alarm.step)
            marks.setdefault(row_of[names.index(alarm.parameter)], {})[at] = ("▲", alarm.severity.value)
    return dict(marks)


def _alarm_row(run: Run, axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    """Each alarm's number where it began, and a line for as long as it lasted; as many rows as keep them apart."""
    if not run.alarms:
        return
    lanes: list[list[tuple[int, int, str, str]]] = []
    crowded = 0
    for alarm in sorted(run.alarms, key=lambda one: one.step):
        text, begin, end = _extent(alarm, run, axis)
        lane = next((one for one in lanes if one[-1][1] <= begin), None)
        if lane is None and len(lanes) >= 3:
            crowded += 1
            continue
        if lane is None:
            lanes.append(lane := [])
        lane.append((begin, end, text, alarm.severity.value))
    for number, lane in enumerate(lanes):
        line, at = "", 0
        for begin, end, text, style in lane:
            line += " " * (begin - at) + paint(text, style)
            at = end
        head = "alarms" if number == 0 else ""
        yield f"{paint(f'{head:{margin}}', 'strong')} {paint('│', 'faint')}{line}"
    if crowded:
        told = shorten(f"and {crowded:,} more, too close to be drawn", axis.columns)
        yield f"{'':{margin}} {paint('│', 'faint')}{paint(told, 'faint')}"


def _extent(alarm: Alarm, run: Run, axis: Axis) -> tuple[str, int, int]:
    """``▲3━━━━``, and the columns that it takes, within the picture."""
    begin = axis.column(alarm.step)
    last = axis.column(max(alarm.step, alarm.last_step if alarm.ended or alarm.last_step else run.steps))
    text = f"▲{alarm.number}"
    if begin + len(text) > axis.columns:
        text, begin = f"{alarm.number}▲", max(0, axis.columns - len(text))
    text += "━" * max(0, last + 1 - begin - len(text))
    return text, begin, begin + len(text)


# Strips of one row, and the axis.


def _strips(run: Run, axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    shares = over.clipped(run.series, axis)
    if np.nansum(shares) > 0:
        told = words.percent(run.clipped_share)
        yield _strip("clipped", curve.bars(shares.tolist()), told, margin, paint)
    rates = over.mean(run.series.rates[:, 0], axis) if len(run.series) else np.zeros(0)
    known = rates[np.isfinite(rates)]
    if len(known) and phrases.constant_rate(run) is None and known.max() > 0:
        told = f"max {words.number(float(known.max()))}"
        yield _strip("rate", curve.bars((rates / known.max()).tolist()), told, margin, paint)


def _strip(name: str, cells: str, told: str, margin: int, paint: Paint) -> str:
    room = margin - len(name)
    label = paint(name, "strong") + (f"{told:>{room}}" if room > len(told) else " " * room)
    return f"{label} {paint('│', 'faint')}{paint(cells, 'curve')}".rstrip()


def _time_axis(axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    """A line with ticks at round steps, and their numbers under it."""
    labels = _labelled(axis)
    line = ["─"] * axis.columns
    numbers = ""
    for at, text in labels:
        line[at] = "┬"
        begin = min(max(0, at - len(text) // 2), axis.columns - len(text))
        numbers += " " * (begin - len(numbers)) + text
    yield paint(f"{'':{margin}} └{''.join(line)}", "faint")
    yield paint(f"{'step':>{margin}}  {numbers}", "faint")


def _labelled(axis: Axis) -> list[tuple[int, str]]:
    """Columns and texts: the first step, the last, and round numbers between that leave each other room."""
    first, last = axis.begin, axis.end - 1
    ends = [(0, f"{first:,}"), (axis.columns - 1, f"{last:,}")]
    if last <= first or axis.columns < len(ends[0][1]) + len(ends[1][1]) + 2:
        return ends[:1]
    room = len(ends[1][1]) + 8
    stride = _round_above((last - first) * room / axis.columns)
    found = [ends[0]]
    for step in range((first // stride + 1) * stride, last, stride):
        at, text = axis.column(step), f"{step:,}"
        before = found[-1][0] + (len(found[-1][1]) if len(found) == 1 else len(found[-1][1]) // 2)
        if at - len(text) // 2 > before + 1 and at + len(text) // 2 < axis.columns - len(ends[1][1]) - 2:
            found.append((at, text))
    return [*found, ends[1]]


def _round_above(value: float) -> int:
    """The least of 1, 2, 5, 10, 20, 50 … that is not below the value."""
    power = 10 ** max(0, math.floor(math.log10(max(1.0, value))))
    return next(int(one * power) for one in (1, 2, 5, 10) if one * power >= value)
