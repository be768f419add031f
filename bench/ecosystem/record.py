"""What was found of each program, as a row of JSON; rows against rows of before. Asks and runs nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.ecosystem.program import Program
from bench.ecosystem.run import Ran, difference
from bench.judge import revision
from bench.reports.ask import Told
from bench.reports.judged import number, said

RECORD = Path(__file__).parent / "record.jsonl"

Rows = dict[str, dict[str, Any]]
"""By program."""


def read(path: Path = RECORD) -> Rows:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def write(rows: Rows) -> None:
    lines = [json.dumps(rows[name], ensure_ascii=False) for name in sorted(rows)]
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")


def row(program: Program, bare: Ran, watched: dict[str, Ran]) -> dict[str, Any]:
    """One program, run bare and in each way of watching; the first way is the default."""
    first = next(iter(watched.values()))
    right = {way: wrong(program, ran.journals) for way, ran in watched.items()}
    return {
        "name": program.name,
        "revision": revision(),
        "lines": sum(map(len, bare.lines.values())),
        "processes": len(bare.lines),
        "losses": [number(one) for one in (bare.losses[0], bare.losses[-1])] if bare.losses else [],
        "apart": {way: apart for way, ran in watched.items() if (apart := difference(program, bare, ran))},
        "wrong": {way: one for way, one in right.items() if one},
        "words": words(first),
        "seconds": [round(bare.seconds, 2), round(first.seconds, 2)],
        "step": [number(bare.step), number(first.step)],
    }


def words(ran: Ran) -> str:
    """The verdict and the first findings of each guard; without a journal what was said in its place."""
    told = " | ".join(said({"verdict": one.verdict, "findings": one.findings}) for one in ran.journals)
    return told or "; ".join(line.removeprefix("steadygrad: ").strip() for line in ran.ours) or "nothing"


def wrong(program: Program, told: tuple[Told, ...]) -> str:
    """What is not right about the first words; "" where all is. An error counts when it is told of step 1, as far as is read."""
    errors = [one for each in told for one in each.findings if one["severity"] == "error"]
    if not program.expected:
        return f"told: error {errors[0]['code']} at step {errors[0]['step']}" if errors else ""
    if not any(one["code"] in program.expected and one["step"] - one["delay"] <= 1 for one in errors):
        return f"not told at step 1: error {' or '.join(program.expected)}"
    return ""


def slower(one: dict[str, Any]) -> float:
    """Watched over bare, the median of what lies between two recorded moments; NaN where there are too few."""
    bare, watched = map(float, one["step"])
    return watched / bare if bare else math.nan


def differences(now: Rows, before: Rows) -> Iterator[str]:
    """In one line each, what changed: programs, what is apart, first words. Times are no difference."""
    for name in sorted(now.keys() | before.keys()):
        if name not in before:
            yield f"+ {name}: {now[name]['words']}"
        elif name not in now:
            yield f"- {name}: not run"
        else:
            for what in ("apart", "wrong", "words"):
                ours, theirs = now[name][what], before[name][what]
                if ours != theirs:
                    yield f"  {name}, {what}: {theirs or 'nothing'} -> {ours or 'nothing'}"
