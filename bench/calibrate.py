"""Fit the rules' thresholds on the calibration part of the truth table: ``python -m bench.calibrate [--write | --test |
--quantities [MODEL]]``.

Prints each threshold as it stands in the source and as the rows choose it, and exits with 1 where the two differ.
``--write`` puts the chosen numbers into the source and the outcome into ``calibrated.json``, which a test compares with the
source. Nothing but the calibration part is looked at. ``--test`` fits nothing: it counts mistakes on the test part, which
is there for choosing between ways of judging. ``--quantities`` fits nothing either: it prints the distribution of every
quantity that a rule compares, over the calibration rows that train and those that fail of each cause, or those of one model
(``suite``: the cases), on one batch.

The choice: a threshold's candidates are a few round numbers in order. With all other thresholds as they are, the rules
judge every trained calibration row by each, and the cost is counted (``COSTS``). Of the longest run of neighbouring
candidates with the least cost the middle is taken, so that a threshold stands as far as can be from where it would begin
to err. Where no row decides, the run is the whole list, and its middle a convention: "rows" says how many decide.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import json
import multiprocessing
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import quantities
from bench.corpus.build import truths
from bench.corpus.row import Row
from bench.corpus.rows import every
from bench.corpus.split import part_of
from bench.corpus.train import Truth
from bench.records import measured
from steadygrad import rules
from steadygrad.record import CheckRecord, Finding, Severity, StepTest
from steadygrad.rules.read_steptest import left_open

SHARES = {"least": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "greatest": 1.0}

CALIBRATED = Path(__file__).parent / "calibrated.json"

COSTS = {"missed": 1.0, "false alarm": 3.0, "warned": 1.0, "wrong cause": 0.25}
"""Of a failing row called healthy, one that trains called "will not train" or "at risk", a found one ascribed to another
cause than what was broken on purpose."""


@dataclass(frozen=True)
class Threshold:
    """A number in the source of the rules, and what it might be instead."""

    module: str
    name: str
    candidates: tuple[float, ...]

    @property
    def source(self) -> ModuleType:
        return importlib.import_module(f"steadygrad.rules.{self.module}")

    @property
    def value(self) -> float:
        return float(getattr(self.source, self.name))


def _around(module: str, name: str, *candidates: float) -> Threshold:
    return Threshold(module, name, candidates)


THRESHOLDS = (
    _around("thresholds", "LEARNED", 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06),
    _around("thresholds", "LEARNED_LATE", 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    _around("thresholds", "STALLED", 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.007),
    _around("thresholds", "STALLED_LATE", 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1),
    _around("thresholds", "FRESH_LEARNED", 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03),
    _around("thresholds", "FRESH_LEARNED_LATE", 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15),
    _around("thresholds", "FRESH_STALLED", 0.0001, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005),
    _around("thresholds", "FRESH_STALLED_LATE", 0.002, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03),
    _around("thresholds", "FRESH_OPEN", 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15),
    _around("thresholds", "FRESH_RECOVERED", 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
    _around("thresholds", "OPEN", 0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3),
    _around("thresholds", "BOUNCED", 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0),
    _around("thresholds", "LEAP", 0.3, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6),
    _around("thresholds", "RECOVERED", 0.6, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97),
    _around("thresholds", "ASTRAY", 300, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6),
    _around("thresholds", "SPREAD_FLOOR", 1e-14, 1e-13, 3e-13, 1e-12, 3e-12, 1e-11, 1e-10),
    _around("thresholds", "SPREAD_GROWTH", 2, 3, 5, 10, 20, 30, 50),
    _around("thresholds", "DECADES_AT_RISK", 2.5, 3, 3.5, 4, 4.5, 5, 5.5),
    _around("thresholds", "DECADES_LOST", 4.5, 5, 5.5, 6, 6.5, 7, 8),
    _around("thresholds", "DECADES_STALLED", 2, 2.3, 2.6, 3, 3.3, 3.6, 4),
    _around("thresholds", "ROUNDING", 4e-15, 7e-15, 1e-14, 2e-14, 4e-14, 1e-13, 4e-13),
    _around("thresholds", "DECADES_DROWNED", 8, 8.5, 9, 9.5, 10, 10.5, 11),
    _around("thresholds", "CRAWL", 1e-7, 2e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5),
    _around("thresholds", "DECADES_GAINED", 2, 2.3, 2.6, 3, 3.5, 4, 5),
    _around("thresholds", "DECADES_AT_ONCE", 4, 5, 6, 8, 9, 10, 12),
    _around("sg102_saturated_activation", "SHARE", 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7),
    _around("sg102_saturated_activation", "SATURATED", 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8),
    _around("sg103_dead_units", "DEAD", 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95),
    _around("sg104_vanishing_through_time", "DECADES_LOST", 6, 7, 8, 9, 10, 11, 12),
    _around("sg105_collapsed_representation", "SPREAD", 1e-9, 1e-8, 3e-8, 1e-7, 3e-7, 1e-6, 1e-5),
    _around("sg106_stuck_parameters", "UPDATE", 3e-6, 1e-5, 2e-5, 3e-5, 5e-5, 1e-4, 2e-4),
    _around("sg106_stuck_parameters", "FLAT", 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 4e-3),
    _around("sg106_stuck_parameters", "FLAT_LATE", 0.05, 0.1, 0.2, 0.3, 0.4),
    _around("sg106_stuck_parameters", "HELD_STILL", 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6),
    _around("thresholds", "DECAY", 0.1, 0.2, 0.5, 1, 2, 3, 5),
    _around("thresholds", "DECAY_ALONE", 0.5, 1, 1.5, 2, 3, 4, 6),
    _around("sg107_no_gradient", "MAJOR", 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6),
    _around("sg107_no_gradient", "FEW", 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15),
    _around("sg108_underflow", "UNDERFLOW", 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    _around("sg109_nothing_learned", "NOTHING", 0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02),
    _around("plateau", "LITTLE", 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05),
    _around("sg109_nothing_learned", "ALIKE", 1e-5, 3e-5, 1e-4, 2e-4, 3e-4, 6e-4, 1e-3),
    _around("sg202_exploding_through_time", "DECADES_GAINED", 2.5, 3, 3.5, 4, 4.5, 5, 6),
    _around("sg205_activation_scale", "LARGE", 30, 50, 100, 200, 300, 500, 1000),
    _around("sg301_init_activation_mismatch", "SHARE", 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6),
    _around("sg301_init_activation_mismatch", "SMALL", 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95),
    _around("sg301_init_activation_mismatch", "LARGE", 1.05, 1.1, 1.18, 1.25, 1.4, 1.7, 2),
    _around("sg302_batch_norm_without_skip", "DECADES_GAINED", 1, 1.3, 1.6, 2, 2.5, 3, 4),
    _around("sg302_batch_norm_without_skip", "PROMISED", 0.3, 0.5, 0.7, 1, 1.5, 2, 3),
    _around("sg302_batch_norm_without_skip", "BROUGHT", 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3),
    _around("sg303_double_squash", "SATURATED", 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    _around("sg304_unscaled_input", "SMALL", 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1),
    _around("sg304_unscaled_input", "LARGE", 5, 8, 12, 20, 30, 50, 80),
    _around("sg304_unscaled_input", "HUGE", 200, 300, 500, 1000, 2000, 5000, 10000),
    _around("sg305_saturated_attention", "ENTROPY", 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    _around("sg305_saturated_attention", "SHUT", 0.02, 0.04, 0.07, 0.1, 0.12, 0.15, 0.2),
)
"""Every number that a rule compares a measurement with, but for those that only word a message or count samples."""


@dataclass(frozen=True)
class Case:
    """A calibration row, what training did, whether its twin trained, and what was measured."""

    row: Row
    truth: Truth
    twin_trains: bool
    record: CheckRecord
    """Of a hundred steps; a check takes ten of them where those tell."""
    fresh: bool = False
    """Whether the steps were taken on fresh batches."""


@dataclass(frozen=True)
class Fitted:
    """What the rows say of a threshold."""

    threshold: Threshold
    chosen: float
    costs: tuple[float, ...]
    """By candidate."""

    @property
    def decides(self) -> float:
        """Cost between the best and the worst candidate: 0 where no row decides."""
        return max(self.costs) - min(self.costs)


def cases(part: str, model: str = "", *, both: bool = True) -> list[Case]:
    """The trained rows of a part (and a model) that say something: those between neither way are left out.

    ``both``: measured on fresh batches as well as on one.
    """
    known = truths()
    rows = [r for r in every().values() if part_of(r.family) == part and model in ("", r.model) and r.key in known]
    rows = [row for row in rows if known[row.key].label in ("trains", "fails")]
    return [
        Case(row, known[row.key], row.twin in known and known[row.twin].label == "trains", records[row.key], fresh)
        for fresh, records in ((fresh, measured(rows, fresh=fresh)) for fresh in (False, True)[: 1 + both])
        for row in rows
        if row.key in records
    ]


def distributions(rows: Iterable[Case]) -> str:
    """Least, 5 %, median, 95 % and greatest of every quantity, over the rows that train and those that fail of each cause."""
    groups: dict[str, list[dict[str, float]]] = {}
    for case in rows:
        name = case.truth.label + (f" {case.row.cause[0]}" if case.truth.label == "fails" and case.row.cause else "")
        record = replace(case.record, trial=asked(case.record.trial))
        groups.setdefault(name, []).append(quantities.measured(record))
    lines = []
    for what in quantities.QUANTITIES:
        lines += ["", what, f"{'':14s}" + "".join(f"{word:>10s}" for word in ("rows", *SHARES))]
        for name in sorted(groups, reverse=True):
            values = sorted(row[what] for row in groups[name] if what in row)
            if values:
                picked = (values[round(share * (len(values) - 1))] for share in SHARES.values())
                lines.append(f"{name:14s}{len(values):10d}" + "".join(f"{value:10.3g}" for value in picked))
    return "\n".join(lines)


Told = dict[str, list[Finding]]
"""Findings by rule."""


def asked(trial: StepTest | None) -> StepTest | None:
    """The step test as a check does it: the first ten steps, and all where those leave it open."""
    if trial is None or trial.early is None or left_open(trial.early):
        return trial
    return replace(trial.early, second=trial.second)


def judge(case: Case, told: dict[str, Told], only: str = "") -> list[Finding]:
    """The findings on a row; those of rules other than ``only`` as they were told before."""
    trace, trial = case.record.trace, asked(case.record.trial)
    before = told.setdefault(f"{case.row.key} {case.fresh}", {})
    found: list[Finding] = []
    for rule in rules.load():
        if rule.judge is None:
            continue
        name = rule.judge.__module__.rpartition(".")[2]
        if not only or name == only:
            found += rule.judge(trace, trial)
        else:
            if name not in before:
                before[name] = list(rule.judge(trace, trial))
            found += before[name]
    return rules.causes(found)


def mistake(case: Case, found: Sequence[Finding]) -> str:
    """Which of ``COSTS`` the findings on a row are; "" where they are right."""
    told = [finding for finding in found if finding.severity is not Severity.INFO]
    if case.truth.label == "trains":
        return "" if not told else "false alarm" if told[0].severity is Severity.ERROR else "warned"
    if not told:
        return "missed"
    ascribed = bool(case.row.cause) and case.twin_trains
    return "wrong cause" if ascribed and told[0].code not in case.row.cause else ""


def fit(threshold: Threshold, rows: Sequence[Case]) -> Fitted:
    """The candidate in the middle of the longest run of least cost."""
    only = threshold.module if threshold.module.startswith("sg") else ""
    told: dict[str, Told] = {}
    costs = []
    for candidate in threshold.candidates:
        with _set(threshold, candidate):
            mistakes = [mistake(case, judge(case, told, only)) for case in rows]
        costs.append(sum(COSTS.get(one, 0.0) for one in mistakes))
    return Fitted(threshold, threshold.candidates[_middle(costs)], tuple(costs))


def _middle(costs: Sequence[float]) -> int:
    best = [index for index, cost in enumerate(costs) if cost == min(costs)]
    runs: list[list[int]] = []
    for index in best:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    longest = max(runs, key=len)
    return longest[len(longest) // 2]


@contextlib.contextmanager
def _set(threshold: Threshold, value: float) -> Iterator[None]:
    """The threshold at another value. Rules read the shared ones as ``thresholds.NAME``, so that one place is enough."""
    before = threshold.value
    setattr(threshold.source, threshold.name, value)
    try:
        yield
    finally:
        setattr(threshold.source, threshold.name, before)


_ROWS: list[Case] = []


def _fit(threshold: Threshold) -> Fitted:
    return fit(threshold, _ROWS)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.calibrate", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the chosen numbers into the source")
    parser.add_argument("--test", action="store_true", help="count mistakes on the test part, and fit nothing")
    parser.add_argument(
        "--quantities", nargs="?", const="", metavar="MODEL", help="print distributions, and fit nothing"
    )
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    part = "test" if given.test else "calibration"
    if given.quantities is not None:
        rows = cases(part, given.quantities, both=False)
        if not rows:
            parser.error(
                f"no {part} row of a model {given.quantities!r} is trained; the models are {', '.join(_models(part))}"
            )
        print(distributions(rows))
        return 0
    _ROWS[:] = cases(part)
    before = _count()
    print(f"{len(_ROWS)} {part} rows: {_in_words(before)}")
    if given.test:
        return 0
    print(f"{'threshold':48s}{'source':>10s}{'chosen':>10s}{'rows':>8s}  cost by candidate")
    fitted: list[Fitted] = []
    # Forked, so that the records are there at once.
    with multiprocessing.get_context("fork").Pool(given.processes) as pool:
        for one in pool.imap(_fit, THRESHOLDS):
            fitted.append(one)
            print(_line(one), flush=True)
    differ = [one for one in fitted if one.chosen != one.threshold.value]
    if given.write:
        for one in differ:
            _write(one)
        CALIBRATED.write_text(json.dumps(_as_data(fitted, before), indent=1) + "\n", encoding="utf-8")
        return 0
    for one in differ:
        print(f"{one.threshold.module}.{one.threshold.name} is {one.threshold.value:g}, the rows choose {one.chosen:g}")
    return 1 if differ else 0


def _models(part: str) -> list[str]:
    known = truths()
    return sorted({row.model for row in every().values() if part_of(row.family) == part and row.key in known})


def _count() -> dict[str, int]:
    mistakes = [mistake(case, judge(case, {})) for case in _ROWS]
    labels = [case.truth.label for case in _ROWS]
    counted = {"failing": labels.count("fails"), "training": labels.count("trains")}
    return counted | {name: mistakes.count(name) for name in COSTS}


def _in_words(counted: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.items())


def _line(one: Fitted) -> str:
    threshold = one.threshold
    mark = " " if one.chosen == threshold.value else "*"
    costs = " ".join(f"{candidate:g}:{cost:g}" for candidate, cost in zip(threshold.candidates, one.costs, strict=True))
    name = f"{threshold.module}.{threshold.name}"
    return f"{name:48s}{threshold.value:10g}{one.chosen:10g}{mark}{one.decides:7g}  {costs}"


def _as_data(fitted: Sequence[Fitted], counted: dict[str, int]) -> dict[str, Any]:
    return {
        "rows": counted,
        "thresholds": {
            f"{one.threshold.module}.{one.threshold.name}": {
                "value": one.chosen,
                "candidates": list(one.threshold.candidates),
                "costs": list(one.costs),
            }
            for one in fitted
        },
    }


def _write(one: Fitted) -> None:
    path = Path(inspect.getfile(one.threshold.source))
    text = path.read_text(encoding="utf-8")
    new, times = re.subn(rf"(?m)^{one.threshold.name} = \S+$", f"{one.threshold.name} = {one.chosen:g}", text)
    if times != 1:
        sys.exit(f"{path}: no single line sets {one.threshold.name}; write {one.chosen:g} by hand")
    path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
