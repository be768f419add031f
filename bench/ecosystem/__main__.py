"""Run every program of the ecosystem bare and watched: ``python -m bench.ecosystem [NAME ...]``.

Prints each as it is done, then what differs from the record of before, or from another one: ``--against FILE``. Programs named
replace their rows in ``record.jsonl``; ``docs/measured-ecosystem.md`` is written from it. About ten minutes on one core. Ends
with 1 where a program is not identical bare and watched, or the first words on it are not right.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.ecosystem import page, record
from bench.ecosystem.program import every
from bench.ecosystem.run import WAYS, run


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ecosystem")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--against", type=Path, metavar="FILE", help="a record of another version, as record.jsonl")
    given = parser.parse_args(arguments)
    programs = every()
    for name in given.names:
        if name not in programs:
            parser.error(f"unknown {name!r}; known are {', '.join(programs)}")
    before = record.read(given.against or record.RECORD)
    rows, failed = record.read(), 0
    for name in given.names or programs:
        program = programs[name]
        if not program.is_here:
            print(f"{name}: not run; {program.needs} is not installed")
            continue
        bare = run(program, None)
        one = rows[name] = record.row(program, bare, {way: run(program, options) for way, options in WAYS.items()})
        failed += bool(one["apart"] or one["wrong"])
        print(f"{name}: {_words(one)}", flush=True)
        record.write(rows)
    rows = {name: one for name, one in rows.items() if name in programs}
    record.write(rows)
    page.PAGE.write_text(page.page(rows), encoding="utf-8")
    print(*page.totals(rows), sep="\n")
    print(f"against {given.against or 'the record of before'}:")
    print(*(list(record.differences(rows, before)) or ["  nothing differs"]), sep="\n")
    return 1 if failed else 0


def _words(one: dict) -> str:
    parts = [*(f"NOT IDENTICAL ({way}): {why}" for way, why in one["apart"].items())]
    parts += [f"NOT RIGHT ({way}): {why}" for way, why in one["wrong"].items()]
    known = " → ".join(map(str, one["losses"]))
    return (
        "; ".join(parts or ["identical, right"])
        + f" · losses {known} · ×{record.slower(one):.2f} · {one['words'][:200]}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
