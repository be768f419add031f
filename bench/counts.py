"""Counting verdicts against the truth: found, missed, false alarms, right causes and lines, with Wilson intervals.

Plain functions of records; trains nothing and asks nobody.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from bench.corpus.row import Row
from bench.corpus.train import Truth
from bench.judge import Judgement
from bench.quantities import COST
from steadygrad.lab.intervals import share_interval

HEALTHY, AT_RISK, WILL_NOT_TRAIN, CRASHED = "healthy", "at risk", "will not train", "crashed"


@dataclass(frozen=True)
class Case:
    """A row, what training did, what was said, and whether its cause is known: its twin trained."""

    row: Row
    truth: Truth
    said: Judgement
    twin_trains: bool

    @property
    def failing(self) -> bool:
        return self.truth.label == "fails"

    @property
    def training(self) -> bool:
        return self.truth.label == "trains"

    @property
    def found(self) -> bool:
        """Whether a failing set-up was not called healthy."""
        return self.failing and self.said.verdict in (AT_RISK, WILL_NOT_TRAIN)

    @property
    def false_alarm(self) -> bool:
        return self.training and self.said.verdict == WILL_NOT_TRAIN

    @property
    def warned(self) -> bool:
        return self.training and self.said.verdict in (AT_RISK, WILL_NOT_TRAIN)

    @property
    def cause_known(self) -> bool:
        """Found, broken on purpose, and its twin trains: so the one change is the cause."""
        return self.found and bool(self.row.cause) and self.twin_trains

    @property
    def cause_right(self) -> bool:
        return self.cause_known and self.said.codes[:1] != () and self.said.codes[0] in self.row.cause

    @property
    def line_known(self) -> bool:
        return self.cause_known and bool(self.row.line)

    @property
    def line_right(self) -> bool:
        """Whether the marked expression is, holds, or lies in the one at fault."""
        line, said = self.row.line, self.said
        return (
            self.line_known
            and bool(said.source)
            and (line in said.source or (len(said.expression) > 0 and said.expression in line))
        )


@dataclass(frozen=True)
class Counts:
    """Numbers of rows."""

    failing: int
    found: int
    training: int
    false_alarms: int
    warned: int
    cause_known: int
    cause_right: int
    line_known: int
    line_right: int
    between: int
    crashed: int
    seconds: float
    """Processor time of a judgement, mean."""

    @property
    def missed(self) -> int:
        return self.failing - self.found


def count(cases: Iterable[Case]) -> Counts:
    """Count cases. "between" rows are neither right nor wrong, whatever was said of them."""
    cases = list(cases)

    def number(name: str) -> int:
        return sum(bool(getattr(case, name)) for case in cases)

    names = ("failing", "found", "training")
    more = ("warned", "cause_known", "cause_right", "line_known", "line_right")
    return Counts(
        **{name: number(name) for name in (*names, *more)},
        false_alarms=number("false_alarm"),
        between=sum(case.truth.label == "between" for case in cases),
        crashed=sum(case.said.verdict == CRASHED for case in cases),
        seconds=round(sum(case.said.seconds for case in cases) / max(1, len(cases)), 3),
    )


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927); (0, 1) where nothing was tried."""
    if trials == 0:
        return 0.0, 1.0
    return share_interval(hits, trials)


SHARES = {
    "found": ("found", "failing"),
    "false_alarms": ("false_alarms", "training"),
    "warned": ("warned", "training"),
    "cause_right": ("cause_right", "cause_known"),
    "line_right": ("line_right", "line_known"),
}
"""Of which each count is a share."""


def as_data(counts: Counts) -> dict[str, Any]:
    """The counts and the interval of every share, for JSON."""
    told = asdict(counts)
    spans = {
        name: [round(end, 4) for end in wilson(told[hits], told[trials])] for name, (hits, trials) in SHARES.items()
    }
    return {**told, "missed": counts.missed, "intervals": spans}


def costs(cases: Iterable[Case]) -> dict[str, dict[str, float]]:
    """What verdicts cost, in plain steps of the set-up itself: median and the 95th of a hundred, by what training did."""
    found: dict[str, list[float]] = {}
    for case in cases:
        cost = case.said.quantities.get(COST)
        if cost is not None and math.isfinite(cost):
            for label in ("all", case.truth.label):
                found.setdefault(label, []).append(cost)
    return {
        label: {
            "rows": len(some),
            "median": round(statistics.median(some), 1),
            "95 of 100": round(sorted(some)[math.ceil(0.95 * len(some)) - 1], 1),
        }
        for label, some in found.items()
    }


def confusion(cases: Iterable[Case]) -> dict[str, dict[str, int]]:
    """Rows by what training did and what was said."""
    table = {
        label: dict.fromkeys((HEALTHY, AT_RISK, WILL_NOT_TRAIN, CRASHED), 0) for label in ("trains", "between", "fails")
    }
    for case in cases:
        if case.truth.label in table:
            table[case.truth.label][case.said.verdict] += 1
    return table


def grouped(cases: Iterable[Case], by: str) -> dict[str, Counts]:
    """Counts by "family", or by "cause" (the first code that was built in)."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        name = case.row.family if by == "family" else (case.row.cause or ("none built in",))[0]
        groups.setdefault(name, []).append(case)
    return {name: count(groups[name]) for name in sorted(groups)}


def worst(cases: Iterable[Case], number: int = 10) -> list[Case]:
    """The gravest mistakes: false alarms, best-trained first; misses, least-trained first; warnings on what trains."""
    return sorted((case for case in cases if case.warned or (case.failing and not case.found)), key=_gravity)[:number]


def _gravity(case: Case) -> tuple[int, float]:
    middle = sorted(case.truth.scores)[len(case.truth.scores) // 2]
    if case.false_alarm:
        return 0, -middle
    return (1, middle) if case.failing else (2, -middle)


def mistakes(cases: Iterable[Case]) -> dict[str, list[str]]:
    """Each mistake in words, the gravest of its kind first."""
    ordered = sorted(cases, key=lambda case: (*_gravity(case), case.row.name))
    causes = [case for case in ordered if case.cause_known and not case.cause_right]
    lines = [case for case in ordered if case.line_known and not case.line_right]
    return {
        "false alarms": [explained(case) for case in ordered if case.false_alarm],
        "missed": [explained(case) for case in ordered if case.failing and not case.found],
        "warned": [explained(case) for case in ordered if case.warned and not case.false_alarm],
        "another cause": [explained(case) for case in causes],
        "another line": [
            f"{case.row.name}: `{case.row.line}` is at fault, "
            f"{f'said `{case.said.expression}`' if case.said.expression else 'no line said'}"
            for case in lines
        ],
    }


SEEN = {
    "informed fall in ten steps": "informed fall in ten steps",
    "informed fall in all steps": "in all",
    "greatest rise in one step": "greatest rise",
    "decades lost on the trunk": "decades lost",
    "spread of the output": "spread",
    "greatest update ratio": "greatest update ÷ weight",
}
"""Quantities told of a mistake that came without a finding, in short."""


def explained(case: Case) -> str:
    """Why it is a mistake: what training did, what was said, on what ground."""
    scores = " ".join(f"{score:.2f}" for score in case.truth.scores)
    did = {"trains": "it trains", "fails": "it fails"}[case.truth.label]
    built = f"; broken on purpose ({' or '.join(case.row.cause)})" if case.failing and case.row.cause else ""
    if case.said.codes:
        ground = f": {case.said.codes[0]} {case.said.message}"
    else:
        numbers = case.said.quantities
        seen = [f"{word} {numbers[what]:.2g}" for what, word in SEEN.items() if what in numbers]
        ground = f" on {', '.join(seen)}" if seen else ""
    return f"{case.row.name}: {did} (scores {scores}){built}, said {case.said.verdict!r}{ground}"
