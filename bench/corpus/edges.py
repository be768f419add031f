"""Where training tips over: pairs of rows alike but for one number, of which one trains and the other fails.

Numbers are the rate, the batch, the input's scale and every numeric parameter of the builder; the two rows of a pair stand
next to each other among the rows that differ in that number alone. Rows with several such neighbours are in several pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from bench.corpus.row import Row
from bench.corpus.train import Truth


@dataclass(frozen=True)
class Edge:
    """Two neighbours on either side."""

    number: str
    """Name of what differs."""
    trains: Row
    fails: Row


def edges(rows: Iterable[Row], truth: Mapping[str, Truth]) -> list[Edge]:
    """All near misses among the rows that have been trained."""
    lines: dict[tuple[object, ...], list[tuple[float, Row]]] = {}
    for row in rows:
        if row.key in truth:
            for name, value, rest in _numbers(row):
                lines.setdefault((name, *rest), []).append((value, row))
    found = []
    for (name, *_), line in lines.items():
        line.sort(key=lambda one: one[0])
        for (_, one), (_, other) in pairwise(line):
            labels = {truth[row.key].label: row for row in (one, other)}
            if set(labels) == {"trains", "fails"}:
                found.append(Edge(str(name), labels["trains"], labels["fails"]))
    return found


def _numbers(row: Row) -> Iterator[tuple[str, float, tuple[object, ...]]]:
    """Every number of a row, its value, and all the rest of the row."""
    fixed = (row.model, row.task, row.loss, row.optimizer, row.optimizer_options, row.dtype, row.seed)
    outer = {"rate": row.rate, "batch": row.batch, "inputs": row.inputs}
    for name, value in outer.items():
        others = tuple(outer[other] for other in outer if other != name)
        yield name, float(value), (*fixed, row.parameters, *others)
    for name, value in row.parameters:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            others = tuple(one for one in row.parameters if one[0] != name)
            yield name, float(value), (*fixed, others, *outer.values())
