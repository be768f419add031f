"""Records as JSON, version 1; ``schema-v1.json`` beside this file describes that of a check.

May rely on the record, which writes itself; must not know of widths and colours, which it takes and passes over.
"""

from __future__ import annotations

import json
from typing import Any

from steadygrad.record import SCHEMA_VERSION, CheckRecord, CureRecord, json_text, to_jsonable
from steadygrad.record.depth import DepthRecord
from steadygrad.record.precision import PrecisionRecord
from steadygrad.record.proof import ProofRecord
from steadygrad.record.rates import RateSearchRecord
from steadygrad.record.scale import ScaleRecord
from steadygrad.record.transfer import TransferRecord
from steadygrad.report.colour import Color

NAME = "json"


def render(
    record: CheckRecord,
    *,
    width: int | None = None,
    color: Color = "never",
    verbose: bool = False,
    fail_on: str = "error",
) -> str:
    """The JSON text, indented; ``CheckRecord.from_json`` reads it back."""
    return record.to_json()


def cure_as_json(record: CureRecord) -> str:
    """Return what was tried and taken; the two checks are whole."""
    body = {
        "tried": to_jsonable(record.tried),
        "taken": record.taken.candidate.name if record.taken is not None else None,
        "changes": to_jsonable(record.changes),
        "words": record.words,
        "seed": record.seed,
        "seconds": record.seconds,
        "before": json.loads(record.before.to_json()),
        "after": json.loads(record.after.to_json()),
    }
    return _dumped(body)


def rates_as_json(found: RateSearchRecord) -> str:
    """Every rate with its losses and its fall."""
    body = to_jsonable(found)
    for row, one in zip(body["tried"], found.tried, strict=True):
        row["fall"] = to_jsonable(one.fall)
    return _dumped(body)


def scale_as_json(found: ScaleRecord) -> str:
    """Every weight with its exponents, the findings, and the sweeps of rates where there are any."""
    return _dumped({**to_jsonable(found), "stable": found.stable, "transfer": _transfer(found.transfer)})


def precision_as_json(found: PrecisionRecord) -> str:
    """Every operation with what the format does to it, every training with its losses, and the findings."""
    return _dumped({**to_jsonable(found), "modules": list(found.modules), "as_it_is": found.as_it_is})


def depth_as_json(found: DepthRecord) -> str:
    """Every law, the trainings, the findings, and the sweeps of rates where there are any."""
    return _dumped({**to_jsonable(found), "stable": found.stable, "transfer": _transfer(found.transfer)})


def _transfer(found: TransferRecord | None) -> dict[str, Any] | None:
    """Every rate with its loss, the best of each sweep, and what the small model's best rate is worth there."""
    if found is None:
        return None
    body = {**to_jsonable(found), "proven": found.proven}
    for name, one in (("small", found.small), ("before", found.before), ("after", found.after)):
        come_to = {"best": one.best.factor, "bracketed": one.bracketed, "reached": one.reached(found.shared)}
        body[name].update(to_jsonable(come_to))
    return body


def proof_as_json(proof: ProofRecord) -> str:
    """Both arms with every loss and what they come to, and whether the cure is proven."""
    body = {**to_jsonable(proof), "proven": proof.proven, "seeds_alike": proof.seeds_alike}
    for arm in (proof.before, proof.after):
        come_to = {"last": arm.last, "accuracy": arm.accuracy, "steps_to_target": arm.steps_to(proof.target)}
        body[arm.name].update(to_jsonable(come_to))
    return _dumped(body)


def _dumped(body: dict[str, Any]) -> str:
    return json_text({"version": SCHEMA_VERSION, **body})
