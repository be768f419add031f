"""Layers named at run time: lists that a function in the user's file makes from the model that it is given.

The names seen on one model hold for that model alone: another depth has others. A list is made from ``named_modules`` by
type, by what the names begin and end with, and by the place in order, counted from the nearer end.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from keyword import kwlist

from torch import nn

MOST_RUNS = 3
"""Runs of neighbours that one list may be put together from: more of them are no rule."""


@dataclass(frozen=True)
class _Rule:
    test: str
    """The condition on ``name`` and ``layer``."""
    called: str
    """The name of a list of those that meet it."""
    known: list[str]
    """The layers of this model."""


@dataclass
class Lists:
    """Lists of layers of one model, each with a variable in the function to write."""

    model: nn.Module
    nn: str
    """The file's name for torch.nn."""
    _made: dict[str, str] = field(default_factory=dict)

    def of(self, paths: Iterable[str]) -> str:
        """An expression for the names of just these layers, as its function would find them in this model."""
        wanted = list(dict.fromkeys(paths))
        if not wanted or (len(wanted) == 1 and _is_fixed(wanted[0])):
            return _literal(wanted)
        found = []
        for rule in self._rules(wanted):
            places = [place for place, name in enumerate(rule.known) if name in wanted]
            runs = _runs(places, len(rule.known))
            if runs:
                found.append((runs[0].doubt if len(runs) == 1 else 2, rule, runs))
        if not found:
            return _literal(wanted)
        # Of rules that are equally sure the first, which is the plainest.
        _, rule, runs = min(found, key=lambda one: one[0])
        variable = self._variable(rule)
        parts = [f"{variable}{run}" for run in runs]
        return parts[0] if len(parts) == 1 else f"[{', '.join(f'*{part}' for part in parts)}]"

    @property
    def rows(self) -> list[str]:
        """The lines that make the lists, at the head of the function."""
        return [f"    {variable} = {made}" for made, variable in self._made.items()]

    def _rules(self, wanted: list[str]) -> Iterator[_Rule]:
        """Conditions on name and type that all of these meet, the plainest first, and every layer that meets them."""
        kinds = list(dict.fromkeys(_public(self.model.get_submodule(path)) for path in wanted))
        names = [f"{self.nn}.{kind.__name__}" for kind in kinds]
        typed = f"isinstance(layer, {names[0] if len(names) == 1 else '(' + ', '.join(names) + ')'})"
        kind = kinds[0].__name__.lower() if len(kinds) == 1 else "layers"
        heads, tails = zip(*(_ends(path) for path in wanted), strict=True)
        head = heads[0] if len(set(heads)) == 1 else ""
        tail = tails[0] if len(set(tails)) == 1 else ""
        for before, behind in dict.fromkeys([("", ""), ("", tail), (head, ""), (head, tail)]):
            tests = [f'name.startswith("{before}")'] * bool(before) + [f'name.endswith("{behind}")'] * bool(behind)
            known = [
                name
                for name, layer in self.model.named_modules()
                if isinstance(layer, tuple(kinds)) and name.startswith(before) and name.endswith(behind)
            ]
            called = behind.rpartition(".")[2] or before.strip(".").rpartition(".")[2] or kind
            called = called if called.isidentifier() else kind
            yield _Rule(" and ".join([typed, *tests]), called, known)

    def _variable(self, rule: _Rule) -> str:
        made, called = f"[name for name, layer in model.named_modules() if {rule.test}]", rule.called
        if made not in self._made:
            while called in _TAKEN or called in self._made.values():
                called += "s"
            self._made[made] = called
        return self._made[made]


_TAKEN = {
    *kwlist,
    *dir(builtins),
    "model",
    "name",
    "names",
    "layer",
    "weight",
    "scale",
    "shift",
    "mean",
    "std",
    "torch",
    "nn",
}
"""Names that the functions use for something else."""


def _literal(paths: list[str]) -> str:
    return f"[{', '.join(f'{chr(34)}{path}{chr(34)}' for path in paths)}]"


def _is_fixed(path: str) -> bool:
    """Return whether a path has no number in it, so that it is what the class itself calls the layer."""
    return not re.search(r"\d", path)


def _ends(path: str) -> tuple[str, str]:
    """Return the text before the first part of a path that is a number, and after the last: ("blocks.", ".fc2")."""
    numbers = list(re.finditer(r"(?<![^.])\d+(?![^.])", path))
    return (path[: numbers[0].start()], path[numbers[-1].end() :]) if numbers else ("", path.rpartition(".")[2])


def _public(layer: nn.Module) -> type[nn.Module]:
    """The first of a layer's classes that torch.nn has."""
    found: type[nn.Module] = next(kind for kind in type(layer).__mro__ if vars(nn).get(kind.__name__) is kind)
    return found


def _runs(places: list[int], whole: int) -> list[_Run]:
    """The places in a list of ``whole`` as few runs of neighbours, or as one in steps; nothing where they follow no rule."""
    runs = [[place for _, place in run] for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0])]
    if len(runs) <= MOST_RUNS:
        return [_Run(run[0], run[-1] + 1, whole) for run in runs]
    steps = {after - before for before, after in pairwise(places)}
    if len(steps) > 1:
        return []
    step = steps.pop()
    return [_Run(places[0], whole if whole - places[-1] <= step else places[-1] + 1, whole, step)]


@dataclass(frozen=True)
class _Run:
    """Every ``step``-th place from ``start`` up to ``end`` in a list of ``whole``."""

    start: int
    end: int
    whole: int
    step: int = 1

    @property
    def doubt(self) -> int:
        """Rate how closely it may fit this model: 0 = all of the list, 1 = up to an end or most of it, 2 = in the middle."""
        if (self.start, self.end, self.step) == (0, self.whole, 1):
            return 0
        if self.step > 1:
            return 1 if self.end == self.whole and self.start < 2 * self.step else 2
        return 1 if self.end == self.whole or self.start == 0 or self._is_long else 2

    @property
    def _is_long(self) -> bool:
        return 2 * (self.end - self.start) > self.whole

    def __str__(self) -> str:
        """Return the slice as Python: a long one by both of its ends, a short one from the nearer."""
        start, end, behind = self.start, self.end, self.whole - self.end
        by = f":{self.step}" if self.step > 1 else ""
        if start == 0 and behind == 0:
            return f"[:{by}]" if by else ""
        if self._is_long:
            return f"[{start or ''}:{-behind or ''}{by}]"
        return f"[{start or ''}:{end}{by}]" if start <= behind else f"[{start - self.whole}:{-behind or ''}{by}]"
