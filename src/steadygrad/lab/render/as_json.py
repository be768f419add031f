"""Runs as JSON, with every number that a figure is drawn from; what is not finite is null or "inf", never NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from steadygrad.lab.outcome import Ran
from steadygrad.record import json_text

VERSION = 1


def render(runs: Sequence[Ran]) -> str:
    """An object with ``version`` and ``experiments``."""
    body = {"version": VERSION, "experiments": [_one(ran) for ran in runs]}
    return json_text(_finite(body))


def _one(ran: Ran) -> dict[str, Any]:
    outcome = ran.outcome
    return {
        "name": ran.name,
        "summary": ran.summary,
        "sections": dict(ran.sections),
        "parameters": dict(ran.parameters),
        "seed": ran.seed,
        "quick": ran.quick,
        "seconds": ran.seconds,
        "verdict": outcome.verdict,
        "readings": [{**asdict(reading), "verdict": reading.verdict} for reading in outcome.readings],
        "seen": outcome.seen,
        "figures": [{"kind": type(figure).__name__.lower(), **asdict(figure)} for figure in outcome.figures],
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
