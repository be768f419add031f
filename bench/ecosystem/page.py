"""``docs/measured-ecosystem.md``, from the record and the programs' first lines alone."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from bench.ecosystem.program import Program, every
from bench.ecosystem.record import Rows, slower
from bench.ecosystem.run import WAYS

PAGE = Path(__file__).parents[2] / "docs" / "measured-ecosystem.md"

HEAD = """# Public training programs, bare and watched

`python -m bench.ecosystem` wrote this page. Each program has the shape of one that many people start from, rebuilt small in our
own words with made-up data of the right form. Each was run by `python` and by `steadygrad run`, at default settings (every step
is read) and with `--every 20`. A recorder that lies below both wrote down, in every process, every backward pass (what goes
backward, every leaf below it, the states of `random`, numpy and torch) and every step of an optimizer (weights, gradients, its
state, random states). *Identical*: all of that, standard output, standard error less our own lines, and the exit code, bit for
bit.

*First words*: the verdict on the first step, and alarms. Right is what training shows: the losses are those of the bare run,
first and last. *A step*: the processor's time between two recorded moments, watched over bare (median); the programs are tiny,
which shows the cost of watching at its greatest. *Seconds*: the whole process by the clock of a machine with other work, bare
and watched: Python's start, the check of the first step on a copy and the journal with it.
"""


def page(rows: Rows) -> str:
    """The whole page, in Markdown."""
    programs = every()
    revisions = sorted({row["revision"] for row in rows.values()})
    table = [
        "| program | losses | identical | first words | right | a step | seconds |",
        "|---|---|---|---|---|---:|---:|",
        *(_line(programs[name], one) for name, one in sorted(rows.items()) if name in programs),
    ]
    made = f"At revision {' and '.join(revisions)} of what makes the verdict."
    return "\n".join([HEAD, made, "", *totals(rows), "", *table, ""])


def _line(program: Program, one: dict[str, Any]) -> str:
    ratio = slower(one)
    bare, watched = one["seconds"]
    cells = (
        f"{program.name}: {program.shape}",
        " → ".join(map(str, one["losses"])) or "–",
        _by_way(one["apart"]),
        _short(one["words"]),
        _by_way(one["wrong"]),
        "–" if math.isnan(ratio) else f"×{ratio:.2f}",
        f"{bare} → {watched}",
    )
    return f"| {' | '.join(cells)} |"


def _by_way(found: dict[str, str]) -> str:
    return "; ".join(f"{way}: {_short(why)}" for way, why in found.items()) or "yes"


def totals(rows: Rows) -> list[str]:
    """What all programs come to, as a list."""
    ratios = [ratio for one in rows.values() if not math.isnan(ratio := slower(one))]
    same = {way: sum(way not in one["apart"] for one in rows.values()) for way in WAYS}
    right = {way: sum(way not in one["wrong"] for one in rows.values()) for way in WAYS}
    moments, processes = (sum(one[what] for one in rows.values()) for what in ("lines", "processes"))
    step = f"median ×{statistics.median(ratios):.2f}, greatest ×{max(ratios):.2f}" if ratios else "not known"
    return [
        *(
            f"- {way}: identical {same[way]} of {len(rows)}; first words right {right[way]} of {len(rows)}"
            for way in WAYS
        ),
        f"- moments compared: {moments:,}, in {processes} processes",
        f"- a step of these tiny programs, watched over bare: {step}",
    ]


def _short(text: str) -> str:
    text = text.replace(f"{PAGE.parents[1]}/", "").replace("|", "/").replace("\n", " ")
    return text if len(text) <= 240 else f"{text[:240]} …"
