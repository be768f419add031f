"""Every row of the truth table, made by generators: one file a question, each with ``rows()``.

A set-up that two generators make stands once, as the first of them told it. To add set-ups, add to a generator or add a
file here; rows that are there keep their keys and so their results.
"""

from __future__ import annotations

from functools import cache

from bench.corpus import from_cases, from_file
from bench.corpus.row import Row
from bench.corpus.rows import conditions, depth, flaws, kinds, newer, objectives, rates, structure

GENERATORS = (rates, flaws, depth, structure, conditions, newer, objectives, kinds, from_cases, from_file)


@cache
def every() -> dict[str, Row]:
    """All rows by key."""
    found: dict[str, Row] = {}
    for generator in GENERATORS:
        for row in generator.rows():
            found.setdefault(row.key, row)
    return found
