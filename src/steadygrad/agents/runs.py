"""Which runs there are, and one run in short: how far it is, its loss and gradient norm, its alarms.

May rely on the run's record and on the formats' words; must not know the protocol.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadygrad.agents.files import LONGEST_NAME, Folder
from steadygrad.errors import JournalError, SettingsError
from steadygrad.journal import read
from steadygrad.record import to_jsonable
from steadygrad.record.run import Run
from steadygrad.record.training import Alarm
from steadygrad.report import words
from steadygrad.report.quoted import EXPRESSION, NAMED, QUOTED, SENTENCE, bounded, cut
from steadygrad.report.run import panels, phrases, remarks

MOST_BYTES = 8000
"""Of an answer in UTF-8: some 2,500 tokens."""

JOURNALS_READ = 20
"""Of more the newest are read, and the others counted."""

ALARMS, NOTES, ABOUT, CODES = 60, 6, 8, 12
"""Entries of a run's answer, at most, before its size is bounded."""

Numbers = NDArray[Any]


def list_of_runs(folder: Folder) -> str:
    """The journals below the folder, the newest first, each with its state, steps and alarms."""
    paths, whole = folder.journals()
    body: dict[str, Any] = {
        "tool": "steadygrad",
        "note": QUOTED,
        "folder": cut(str(folder.root), 2 * NAMED),
        "runs": [_entry(folder, path) for path in paths[:JOURNALS_READ]],
        "runs_left_out": max(0, len(paths) - JOURNALS_READ),
    }
    if not whole:
        body["searched"] = "a part of the folder: it has too many files; serve the folder that holds the journals"
    body["next"] = (
        "show_run(journal), with a name from this list"
        if paths
        else "no journal lies here: steadygrad run train.py writes one, and steadygrad check FILE needs none"
    )
    return bounded(body, MOST_BYTES, "runs")


def _entry(folder: Folder, path: Path) -> dict[str, Any]:
    name = {"journal": cut(folder.shown(path), LONGEST_NAME)}
    try:
        run = read(path, most=1)
    except JournalError as error:
        return {**name, "unreadable": cut(str(error).replace(str(path), "it"), SENTENCE)}
    return {
        **name,
        "state": phrases.state(run, time.time()),
        "started": phrases.moment(run.this.started),
        "sessions": len(run.sessions),
        "steps": run.steps,
        "alarms": counts_of(run.alarms),
    }


def summary(run: Run, name: str, first_alarm: int = 1) -> str:
    """One run: its state, its numbers, and its alarms from this one on."""
    told = [one for one in run.alarms if one.number >= first_alarm]
    if run.alarms and not told:
        raise SettingsError(f"{name} has no alarm {first_alarm}; it has alarms 1 to {run.alarms[-1].number}")
    about = [(key, value) for key, value in run.about.items() if key not in ("optimizer", "optimizers", "clip")]
    body: dict[str, Any] = {
        "tool": "steadygrad",
        "note": QUOTED,
        "journal": cut(name, 2 * NAMED),
        "session": f"{run.session} of {len(run.sessions)}",
        "state": phrases.state(run, time.time()),
        "steps": run.steps,
        "read": phrases.interval(run),
        "optimizer": cut(phrases.optimizers(run), SENTENCE),
        "clip": cut(phrases.clipping(run), SENTENCE),
        "about": {cut(key, NAMED): cut(str(value), NAMED) for key, value in about[:ABOUT]},
        "evidence": [{"id": f"E{number}", **one} for number, one in enumerate(_numbers(run), 1)],
        "alarms_in_all": counts_of(run.alarms),
        "alarms": [in_short(run, one) for one in told[:ALARMS]],
        "alarms_left_out": max(0, len(told) - ALARMS),
        "actions": counted(one.kind for one in run.actions),
        "notes": [cut(f"step {one.step:,}: {one.text}", SENTENCE) for one in run.notes[:NOTES]],
    }
    if run.looks:
        last = run.looks[-1]
        body["last_probe"] = {"step": last.step, "verdict": cut(last.verdict or last.note, SENTENCE)}
    body["next"] = (
        "explain_alarm(journal, number) shows the numbers around an alarm, its line and its cures; "
        "show_run(journal, first_alarm=N) goes on where alarms are left out"
        if run.alarms
        else "the guard saw nothing wrong; steadygrad check FILE looks at the model itself"
    )
    return bounded(body, MOST_BYTES, "notes", "about", "alarms", "actions", "alarms_in_all")


def _numbers(run: Run) -> Iterator[dict[str, Any]]:
    """The loss, the gradient norm and the rate at the ends of the run, and where they were extreme."""
    series = run.series
    if not len(series):
        return
    for who, low, high in panels.losses_of(run)[: panels.CURVES_SHOWN]:
        named = f"loss of {cut(who, NAMED)}" if who else "loss"
        yield from _course(named, series.steps, high, least=low)
    names = phrases.optimizer_names(run)
    for number in range(min(run.optimizers, panels.CURVES_SHOWN)):
        of = f" of {cut(names[number], NAMED)}" if run.optimizers > 1 else ""
        yield from _course(f"gradient norm{of}", series.steps, series.high[:, number])
        rate = value_of(series.rates[-1, number])
        if rate is not None:
            yield {"name": f"last learning rate{of}", "step": int(series.last_steps[-1]), "value": rate}


def _course(name: str, steps: Numbers, high: Numbers, least: Numbers | None = None) -> Iterator[dict[str, Any]]:
    known = np.flatnonzero(~np.isnan(high))
    if not len(known):
        return
    places = {"first": int(known[0]), "largest": int(known[np.argmax(high[known])]), "last": int(known[-1])}
    for which, at in places.items():
        yield {"name": f"{which} {name}", "step": int(steps[at]), "value": value_of(high[at])}
    if least is not None:
        at = int(known[np.nanargmin(least[known])])
        yield {"name": f"smallest {name}", "step": int(steps[at]), "value": value_of(least[at])}


def in_short(run: Run, alarm: Alarm) -> dict[str, Any]:
    """An alarm as a list has it; what is not known is left out."""
    at = alarm.location
    told = {
        "id": f"A{alarm.number}",
        "number": alarm.number,
        "step": alarm.step,
        "code": cut(alarm.code, NAMED),
        "name": cut(alarm.name, NAMED),
        "severity": alarm.severity.value,
        "layer": cut(alarm.parameter, NAMED) or "the whole model",
        "line": cut(words.shown_place(at), 2 * NAMED) if at else "",
        "expression": cut(at.text, EXPRESSION) if at else "",
        "seen": cut(alarm.message, SENTENCE),
        "cause": cut(alarm.cause, SENTENCE),
        "lasted": remarks.lasted(run, alarm),
        "next": cut(alarm.advice, SENTENCE),
    }
    return {key: value for key, value in told.items() if value != ""}


def counts_of(alarms: tuple[Alarm, ...]) -> dict[str, int]:
    """How many alarms there are of each rule, the most frequent first."""
    return counted(f"{one.code} {one.name}" for one in alarms)


def counted(names: Iterable[str]) -> dict[str, int]:
    """How often each name occurs, for the most frequent."""
    return {cut(name, NAMED): number for name, number in Counter(names).most_common(CODES)}


def value_of(value: float) -> float | str | None:
    """Four significant digits; the name of an infinity, which JSON has not; None where nothing is known."""
    if math.isnan(value):
        return None
    known: float | str = to_jsonable(float(f"{value:.4g}"))
    return known
