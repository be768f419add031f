"""The curves of a run's picture: the loss, and the gradient's norm before and after the clip.

Each is a panel of a few rows on the columns it is given; a column shows the range of its steps, so no peak is lost. May
rely on the run's record and its neighbours here; must not know what stands above or below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from steadygrad import numerals
from steadygrad.record.run import Run
from steadygrad.report.colour import Paint
from steadygrad.report.layout import shorten
from steadygrad.report.run import columns as over
from steadygrad.report.run import curve, heat, phrases
from steadygrad.report.run.columns import Axis

Floats = NDArray[np.float64]

NORM_ROWS, LOSS_ROWS = 5, 4
"""Two more where the picture is wide, one fewer where it is low."""
WIDE = 110

LEAST_SPAN = 1.0
"""Decades that the scale of the norm spans at least: what is flat looks flat."""

CURVES_SHOWN = 3
"""Of so many optimizers the norm and the loss are drawn."""

RAW, CLIPPED, BOTH = "⣿", "─", "═"
"""The look of the two curves of a norm, and their place in one cell."""


def losses(run: Run, axis: Axis, margin: int, paint: Paint, *, low: bool = False) -> Iterator[str]:
    """Each loss, least to greatest; on a log scale where it is positive and spans a factor of 10."""
    fine = over.axis(run, 2 * axis.columns)
    for who, *ends in losses_of(run)[:CURVES_SHOWN]:
        least, most = over.least(ends[0], fine), over.greatest(ends[1], fine)
        finite = _finite(least, most)
        logarithmic = len(finite) > 0 and finite.min() > 0 and finite.max() / 10 >= finite.min()
        title = [*([who] if who else []), "loss", *(["(log scale)"] if logarithmic else [])]
        yield from _panel(title, least, most, LOSS_ROWS + _taller(axis, low), margin, paint, log=logarithmic)
        yield from [] if low else [""]


def losses_of(run: Run) -> list[tuple[str, Floats, Floats]]:
    """Name the loss and its range; no name where there is one loss alone."""
    series = run.series
    found = [(0, series.loss_low, series.loss_high)] if (~np.isnan(series.loss_high)).any() else []
    found += [(one.optimizer, one.low, one.high) for one in series.other_losses]
    names = phrases.optimizer_names(run)
    named = bool(series.other_losses)
    return [(names[number] if named else "", low, high) for number, low, high in found]


def norms(run: Run, axis: Axis, margin: int, paint: Paint, *, low: bool = False) -> Iterator[str]:
    """The norm of the whole gradient of each optimizer; where the clip acted, also what it left."""
    series = run.series
    fine = over.axis(run, 2 * axis.columns)
    drawn = min(CURVES_SHOWN, run.optimizers)
    size = (NORM_ROWS if drawn == 1 else NORM_ROWS - 1) + _taller(axis, low)
    names = phrases.optimizer_names(run)
    for number in range(drawn):
        title = ["gradient", "norm"] if run.optimizers == 1 else [names[number], "grad. norm"]
        acted = over.clipped(series, axis, number) > 0
        after = None
        if acted.any():
            title += [f"{RAW} raw", f"{CLIPPED} clipped"]
            ends = over.least(series.after_low[:, number], axis), over.greatest(series.after_high[:, number], axis)
            after = (np.where(acted, ends[0], np.nan), np.where(acted, ends[1], np.nan))
        least, most = over.least(series.low[:, number], fine), over.greatest(series.high[:, number], fine)
        yield from _panel(title, least, most, size, margin, paint, after=after, log=True, span=LEAST_SPAN)
        yield from [] if low else [""]
    if run.optimizers > drawn:
        yield paint(f"{'':{margin}}   and {numerals.count(run.optimizers - drawn, 'more optimizer')}", "faint")


def _taller(axis: Axis, low: bool) -> int:
    return -1 if low else 2 if axis.columns >= WIDE else 0


def _panel(
    title: Sequence[str],
    low: Floats,
    high: Floats,
    size: int,
    margin: int,
    paint: Paint,
    *,
    log: bool,
    span: float = 0.0,
    after: tuple[Floats, Floats] | None = None,
) -> Iterator[str]:
    """Rows from the top, the title's words in the margin. ``span``: what the scale spans at least."""
    broken = ~np.isfinite(high) & ~np.isnan(high)
    low, high = _bridged(low), _bridged(high)
    zero = (high == 0) if log else np.zeros(len(high), dtype=bool)
    if log:
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = np.log10(low), np.log10(high)
            after = (np.log10(after[0]), np.log10(after[1])) if after else None
    lows, highs = (low, high) if after is None else (np.append(low, after[0]), np.append(high, after[1]))
    bottom, top = _ends(lows, highs, span)
    ends = {row: numerals.number(10**end if log else end) for row, end in ((0, top), (size - 1, bottom))}
    ticks = curve.ticks(bottom, top, size) if log and top - bottom >= 2 else {}
    labels = {row: _power(value) for row, value in ticks.items()} | ends
    low = np.where(np.isneginf(low) & np.isfinite(high), bottom, low)
    drawn = curve.band(low, high, bottom, top, size)
    lines = curve.line(np.maximum(after[0], bottom), after[1], bottom, top, size) if after else []
    clipped = _clip_marks(lines, drawn)
    if any(mark[0] == BOTH for row in clipped for mark in row.values()):
        title = [f"{one} {BOTH} both" if one.startswith(RAW) else one for one in title]
    if len(title) > size:
        title = [*title[: size - 1], f"{RAW} raw {CLIPPED} clip"]
    for number, (cells, marks) in enumerate(zip(drawn, clipped, strict=True)):
        if number == 0:
            marks |= {int(at) // 2: (heat.BROKEN, "error") for at in np.flatnonzero(broken)}
        if number == size - 1:
            marks |= {int(at) // 2: (heat.ZERO, "faint") for at in np.flatnonzero(zero)}
        label = labels.get(number, "")
        room = margin - len(label) - 1
        told = shorten(title[number], room) if number < len(title) else ""
        head = _head(told, room, paint, strong=not told.startswith((RAW, CLIPPED)))
        yield f"{head} {paint(f'{label} ┤' if label else ' │', 'faint')}{_painted(cells, marks, paint)}"


def _head(told: str, room: int, paint: Paint, *, strong: bool) -> str:
    padded = f"{told:{room}}"
    if strong or not told:
        return paint(padded, "strong")
    return paint(told[0], "clip" if told[0] == CLIPPED else "curve") + padded[1:]


def _clip_marks(rows: Sequence[tuple[int, int] | None], drawn: Sequence[str]) -> list[dict[int, tuple[str, str]]]:
    """Draw, for each row, the cells of the clipped curve: its upper edge, and below it what is empty."""
    marks: list[dict[int, tuple[str, str]]] = [{} for _ in drawn]
    for at, found in enumerate(rows):
        if found is None:
            continue
        top, bottom = found
        taken = drawn[top][at] != " " and all(one[at] == " " for one in drawn[:top])
        marks[top][at] = (BOTH if taken else CLIPPED, "clip")
        for number in range(top + 1, bottom + 1):
            if drawn[number][at] == " ":
                marks[number][at] = (CLIPPED, "clip")
    return marks


def _finite(low: Floats, high: Floats) -> Floats:
    return np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)]])


def _ends(low: Floats, high: Floats, span: float) -> tuple[float, float]:
    """The least and the greatest of what is finite, ``span`` apart at least, and never the same."""
    finite = _finite(low, high)
    bottom, top = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if not span and top - bottom < 1e-3 * abs(top):
        return bottom - 0.1 * abs(bottom or 1.0), top + 0.1 * abs(top or 1.0)
    spare = max(0.0, span - (top - bottom)) / 2
    return bottom - spare, top + spare


def _power(exponent: int) -> str:
    return numerals.number(10.0**exponent) if -3 <= exponent <= 3 else f"1e{exponent}"


def _bridged(values: Floats) -> Floats:
    """Fill a gap between two known values with the one before it: rows that are read rarely make one curve."""
    known = ~np.isnan(values)
    if not known.any():
        return values
    begin, end = (int(one) for one in (known.argmax(), len(known) - known[::-1].argmax()))
    at = np.maximum.accumulate(np.where(known, np.arange(len(values)), begin))
    inside = np.arange(len(values))
    return np.where((inside >= begin) & (inside < end), values[at], np.nan)


def _painted(cells: str, marks: dict[int, tuple[str, str]], paint: Paint) -> str:
    """The cells of the curve, with the marks in place of some."""
    shown, begin = "", 0
    for at in sorted(marks):
        shown += paint(cells[begin:at], "curve") + paint(*marks[at])
        begin = at + 1
    return shown + paint(cells[begin:], "curve")
