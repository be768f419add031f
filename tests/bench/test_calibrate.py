"""The thresholds in the source are those that the calibration rows chose, and the choice does what it says."""

from __future__ import annotations

import ast
import inspect
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from bench import calibrate, quantities
from bench.calibrate import CALIBRATED, COSTS, THRESHOLDS, Case, Threshold, mistake
from bench.corpus.rows.bases import base
from bench.corpus.train import Truth
from bench.judge import check
from steadygrad import rules
from steadygrad.record import Finding, Severity, StepTest
from steadygrad.rules import thresholds

CHOSEN = json.loads(CALIBRATED.read_text())["thresholds"]

NOT_FITTED = {
    # How many steps are taken, which decides what is measured; what the rule says was measured beside it; no row of the table
    # that trains ends at a gradient of exactly zero.
    "thresholds": {"STEPS", "MOST_STEPS", "CHANCE", "FRESH_LEARNED_LONG", "NOTHING_LEFT", "FAR_ABOVE"},
    # Of what was seen after hundreds of steps, or in the first: on the few rows of the calibration part that show it.
    "sg104_vanishing_through_time": {"DECADES_SUSPECT", "AT_ONCE"},
    "sg204_oversized_update": {"REPLACED"},
    "sg205_activation_scale": {"LARGE_STUCK"},
    # Measured beside the source, on rows of the table and on nets like the one that showed the kind.
    "sg105_collapsed_representation": {"AT_A_CONSTANT", "CLOSER"},
    # The fewest steps that the probe calls a recurrence; what is out of reach whatever the steps show; measured beside it.
    "sg107_no_gradient": {"LOOPED", "NEARLY_ALL", "SUFFICES"},
    "sg109_nothing_learned": {
        "MOST",
        "LITTLE_KEPT",
        "FEW_KEPT",
        "HARDLY_ANY",
        "UNITS_LEFT",
    },  # Of dropouts, measured beside it.
    # The truth table has no mixture whose experts die; measured beside them.
    "sg110_dead_experts": {"LOST", "ENOUGH", "COLLAPSED", "SHOWN"},
    # Few rows have attention without skips or deep graph convolutions, none a tied head; measured beside them.
    "sg111_alike_tokens": {"ALIKE", "DROWNED", "APART", "FEWEST"},
    # No row has a branch as deep as that; measured beside it.
    "sg112_vanishing_branch": {"LOST"},
    # Two rows of the table come near it, both at rates that are too high by far; measured beside it on nets made for it.
    "sg113_noisy_gradient": {"NOISY", "LEARNS", "HARDLY"},
    "sg312_oversized_head": {"TIMES", "GAIN", "BEYOND", "OF_A_MEAN", "WHOLE"},
    "sg301_init_activation_mismatch": {"FAR_TOO_LARGE"},  # On one batch: nine calibration rows, measured beside it.
    "sg302_batch_norm_without_skip": {"FEW_VALUES", "A_HANDFUL", "DEEP"},  # Counts, of values and of layers.
    "sg304_unscaled_input": {"SATURATED"},  # Words a label.
    "sg308_one_sided_output": {"FEW"},  # Keeps noise around 0 out.
    # By the probe alone: no target of a row lies between 1.03 and 310 times the outputs.
    "sg310_unscaled_target": {"FAR"},
}


def names(threshold: Threshold) -> str:
    return f"{threshold.module}.{threshold.name}"


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=names)
def test_the_source_holds_what_the_rows_chose(threshold: Threshold) -> None:
    assert threshold.value == CHOSEN[names(threshold)]["value"]
    assert list(threshold.candidates) == CHOSEN[names(threshold)]["candidates"]


def test_a_changed_threshold_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    threshold = THRESHOLDS[0]
    monkeypatch.setattr(threshold.source, threshold.name, threshold.value * 2)
    with pytest.raises(AssertionError):
        test_the_source_holds_what_the_rows_chose(threshold)


def test_every_number_of_a_rule_is_fitted() -> None:
    fitted = {(threshold.module, threshold.name) for threshold in THRESHOLDS}
    for rule in rules.load():
        module = inspect.getmodule(rule.judge) if rule.judge else None
        if module is not None:
            name = module.__name__.rpartition(".")[2]
            assert numbers(module) - NOT_FITTED.get(name, set()) == {n for m, n in fitted if m == name}, name
    assert numbers(thresholds) - NOT_FITTED["thresholds"] == {n for m, n in fitted if m == "thresholds"}


def numbers(module: Any) -> set[str]:
    """Names that a module gives to a number."""
    found = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = getattr(module, node.targets[0].id)
            found |= {node.targets[0].id} if isinstance(value, (int, float)) else set()
    return found


@pytest.mark.parametrize(
    ("costs", "index"),
    [
        ([3.0, 2.0, 1.0, 2.0, 3.0], 2),
        ([3.0, 1.0, 1.0, 1.0, 3.0], 2),
        ([1.0, 1.0, 2.0, 1.0, 1.0, 1.0], 4),
        ([5.0] * 7, 3),
        ([0.0, 9.0, 9.0], 0),
    ],
)
def test_the_middle_of_the_longest_run_of_least_cost(costs: list[float], index: int) -> None:
    assert calibrate._middle(costs) == index


ROW = base("mlp", "wine")
BROKEN = ROW.broken("SG101", "SG105", line="x * self.amount", parameters={"flaw": "scaled"})


TRUTH = Truth(ROW.key, ROW.name, ROW.family, "trains", (1.0,) * 3)


def test_distributions_are_told_of_what_trains_and_of_what_fails_by_each_cause() -> None:
    record = check(ROW, 10, fresh=False)
    fails = replace(TRUTH, label="fails")
    rows = [Case(ROW, TRUTH, True, record), Case(BROKEN, fails, True, record), Case(ROW, TRUTH, True, record)]
    lines = calibrate.distributions(rows).splitlines()
    at = lines.index("greatest update ratio")
    updates = quantities.measured(record)["greatest update ratio"]
    assert [line.split() for line in lines[at + 2 : at + 4]] == [
        ["trains", "2", *[f"{updates:.3g}"] * 5],
        ["fails", "SG101", "1", *[f"{updates:.3g}"] * 5],
    ]


def finding(code: str, severity: Severity) -> Finding:
    return Finding(code, code.lower(), severity, "", None, "", (), ())


@pytest.mark.parametrize(
    ("label", "found", "expected"),
    [
        ("trains", [], ""),
        ("trains", [finding("SG303", Severity.INFO)], ""),
        ("trains", [finding("SG303", Severity.WARNING)], "warned"),
        ("trains", [finding("SG303", Severity.ERROR)], "false alarm"),
        ("fails", [], "missed"),
        ("fails", [finding("SG107", Severity.INFO)], "missed"),
        ("fails", [finding("SG105", Severity.WARNING)], ""),
        ("fails", [finding("SG204", Severity.ERROR)], "wrong cause"),
    ],
)
def test_what_counts_as_a_mistake(label: str, found: list[Finding], expected: str) -> None:
    truth = Truth(BROKEN.key, BROKEN.name, BROKEN.family, label, (0.0,) * 3)
    case = Case(BROKEN, truth, True, None)  # type: ignore[arg-type]
    assert mistake(case, found) == expected
    assert expected in {"", *COSTS}
    unknown = replace(case, twin_trains=False)
    assert mistake(unknown, found) == ("" if expected == "wrong cause" else expected)


def step_test(*losses: float, early: StepTest | None = None) -> StepTest:
    return StepTest(len(losses) - 1, "SGD", losses, 0.1, 0.5, early=early)


def test_a_check_goes_on_only_where_ten_steps_leave_it_open() -> None:
    falls = step_test(*(1.0 - 0.05 * n for n in range(11)))
    whole = step_test(*([1.0] * 100), 0.1, early=falls)
    assert calibrate.asked(whole) == falls
    flat = step_test(*([1.0] * 11))
    assert calibrate.asked(replace(whole, early=flat)).steps == 100  # type: ignore[union-attr]
    diverged = step_test(1.0, math.inf)
    assert calibrate.asked(diverged) is diverged
    assert calibrate.asked(None) is None
