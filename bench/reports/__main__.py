"""Ask steadygrad about every kind of report: ``python -m bench.reports [--train] [NAME ...]``.

Each script is checked with its own batches, checked as a bare model, and run under ``steadygrad run``, sick and mended. With
``--train``, and for scripts that were never trained, training itself decides first. About twenty minutes on one core; kinds named
replace their rows in ``record.jsonl``. ``docs/measured-reports.md`` is written from the record.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from bench.judge import revision
from bench.reports import page
from bench.reports.ask import WAYS, ask, trained
from bench.reports.judged import as_told, errors, judge, number, read, said, warnings, write
from bench.reports.kinds import KINDS, WHICH, Kind


def main(arguments: list[str]) -> int:
    """Ask, print, write; 1 where training did not do what the table says."""
    parser = argparse.ArgumentParser(prog="python -m bench.reports")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--page", action="store_true", help="write the page from the record, and nothing else")
    given = parser.parse_args(arguments)
    rows, wrong = read(), 0
    for kind in () if given.page else KINDS:
        if given.names and kind.name not in given.names:
            continue
        for which in WHICH:
            known = rows.get((kind.name, which), {}).get("trained")
            result = trained(kind, which) if given.train or known is None else float(known)
            right = as_told(kind, which, result)
            wrong += not right
            row: dict[str, Any] = {"name": kind.name, "which": which, "revision": revision(), "trained": number(result)}
            for way in WAYS:
                told = ask(kind, which, way)
                row[way] = None if told is None else {**asdict(told), "findings": list(told.findings)}
            rows[kind.name, which] = row
            print(f"{kind.name} ({which}): {result:.3g}{'' if right else '  NOT AS THE TABLE SAYS'}")
            for way in WAYS:
                if row[way] is not None:
                    print(f"  {way:5s} {_words(kind, which, way, row[way])}")
            sys.stdout.flush()
        write(rows)
    page.PAGE.write_text(page.page(rows), encoding="utf-8")
    print(*page.totals(rows), sep="\n")
    return 1 if wrong else 0


def _words(kind: Kind, which: str, way: str, told: dict) -> str:
    if which == "fixed":
        kept = not errors(told) and not warnings(told)
        return f"{'ok' if kept else f'{errors(told)} errors, {warnings(told)} warnings'} · {said(told)}"
    one = judge(kind, told, way)
    marks = "ok" if one.found and one.cause and one.line is not False else "MISS"
    return f"{marks} found={one.found} cause={one.cause} line={one.line} · {one.said}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
