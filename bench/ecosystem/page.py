"""``docs/measured-ecosystem.md``, from the record and the programs' first lines alone."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from bench.ecosystem.program import every
from bench.ecosystem.record import Rows, slower
from bench.ecosystem.run import WAYS

PAGE = Path(__file__).parents[2] / "docs" / "measured-ecosystem.md"

HEAD = """# Public training programs, bare and watched

`python -m bench.ecosystem` wrote this page. Each program has the shape of one that many people start from, rebuilt small in our own
words with made-up data of the right form. Each was run by `python` and by `steadygrad run`, at default settings (every step is
read) and with `--every 20`. A recorder that lies below both wrote down every backward pass (what goes backward, every leaf below
it, the states of `random`, numpy and torch) and every step of an optimizer (weights, gradients, its state, random states), in every
process. *Identical*: all of that, standard output, standard error less our own lines, and the exit code, bit for bit.

*First words*: the verdict on the first step, and alarms. Right is what training shows: the losses are those of the bare run, first
and last. *A step*: the time between two recorded moments, watched over bare (median, one process after the other); the programs
are tiny, which shows the cost of watching at its greatest. *Seconds*: the whole process, bare and watched, Python's start, the
check of the first step on a copy and the journal with it.
"""


def page(rows: Rows) -> str:
    """The whole page, in Markdown."""
    programs = every()
    revisions = sorted({row["revision"] for row in rows.values()})
    table = [
        "| program | losses | identical | first words | right | a step | seconds |",
        "|---|---|---|---|---|---:|---:|",
    ]
    for name, one in sorted(rows.items()):
        if name in programs:
            losses = " → ".join(map(str, one["losses"])) or "–"
            ratio = slower(one)
            bare, watched = one["seconds"]
            table.append(
                f"| {name}: {programs[name].shape} | {losses} | {'; '.join(f'{w}: {a}' for w, a in one['apart'].items()) or 'yes'} | "
                f"{_short(one['words'])} | {'; '.join(f'{w}: {a}' for w, a in one['wrong'].items()) or 'yes'} | "
                f"{'–' if math.isnan(ratio) else f'×{ratio:.2f}'} | {bare} → {watched} |"
            )
    return "\n".join(
        [HEAD, f"At revision {' and '.join(revisions)} of what makes the verdict.", "", *totals(rows), "", *table, ""]
    )


def totals(rows: Rows) -> list[str]:
    """What all programs come to, as a list."""
    ratios = [ratio for one in rows.values() if not math.isnan(ratio := slower(one))]
    same = {way: sum(way not in one["apart"] for one in rows.values()) for way in WAYS}
    right = {way: sum(way not in one["wrong"] for one in rows.values()) for way in WAYS}
    return [
        *(
            f"- {way}: identical {same[way]} of {len(rows)}; first words right {right[way]} of {len(rows)}"
            for way in WAYS
        ),
        f"- moments compared: {sum(one['lines'] for one in rows.values()):,}, in {sum(one['processes'] for one in rows.values())} processes",
        f"- a step of these tiny programs, watched over bare: median ×{statistics.median(ratios):.2f}, greatest ×{max(ratios):.2f}",
    ]


def _short(text: str) -> str:
    text = text.replace(f"{PAGE.parents[1]}/", "").replace("|", "/").replace("\n", " ")
    return text if len(text) <= 240 else f"{text[:240]} …"
