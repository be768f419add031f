"""The parameters that share a row of the heat map: single ones where they fit, else modules, else neighbouring modules.

May rely on the standard library; must not know what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

WORTH = 1.2
"""Modules are joined across their borders where that makes so many times the rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its label, and the places of its parameters among those watched."""

    label: str
    members: tuple[int, ...]


def rows(names: Sequence[str], most: int) -> list[Row]:
    """Return at most ``most`` rows in the order of the names; labels omit a prefix that all of them have.

    The deepest grouping by module that fits is taken; where it says little (three rows for fifty blocks), the next deeper
    one is, with neighbours of one parent together.
    """
    if not names:
        return []
    paths = [tuple(name.split(".")) for name in names]
    begin = _common(paths)
    paths = [path[begin:] for path in paths]
    depth = max(map(len, paths))
    groupings = [_grouped(paths, level) for level in range(1, depth + 1)]
    fitting = [one for one in groupings if len(one) <= most]
    found = fitting[-1] if fitting else _by_number(groupings[0], most)
    if len(fitting) < len(groupings):
        deeper = _siblings_joined(groupings[len(fitting)], most)
        if len(deeper) >= WORTH * len(found):
            found = deeper
    return [Row(_label(one), tuple(place for _, places in one for place in places)) for one in found]


def lead(names: Sequence[str]) -> str:
    """The prefix that the labels leave out."""
    paths = [tuple(name.split(".")) for name in names]
    return ".".join(paths[0][: _common(paths)]) if paths else ""


Path = tuple[str, ...]
Group = list[tuple[Path, list[int]]]
"""Neighbouring modules (or parameters), each with its places."""


def _common(paths: Sequence[Path]) -> int:
    """Count the leading parts that all paths share, leaving each at least its own name."""
    shortest = min(map(len, paths)) - 1
    return next((level for level in range(shortest) if len({path[level] for path in paths}) > 1), max(0, shortest))


def _grouped(paths: Sequence[Path], level: int) -> list[Group]:
    """Consecutive paths that agree in their first ``level`` parts."""
    numbered = [(path[:level], place) for place, path in enumerate(paths)]
    return [[(key, [place for _, place in found])] for key, found in groupby(numbered, key=lambda one: one[0])]


def _siblings_joined(groups: list[Group], most: int) -> list[Group]:
    """Neighbours of one parent together, as few as will do; nothing where that does not do."""
    single = [one[0] for one in groups]
    families = [list(found) for _, found in groupby(single, key=lambda one: one[0][:-1])]
    for size in range(2, max(map(len, families)) + 1):
        joined = [family[at : at + size] for family in families for at in range(0, len(family), size)]
        if len(joined) <= most:
            return joined
    return []


def _by_number(groups: list[Group], most: int) -> list[Group]:
    """Neighbours together, whoever their parent is."""
    single = [one[0] for one in groups]
    size = -(-len(single) // most)
    return [single[at : at + size] for at in range(0, len(single), size)]


def _label(group: Group) -> str:
    first, last = group[0][0], group[-1][0]
    if len(group) == 1:
        return ".".join(first)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return f"{'.'.join(first)}…{'.'.join(last[same:])}"
