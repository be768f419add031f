"""What a check measured of the rows of the truth table, kept, so that rules can be judged again without measuring again.

Two records a row, of a hundred steps and within it of the first ten: of one batch, and of fresh ones. They are kept beside
the table, compressed, under the
revision of the source that measures (not of the rules, which only read them), and are not part of the repository: some ten
minutes of two cores make them anew.
"""

from __future__ import annotations

import lzma
import shutil
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from bench.corpus.row import Row
from bench.corpus.rows import every
from bench.judge import MEASURES, SOURCE, check, digest
from steadygrad.record import CheckRecord
from steadygrad.rules import thresholds

FRESH = "-fresh"
KEPT = Path(__file__).parent / "corpus" / "records"


def revision() -> str:
    """Of the source that measures."""
    return digest(SOURCE, ("_check.py", *MEASURES, "record", "theory"))


def measured(
    rows: Iterable[Row], *, fresh: bool = False, processes: int = 2, kept: Path = KEPT
) -> dict[str, CheckRecord]:
    """Records by row, measured where they are not kept yet. Rows whose check raises have none.

    ``fresh``: with the batches of the row's training in place of the first one; rows that have no other have none.
    """
    rows = list(rows)
    folder = kept / revision()
    for stale in kept.iterdir() if kept.exists() else ():
        if stale != folder:
            shutil.rmtree(stale)
    folder.mkdir(parents=True, exist_ok=True)
    end = FRESH if fresh else ""
    missing = [row.key for row in rows if not (folder / f"{row.key}{end}").exists()]
    with ProcessPoolExecutor(processes) as pool:
        for number, _ in enumerate(pool.map(_measure, missing, [folder] * len(missing), [fresh] * len(missing)), 1):
            if number % 100 == 0:
                print(f"{number} of {len(missing)} rows measured", flush=True)
    known = {row.key: _read(folder / f"{row.key}{end}") for row in rows}
    return {key: record for key, record in known.items() if record is not None}


def _measure(key: str, folder: Path, fresh: bool) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    row = every()[key]
    try:
        report = check(row, thresholds.MOST_STEPS, fresh=fresh)
        told = report.to_json(indent=None)
        if fresh and (report.trial is None or report.trial.unseen is None) and not report.trial.diverged:
            told = ""  # Its batches are all the same.
    except Exception:
        told = ""  # Nothing to judge; ``bench.detect`` counts and names what raises.
    name = f"{key}{FRESH if fresh else ''}"
    beside = folder / f"{name}.tmp"
    beside.write_bytes(lzma.compress(told.encode()))
    beside.replace(folder / name)


def _read(path: Path) -> CheckRecord | None:
    told = lzma.decompress(path.read_bytes()).decode()
    return CheckRecord.from_json(told) if told else None
