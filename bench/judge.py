"""What steadygrad says of the rows of the truth table, tier by tier, kept as JSON lines so that it is asked once.

A judgement is kept under the row's key, the tier, and the revision: a digest of the source that judges. Lines of another
revision are never counted; they are dropped when new ones are written.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import steadygrad
from bench.corpus import store
from bench.corpus.prepare import prepare
from bench.corpus.row import Row
from bench.quantities import measured
from steadygrad.source.spans import recording_constructions

VERDICTS = Path(__file__).parent / "corpus" / "verdicts.jsonl"
SOURCE = Path(steadygrad.__file__).parent

TIERS = {"probe": 0, "steptest": None, "trial": 100}
"""Steps of each tier: ``trial`` of ``steadygrad.check``; None is what it does unasked, ten or a hundred."""


@dataclass(frozen=True)
class Judgement:
    """What was said of one row."""

    key: str
    by: str
    """A tier, or the name of a peer."""
    revision: str
    verdict: str
    """As ``steadygrad.Verdict``; a peer knows "healthy" and "will not train" only. "crashed" where the check raised."""
    codes: tuple[str, ...] = ()
    """Of the findings that are more than information, the cause first."""
    message: str = ""
    """Of the cause; the alarm's reason with peers."""
    expression: str = ""
    source: str = ""
    """Expression and source lines that the cause points to."""
    seconds: float = 0.0
    """Processor time."""
    quantities: Mapping[str, float] = field(default_factory=dict)
    """What the rules compare with their thresholds (``bench.quantities``), four digits; nothing with peers."""


MEASURES = ("copies", "objective.py", "probe", "source", "steptest", "subject")
"""The rooms that measure a model."""


def digest(folder: Path, parts: Iterable[str]) -> str:
    """Ten hexadecimal digits of the Python files below ``parts`` of a folder."""
    text = hashlib.sha256()
    for part in sorted(parts):
        path = folder / part
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            text.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return text.hexdigest()[:10]


def revision() -> str:
    """Of the source that makes steadygrad's verdict."""
    return digest(SOURCE, ("_check.py", *MEASURES, "record", "rules", "theory"))


def check(row: Row, trial: int | None, *, fresh: bool) -> steadygrad.Report:
    """The report on the row's first training, before it begins: from the batches that it is trained on, or the first alone."""
    with recording_constructions():
        made = prepare(row).made
    batch = made.batches if fresh else made.batch
    return steadygrad.check(made.model, batch, made.loss_fn, optimizer=made.optimizer, trial=trial)


def judge(row: Row, tier: str, now: str, *, fresh: bool = True) -> Judgement:
    """The verdict of a tier on a row."""
    began = time.process_time()
    try:
        report = check(row, TIERS[tier], fresh=fresh)
    except Exception as error:
        return Judgement(row.key, tier, now, "crashed", message=f"{type(error).__name__}: {error}"[:300])
    told = [finding for finding in report.findings if finding.severity != "info"]
    cause = told[0] if told else None
    place = cause.location if cause is not None else None
    return Judgement(
        row.key,
        tier,
        now,
        str(report.verdict),
        tuple(finding.code for finding in told),
        cause.message if cause is not None else "",
        place.text if place is not None else "",
        place.source if place is not None else "",
        round(time.process_time() - began, 3),
        {what: _digits(value) for what, value in measured(report).items()},
    )


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def known(path: Path, revisions: Mapping[str, str]) -> dict[tuple[str, str], Judgement]:
    """Judgements of the given revisions, by key and judge. Raises ``CorruptTableError``."""
    found = {}
    for told in store.read(path):
        if revisions.get(told.get("by", "")) == told.get("revision"):
            numbers = {what: float(value) for what, value in told["quantities"].items()}
            found[told["key"], told["by"]] = Judgement(**{**told, "codes": tuple(told["codes"]), "quantities": numbers})
    return found


Ask = Callable[[Row], Judgement]


def judge_all(
    rows: Iterable[Row],
    judges: Mapping[str, Ask],
    revisions: Mapping[str, str],
    *,
    path: Path = VERDICTS,
    say: Callable[[str], None] = lambda _: None,
) -> dict[tuple[str, str], Judgement]:
    """What every judge says of every row, by key and judge; what is not kept yet is asked for and kept."""
    there = known(path, revisions)
    todo = [(row, [by for by in judges if (row.key, by) not in there]) for row in rows]
    todo = [(row, missing) for row, missing in todo if missing]
    if todo:
        _drop_stale(path, revisions)
    for number, (row, missing) in enumerate(todo, 1):
        for by in missing:
            there[row.key, by] = judges[by](row)
            store.append(path, asdict(there[row.key, by]))
        if number % 50 == 0 or number == len(todo):
            say(f"{number} of {len(todo)} rows judged by {', '.join(judges)}")
    return there


def _drop_stale(path: Path, revisions: Mapping[str, str]) -> None:
    """Take out what the same judges said in another revision."""
    rows: list[dict[str, Any]] = store.read(path)
    fresh = [row for row in rows if revisions.get(row["by"], row["revision"]) == row["revision"]]
    if len(fresh) < len(rows):
        beside = path.with_suffix(".tmp")
        beside.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in fresh), encoding="utf-8")
        beside.replace(path)
