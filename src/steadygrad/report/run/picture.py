"""The picture of a run: loss, gradient norm, clip, rate, alarms, actions and layers over the same steps, one under the other.

All of its parts share the columns, so that what happened together stands together. May rely on the run's record and its
neighbours here; must not know of the lists below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.report import words
from steadygrad.report.colour import Paint
from steadygrad.report.layout import fill, shorten, slice_cells
from steadygrad.report.run import columns as over
from steadygrad.report.run import curve, heat, layers, marks, panels, phrases
from steadygrad.report.run.columns import Axis
from steadygrad.report.run.layers import Row

Floats = NDArray[np.float64]

LAYER_ROWS = 24
"""Rows of the heat map, at most; a live screen has its own number."""

LEAST_MARGIN = len("grad. norm 1e-10 ")

BESIDE_A_NAME = len(" 0.123 ")

LATEST = 9
"""Cells for the last value of each row, where the width allows."""
WIDE = 110


def picture(run: Run, width: int, paint: Paint, *, most_layers: int = LAYER_ROWS, low: bool = False) -> Iterator[str]:
    """The rows of the picture, at most ``width`` cells wide; ``most_layers=0`` leaves the layers out, ``low`` saves rows."""
    found = layers.rows([words.clean(one.name) for one in run.watched], most_layers) if most_layers else []
    margin = _margin(run, found, width)
    latest = LATEST if width >= WIDE else 0
    axis = over.axis(run, max(8, width - margin - 2 - latest))
    yield from panels.losses(run, axis, margin, paint, low=low)
    yield from panels.norms(run, axis, margin, paint, low=low)
    yield from _strips(run, axis, margin, paint)
    yield from marks.alarm_rows(run, axis, margin, paint)
    yield from marks.action_rows(run, axis, margin, paint)
    yield from _time_axis(axis, margin, paint)
    yield from [] if low else _column_note(axis, margin, width, paint)
    if found:
        held = over.held(run)
        values = [over.levels(held, np.array(one.members), axis) for one in found]
        yield from [] if low else [""]
        yield from _layers(run, found, values, axis, margin, latest, paint)
        yield from _legend(values, width, paint, alarms=bool(run.alarms), broken=_broken(run))
    elif _broken(run):
        yield paint(f"{heat.BROKEN} inf or NaN", "faint")


def _margin(run: Run, found: list[Row], width: int) -> int:
    """Cells before the axis: as many as the names want, within a part of the width."""
    wanted = [LEAST_MARGIN, *(cell_len(one.label) for one in found)]
    share = width // 5
    if run.optimizers > 1:
        wanted += [cell_len(name) + BESIDE_A_NAME for name in phrases.optimizer_names(run)]
        share = width // 4
    return min(max(wanted), max(LEAST_MARGIN, min(40, share)))


# The heat map.


def _layers(
    run: Run, found: list[Row], values: list[Floats], axis: Axis, margin: int, latest: int, paint: Paint
) -> Iterator[str]:
    low, high = heat.bounds(values)
    lead = layers.lead([words.clean(one.name) for one in run.watched])
    scale = "brighter" if paint.on else "darker"
    title = f"gradient norm of each layer{f' of {lead}' if lead else ''}, first layer on top ({scale} = larger)"
    title = shorten(title, axis.columns + margin)
    now = f"{'last':>{margin + 2 + axis.columns + latest - cell_len(title)}}" if latest else ""
    yield paint(title, "strong") + paint(now, "faint")
    began = _began(run, found, axis)
    owners = _owners(run, found)
    for number, (one, level) in enumerate(zip(found, values, strict=True)):
        if owners[number]:
            name = shorten(owners[number], margin)
            yield f"{paint(name, 'strong')}{' ' * (margin - cell_len(name))} {paint('│', 'faint')}"
        label = _fitted(one.label, margin)
        cells = heat.row(level, low, high, began.get(number, {}), paint)
        now = paint(f"{_power(level[-1]):>{latest}}", "faint") if latest else ""
        yield f"{label}{' ' * (margin - cell_len(label))} {paint('│', 'faint')}{cells}{now}"


def _owners(run: Run, found: list[Row]) -> list[str]:
    """Name, for each row, the optimizer whose rows begin with it, where several follow one another in whole."""
    numbers = [run.watched[one.members[0]].optimizer for one in found]
    begins = [at == 0 or numbers[at - 1] != number for at, number in enumerate(numbers)]
    if run.optimizers == 1 or sum(begins) != run.optimizers:
        return [""] * len(found)
    names = phrases.optimizer_names(run)
    return [names[number] if begin else "" for number, begin in zip(numbers, begins, strict=True)]


def _legend(values: list[Floats], width: int, paint: Paint, *, alarms: bool, broken: bool) -> Iterator[str]:
    """Explain the shades and marks that occur."""
    low, high = heat.bounds(values)
    every = np.concatenate(values)
    told = [
        (np.isnan(every).any(), "blank: no gradient"),
        (np.isneginf(every).any(), f"{heat.ZERO}: exactly zero"),
        (broken or np.isposinf(every).any(), f"{heat.BROKEN}: inf or NaN"),
        (alarms, f"{marks.BEGAN}: an alarm began"),
    ]
    left, right = f"norm {_power(low)} ", _power(high)
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
    """The label, or as many of its last parts as fit: layers differ there."""
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
    return numerals.number(float(f"{10**level:.1e}"))


# Alarms.


def _began(run: Run, found: list[Row], axis: Axis) -> dict[int, Mapping[int, tuple[str, str]]]:
    """Return, for each row of the heat map, the columns in which an alarm began in it."""
    names = [one.name for one in run.watched]
    row_of = {member: number for number, one in enumerate(found) for member in one.members}
    began: dict[int, dict[int, tuple[str, str]]] = {}
    for alarm in sorted(run.alarms, key=lambda one: -one.severity.rank):
        if alarm.parameter in names:
            at = axis.column(alarm.step)
            began.setdefault(row_of[names.index(alarm.parameter)], {})[at] = (marks.BEGAN, alarm.severity.value)
    return dict(began)


# Strips of one row, and the axis.


def _strips(run: Run, axis: Axis, margin: int, paint: Paint) -> Iterator[str]:
    """The share of steps that were clipped and the learning rate, of each optimizer, where there is something to see."""
    series = run.series
    drawn = list(zip(range(panels.CURVES_SHOWN), phrases.optimizer_names(run), strict=False))
    for number, who in drawn:
        shares = over.clipped(series, axis, number)
        if np.nansum(shares) > 0:
            told = numerals.percent(float(series.clipped[:, number].sum() / series.counts[:, number].sum()))
            name = "clipped" if run.optimizers == 1 else f"clip {who}"
            yield _strip(name, curve.bars(shares.tolist()), told, margin, paint)
    for number, who in drawn:
        rates = over.mean(series.rates[:, number], axis)
        known = rates[np.isfinite(rates)]
        if len(known) and phrases.constant_rate(run, number) is None and known.max() > 0:
            name = "lr" if run.optimizers == 1 else f"lr {who}"
            told = f"max {numerals.number(float(known.max()))}"
            yield _strip(name, curve.bars((rates / known.max()).tolist()), told, margin, paint)


def _strip(name: str, cells: str, told: str, margin: int, paint: Paint) -> str:
    name = shorten(name, margin)
    room = margin - cell_len(name)
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


def _column_note(axis: Axis, margin: int, width: int, paint: Paint) -> Iterator[str]:
    """Say how many steps a column spans, where it is more than one."""
    each = (axis.end - axis.begin) / axis.columns
    if each > 1:
        size = numerals.count(round(each), "step") if each >= 1.5 else f"{each:.1f} steps"
        told = f"each column spans {size}, least to greatest value"
        begin = margin + 2 if margin + 2 + len(told) <= width else 2
        yield from (paint(" " * begin + row, "faint") for row in fill(told, width - begin))


def _broken(run: Run) -> bool:
    return bool(np.isinf(run.series.high).any() or np.isinf(run.series.loss_high).any())


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
