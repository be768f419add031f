"""The story of a run, as lists: alarms in the manner of a check's findings, actions, looks and notes.

May rely on the run's record and on the room's words and excerpts; must not know of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.cells import cell_len

from steadygrad import numerals
from steadygrad.record import Finding
from steadygrad.record.run import Run
from steadygrad.record.training import Alarm, Look
from steadygrad.report import words
from steadygrad.report.colour import Paint
from steadygrad.report.layout import fill
from steadygrad.report.run import phrases, remarks
from steadygrad.report.snippet import excerpt

ALARMS_SHOWN = 20
ROWS_SHOWN = 12
"""Of actions, looks and notes."""


def alarms(run: Run, width: int, paint: Paint) -> Iterator[list[str]]:
    """A block for each alarm; of very many the first and the last ones."""
    told, left = ends(run.alarms, ALARMS_SHOWN)
    numbers = [at.end_line for alarm in told if alarm is not None and (at := alarm.location)]
    gutter = max((len(str(number)) for number in numbers), default=1)
    for alarm in told:
        if alarm is None:
            between = f"… {numerals.count(left, 'alarm')} left out here; --output-format json lists all"
            yield [paint(row, "faint") for row in fill(between, width)]
        else:
            yield list(_alarm(run, alarm, gutter, width, paint))


def one_line(alarm: Alarm) -> str:
    """An alarm as a line of a log."""
    at = f" {_place(alarm)}" if alarm.location else ""
    first = f" in {words.clean(alarm.parameter)}" if alarm.parameter else ""
    told = words.clean(f"{alarm.name}: {alarm.message}")
    return f"step {alarm.step:,} {alarm.severity.value}[{words.clean(alarm.code)}]{at} {told}{first}"


def _place(alarm: Alarm) -> str:
    at = alarm.location
    return words.shown_place(at) if at else ""


def _alarm(run: Run, alarm: Alarm, gutter: int, width: int, paint: Paint) -> Iterator[str]:
    style, at, pad = alarm.severity.value, alarm.location, " " * gutter
    head = f"▲{alarm.number} step {alarm.step:,} {style}[{words.clean(alarm.code)}] {words.clean(alarm.name)}"
    yield from (paint(row, style) for row in fill(head, width))
    yield from ("   " + paint(row, "strong") for row in fill(words.clean(alarm.message), width - 3))
    where = [_place(alarm)] if at else []
    where += [words.clean(alarm.parameter) or "the whole model"]
    where[-1] += f" and {numerals.count(alarm.others, 'more parameter')}" if alarm.others else ""
    where += [_optimizer(run, alarm)] if run.optimizers > 1 else []
    where += [f"rank {alarm.rank}"] if alarm.rank is not None else []
    for row, lead in zip(fill(" · ".join(where), width - gutter - 4), ["-->", *["   "] * 99], strict=False):
        yield f"{pad}{paint(lead, 'gutter')} {row}"
    marked = excerpt(at, "", style=style, gutter=gutter, width=width, paint=paint) if at else []
    yield from marked
    if marked:
        yield paint(f"{pad} |", "gutter")
    for name, text in remarks.remarks(run, alarm):
        first, *rest = fill(words.clean(text), width - gutter - len(name) - 5)
        yield f"{pad} {paint('=', 'gutter')} {paint(name + ':', 'strong')} {first}"
        yield from (" " * (gutter + len(name) + 5) + row for row in rest)


def _optimizer(run: Run, alarm: Alarm) -> str:
    names = phrases.optimizer_names(run)
    return names[alarm.optimizer] if alarm.optimizer < len(names) else f"optimizer {alarm.optimizer + 1}"


def actions(run: Run, width: int, paint: Paint) -> list[str]:
    """A line for each action, with the numbers that it changed."""
    if not run.actions:
        return []
    shown, left = ends(run.actions, ROWS_SHOWN)
    rows = [paint(numerals.count(len(run.actions), "action"), "strong")]
    for one in shown:
        if one is None:
            rows.append(paint(f"  … {left:,} more", "faint"))
        else:
            rows += _row(f"step {one.step:,}", remarks.acted(one), width, paint)
    return rows


def looks(run: Run, width: int, paint: Paint) -> list[str]:
    """Sum up the looks: verdicts in a line, then each finding once, with the steps at which it was seen."""
    if not run.looks:
        return []
    verdicts: dict[str, int] = {}
    for look in run.looks:
        verdict = _verdict(look)
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
    told = ", ".join(f"{number:,} {words.clean(verdict)}" for verdict, number in verdicts.items())
    cost = sum(look.seconds for look in run.looks if math.isfinite(look.seconds))
    head = f"{numerals.count(len(run.looks), 'probe')} of a whole step: {told}; {numerals.seconds(cost)} in total"
    rows = [paint(row, "strong") for row in fill(head, width)]
    found: dict[tuple[str, str, str], tuple[Finding, list[int]]] = {}
    for look in run.looks:
        for finding in look.findings:
            key = (finding.code, words.place(finding), finding.module)
            found.setdefault(key, (finding, []))[1].append(look.step)
    ranked = sorted(found.values(), key=lambda one: (one[0].severity.rank, one[1][0]))
    shown, left = ends(tuple(ranked), ROWS_SHOWN)
    for one in shown:
        if one is None:
            rows.append(paint(f"  … {numerals.count(left, 'more finding')}", "faint"))
            continue
        finding, steps = one
        when = (
            f"step {steps[0]:,}" if len(steps) == 1 else f"{len(steps):,} probes, steps {steps[0]:,} to {steps[-1]:,}"
        )
        style = finding.severity.value
        head = f"{style}[{words.clean(finding.code)}]"
        text = words.clean(numerals.with_factors(f"{words.place(finding)} {finding.message} ({when})"))
        first, *rest = fill(text, width - len(head) - 3)
        rows.append(f"  {paint(head, style)} {first}")
        rows += [" " * (len(head) + 3) + line for line in rest]
    unseen = [look for look in run.looks if look.note]
    noted, left = ends(tuple(unseen), 3)
    for look in noted:
        rows += [paint(f"  … {left:,} more", "faint")] if look is None else _noted(look, width, paint)
    return rows


def _verdict(look: Look) -> str:
    """Healthy is said only where steps were taken: a gradient that arrives does not show that the model learns."""
    if look.verdict == "healthy" and (look.fall is None or not look.settled):
        return "without a gradient problem"
    return look.verdict or "without a verdict"


def _noted(look: Look, width: int, paint: Paint) -> list[str]:
    return _row(f"step {look.step:,}", look.note, width, paint)


def notes(run: Run, width: int, paint: Paint) -> list[str]:
    """The run's own notes."""
    if not run.notes:
        return []
    shown, left = ends(run.notes, ROWS_SHOWN)
    rows = [paint("notes", "strong")]
    for one in shown:
        if one is None:
            rows.append(paint(f"  … {left:,} more", "faint"))
        else:
            rows += _row(f"step {one.step:,}" if one.step else "run", one.text, width, paint)
    return rows


def _row(name: str, text: str, width: int, paint: Paint) -> list[str]:
    """A name in a column of its own and a text beside it."""
    column = max(14, cell_len(name) + 2)
    first, *rest = fill(words.clean(text), width - column - 2)
    return [f"  {paint(f'{name:{column}}', 'faint')}{first}", *(" " * (column + 2) + line for line in rest)]


def ends(items: tuple[object, ...], most: int) -> tuple[list, int]:  # type: ignore[type-arg]
    """All of them, or the first and last ones with None between, and how many are left out."""
    if len(items) <= most:
        return list(items), 0
    half = most // 2
    return [*items[:half], None, *items[-half:]], len(items) - 2 * half
