"""The table of a cure: what was tried, what each did to the verdict, what was taken and what it changed.

A function of the record. No torch, no rules.
"""

from __future__ import annotations

import io
import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from steadygrad import numerals
from steadygrad.record import CureRecord, Tried
from steadygrad.report import words
from steadygrad.report.colour import Color, Paint, wants_colour
from steadygrad.report.layout import fill, resolve_width

PLACES_SHOWN = 3


def render(record: CureRecord, *, width: int | None = None, color: Color = "auto") -> str:
    """The record as text, ``width`` cells wide, without a newline at its end."""
    width = resolve_width(width)
    coloured = wants_colour(color)
    paint = Paint(coloured)
    before, after = record.before.verdict.value, record.after.verdict.value
    rows = []
    if record.tried:
        rows += [_table(record, width, coloured), ""]
    rows += [paint(row, "strong") for row in fill(words.clean(record.words), width)]
    if record.taken is not None:
        rows += [f"  {paint('verdict', 'faint')}    {before} → {after}"]
        for change in record.taken.changes:
            rows += _hung("change", change.words, width, paint)
            if change.added:
                rows += _hung("new keys", _keys(change.added), width, paint)
            if change.removed:
                rows += _hung("gone keys", _keys(change.removed), width, paint)
            for warning in change.warnings:
                rows += _hung("warning", warning, width, paint)
        for place in places(record.taken):
            rows += _hung("where", place, width, paint)
    rows += _hung(
        "took", f"{record.seconds:.1f} s, {numerals.count(len(record.tried), 'candidate')} tried", width, paint
    )
    return "\n".join(row.rstrip() for row in rows)


def _hung(name: str, text: str, width: int, paint: Paint) -> list[str]:
    first, *rest = fill(words.clean(text), width - 13)
    return [f"  {paint(name, 'faint')}{' ' * max(1, 11 - len(name))}{first}", *(" " * 13 + row for row in rest)]


def _keys(keys: tuple[str, ...]) -> str:
    shown = ", ".join(keys[:4])
    return f"{len(keys)}: {shown}{', …' if len(keys) > 4 else ''}"


def places(taken: Tried) -> list[str]:
    found: list[str] = []
    for edit in taken.candidate.edits:
        for site in edit.sites:
            at = site.construction or site.call
            if at is not None:
                text = f"{words.shown_place(at)} {' '.join(at.text.split())}"
                if text not in found:
                    found.append(text)
    return found[:PLACES_SHOWN] + ([f"and {len(found) - PLACES_SHOWN} more"] if len(found) > PLACES_SHOWN else [])


def _table(record: CureRecord, width: int, coloured: bool) -> str:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("tried")
    table.add_column("verdict", no_wrap=True)
    table.add_column("decades", justify="right", no_wrap=True)
    table.add_column("spread", justify="right", no_wrap=True)
    table.add_column(f"{steps(record)} steps", justify="right", no_wrap=True)
    table.add_column("changes")
    for one in record.tried:
        title, verdict, decades, spread, fall, changes = row(one)
        faint = "dim" if one.verdict is None else ""
        table.add_row(
            Text(title, style="bold" if one.taken else ""),
            Text(verdict, style=_STYLES.get(verdict, faint)),
            decades,
            spread,
            fall,
            Text(changes, style=faint),
        )
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=coloured, no_color=not coloured, highlight=False).print(table)
    return "\n".join(row.rstrip() for row in out.getvalue().rstrip("\n").splitlines())


def row(one: Tried) -> tuple[str, str, str, str, str, str]:
    """One candidate in the columns of the table."""
    title = words.clean(one.candidate.title)
    if one.verdict is None:
        return title, "not applied", "", "", "", words.clean(one.why_not)
    return (
        title,
        one.verdict.value,
        "" if one.decades is None else numerals.one_decimal(one.decades),
        "" if one.spread is None else f"{one.spread:.2g}" if 0 < one.spread < 0.01 else f"{one.spread:.2f}",
        "" if one.fall is None else _change(one.fall),
        words.clean(_short(one)),
    )


_STYLES = {"healthy": "green", "at risk": "yellow", "will not train": "red"}


def steps(record: CureRecord) -> int:
    """Of the step test that the candidates are judged by."""
    return record.before.trial.first.steps if record.before.trial is not None else 0


def _change(fall: float) -> str:
    if not math.isfinite(fall):
        return "diverged"
    return numerals.percent(-fall) if fall >= 0 else f"+{numerals.percent(-fall)}"


def _short(one: Tried) -> str:
    """Describe the change in a few words: "numbers only", "adds 20 batch norms", and the rate where it is another."""
    parts = [change.short for change in one.changes]
    if any(part not in ("numbers only", "optimizer") for part in parts):
        parts = [part for part in parts if part != "numbers only"]
    if one.rate is not None:
        parts = [part for part in parts if part != "optimizer"] + [f"rate {one.rate:.2g}"]
    return ", ".join(dict.fromkeys(parts))
