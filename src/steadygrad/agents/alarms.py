"""Why an alarm was raised: the numbers around its step, its line of source, and the cures that its rule names.

May rely on the run's record and on the pages of rules and cures; must not know the protocol.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from steadygrad.agents.runs import MOST_BYTES, Numbers, in_short, value_of
from steadygrad.cures import for_finding
from steadygrad.errors import SettingsError
from steadygrad.record.run import Run
from steadygrad.record.training import Alarm
from steadygrad.report.quoted import EXPRESSION, NAMED, QUOTED, SENTENCE, bounded, cut
from steadygrad.report.run import remarks

BEFORE, AFTER = 6, 5
"""Points of the series that are told before the alarm and after it."""

USUAL = 50
"""Points before the alarm whose median is the usual norm of a layer."""

LAYERS, LINES, CURES = 6, 8, 8


def why(run: Run, name: str, number: int) -> str:
    """All that is known of one alarm. Raises ``SettingsError`` where the run has no such alarm."""
    alarm = next((one for one in run.alarms if one.number == number), None)
    if alarm is None:
        has = f"it has alarms 1 to {run.alarms[-1].number}" if run.alarms else "its guard raised none"
        raise SettingsError(f"{name} has no alarm {number}; {has}")
    told = in_short(run, alarm)
    body: dict[str, Any] = {
        "tool": "steadygrad",
        "note": QUOTED,
        "journal": cut(name, 2 * NAMED),
        "session": run.session,
        "alarm": told,
        "remarks": {
            key: cut(text, 2 * SENTENCE) for key, text in remarks.remarks(run, alarm) if key not in (*told, "next")
        },
        "source": _source(alarm),
        "evidence": _around(run, alarm),
        "layers": _layers(run, alarm),
        "cures": [
            {"name": one.name, "group": one.group, "safety": one.safety, "what": one.summary}
            for one in for_finding(alarm.code)[:CURES]
        ],
        "next": f"{cut(alarm.advice, SENTENCE) or 'read the page of the rule'}; explain({cut(alarm.code, NAMED)!r}) is that page",
    }
    told.pop("next", None)
    if body["cures"]:
        body["next"] += "; steadygrad cure FILE tries the cures on copies, and explain_cure(name) is the page of one"
    if alarm.others:
        body["further_layers"] = alarm.others
    return bounded(body, MOST_BYTES, "layers", "evidence", "source", "remarks", "cures")


def _source(alarm: Alarm) -> list[str]:
    """The lines of source as they were when the step ran, with their numbers."""
    at = alarm.location
    if at is None:
        return []
    return [f"{number}: {cut(text, EXPRESSION)}" for number, text in enumerate(at.lines[:LINES], at.line)]


def _around(run: Run, alarm: Alarm) -> list[dict[str, Any]]:
    """The points of the series around the step: loss, gradient norm, clip and rate of the alarm's optimizer."""
    series = run.series
    if not len(series):
        return []
    part, at = _optimizer(run, alarm), _point(run, alarm)
    others = [one.high for one in series.other_losses if one.optimizer == part]
    columns: dict[str, Numbers] = {
        "loss": others[0] if others else series.loss_high,
        "gradient_norm": series.high[:, part],
        "after_clip": np.where(series.clipped[:, part] > 0, series.after_high[:, part], np.nan),
        "learning_rate": series.rates[:, part],
    }
    told = []
    for number, point in enumerate(range(max(0, at - BEFORE), min(len(series), at + AFTER + 1)), 1):
        row: dict[str, Any] = {"id": f"A{alarm.number}.E{number}", "step": int(series.steps[point])}
        if series.last_steps[point] > series.steps[point]:
            row["last_step"] = int(series.last_steps[point])
        known = {key: value_of(values[point]) for key, values in columns.items()}
        told.append(row | {key: value for key, value in known.items() if value is not None})
    return told


def _layers(run: Run, alarm: Alarm) -> list[dict[str, Any]]:
    """The layer of the alarm, then those whose gradient norm at its step is farthest from the usual one."""
    series, part = run.series, _optimizer(run, alarm)
    owned = np.array([place for place, one in enumerate(run.watched) if one.optimizer == part], dtype=np.int64)
    if not len(series) or not len(owned):
        return []
    at = _point(run, alarm)
    now = series.peaks[at, owned].astype(np.float64)
    past = series.norms[max(0, at - USUAL) : at, owned].astype(np.float64)
    usual = np.array([np.median(one[~np.isnan(one)]) if (~np.isnan(one)).any() else np.nan for one in past.T])
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = now / usual
        distance = np.nan_to_num(np.abs(np.log10(factor)), nan=-1.0, posinf=np.inf)
    names = [run.watched[place].name for place in owned]
    ranked = sorted(range(len(owned)), key=lambda one: (names[one] != alarm.parameter, -distance[one]))
    told = []
    for number, place in enumerate(ranked[:LAYERS], 1):
        values = {"gradient_norm": now[place], "usual": usual[place], "factor": factor[place]}
        known = {key: value_of(float(value)) for key, value in values.items()}
        row: dict[str, Any] = {"id": f"A{alarm.number}.L{number}", "layer": cut(names[place], NAMED)}
        told.append(row | {key: value for key, value in known.items() if value is not None})
    return told


def _optimizer(run: Run, alarm: Alarm) -> int:
    return alarm.optimizer if 0 <= alarm.optimizer < run.optimizers else 0


def _point(run: Run, alarm: Alarm) -> int:
    """The point of the series that the alarm's step is in."""
    return max(0, int(np.searchsorted(run.series.steps, alarm.step, side="right")) - 1)
