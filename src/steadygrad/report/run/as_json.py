"""The run as JSON, version 1: what a program asks of it, and the series on request.

Not-a-number does not exist in JSON: in the series null says that nothing is known (or that there was no gradient), and an
infinity is the string "Infinity". May rely on the run's record; must not know of widths and colours.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadygrad.record import SCHEMA_VERSION, json_text, to_jsonable
from steadygrad.record.run import Run
from steadygrad.report.run.phrases import run_seconds, step_seconds


def render(run: Run, *, series: bool = False) -> str:
    """The JSON text, indented; ``series`` adds the points with the norms of every parameter."""
    body = {
        "version": SCHEMA_VERSION,
        "journal": run.path,
        "session": run.session,
        "sessions": to_jsonable(run.sessions),
        "finished": run.finished,
        "about": to_jsonable(run.about),
        "steps": run.steps,
        "seconds": _known(run_seconds(run)),
        "seconds_per_step": _known(step_seconds(run)),
        "interval": _known(run.interval),
        "clipped_share": run.clipped_share,
        "alarms": to_jsonable(run.alarms),
        "actions": to_jsonable(run.actions),
        "looks": to_jsonable(run.looks),
        "notes": to_jsonable(run.notes),
        "summary": to_jsonable(run.summary),
        "watched": to_jsonable(run.watched),
    }
    if len(run.extremes.steps):
        body["extremes"] = {
            "steps": run.extremes.steps.tolist(),
            "lowest": _numbers(run.extremes.lowest),
            "highest": _numbers(run.extremes.highest),
            "lowest_rank": run.extremes.lowest_rank.tolist(),
            "highest_rank": run.extremes.highest_rank.tolist(),
        }
    text = json_text(body)
    if not series:
        return text
    # One array a line: a million numbers indented one by one would be a file of blanks.
    lines = [f"    {json.dumps(name)}: {json.dumps(values, allow_nan=False)}" for name, values in _series(run).items()]
    joined = ",\n".join(lines)
    head = text.removesuffix("\n}")
    return f'{head},\n  "series": {{\n{joined}\n  }}\n}}'


def _series(run: Run) -> dict[str, Any]:
    series = run.series
    return {
        "steps": series.steps.tolist(),
        "last_steps": series.last_steps.tolist(),
        "times": _numbers(series.times),
        "losses": _numbers(series.losses),
        "loss_low": _numbers(series.loss_low),
        "loss_high": _numbers(series.loss_high),
        # Of further optimizers, where each has its own.
        "other_losses": [
            {
                "optimizer": one.optimizer,
                "mean": _numbers(one.mean),
                "low": _numbers(one.low),
                "high": _numbers(one.high),
            }
            for one in series.other_losses
        ],
        # "total_…" is the norm before the clip, "clipped_…" that after it.
        "optimizers": [
            {
                "total_high": _numbers(series.high[:, number]),
                "total_low": _numbers(series.low[:, number]),
                "clipped_high": _numbers(series.after_high[:, number]),
                "clipped_low": _numbers(series.after_low[:, number]),
                "factors": _numbers(series.factors[:, number]),
                "clipped": series.clipped[:, number].tolist(),
                "rows": series.counts[:, number].tolist(),
                "rates": _numbers(series.rates[:, number]),
            }
            for number in range(run.optimizers)
        ],
        # In the order of "watched".
        "norms": [_numbers(series.norms[:, column]) for column in range(len(run.watched))],
        "peaks": [_numbers(series.peaks[:, column]) for column in range(len(run.watched))],
        "weights": {
            "steps": run.weights.steps.tolist(),
            "norms": [_numbers(run.weights.norms[:, column]) for column in range(len(run.watched))],
            "update_ratios": [_numbers(run.weights.ratios[:, column]) for column in range(len(run.watched))],
        },
    }


def _numbers(values: NDArray[Any]) -> list[Any]:
    """Plain numbers; single precision is written with the nine digits that bring it back."""
    if np.isfinite(values).all():
        return _short(values)
    return [value if math.isfinite(value) else _named(value) for value in _short(values)]


def _short(values: NDArray[Any]) -> list[float]:
    return [float(f"{value:.9g}") for value in values.tolist()] if values.dtype == np.float32 else values.tolist()


def _named(value: float) -> str | None:
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _known(value: float) -> float | str | None:
    return value if math.isfinite(value) else _named(value)
