"""The parts around the experiments: readings and their verdicts, intervals, parameters, discovery, one run."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import steadygrad as sg
from steadygrad.errors import ExperimentError, SettingsError, UnknownExperimentError, UserCodeError
from steadygrad.lab import (
    Curve,
    Outcome,
    Panel,
    Reading,
    experiment,
    find,
    load,
    mean_reading,
    nets,
    run,
    share_reading,
)
from steadygrad.lab.catalog import Experiment, _from_function
from steadygrad.lab.intervals import mean_interval, share_interval, value_reading
from steadygrad.lab.outcome import REFUTED, SUPPORTED, UNDECIDED
from steadygrad.lab.parameters import Parameter, pairs, shown, values


def held(low: float, value: float, high: float) -> str:
    return Reading("x", value, low, high, least=1.0, greatest=2.0).verdict


@pytest.mark.parametrize(
    ("low", "value", "high", "verdict"),
    [
        (1.0, 1.5, 2.0, SUPPORTED),
        (0.9, 1.5, 2.0, UNDECIDED),
        (1.0, 1.5, 2.1, UNDECIDED),
        (0.5, 1.5, 9.0, UNDECIDED),
        (0.1, 0.5, 0.99, REFUTED),
        (2.01, 3.0, 4.0, REFUTED),
        (-math.inf, -math.inf, -math.inf, REFUTED),
    ],
)
def test_a_reading_is_supported_inside_and_refuted_outside(low: float, value: float, high: float, verdict: str) -> None:
    assert held(low, value, high) == verdict


def test_one_refuted_reading_refutes_and_one_undecided_leaves_open() -> None:
    good, open_, bad = (
        value_reading("good", 1.0, least=0.0),
        Reading("open", 1.0, 0.0, 2.0, least=0.5),
        value_reading("bad", -1.0, least=0.0),
    )
    assert Outcome((good,)).verdict == SUPPORTED
    assert Outcome((good, open_)).verdict == UNDECIDED
    assert Outcome((good, open_, bad)).verdict == REFUTED


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Outcome(()), "at least one reading"),
        (lambda: Reading("x", 1.0, 0.0, 2.0), "nothing could refute it"),
        (lambda: Reading("x", 3.0, 0.0, 2.0, least=0), "outside its interval"),
        (lambda: Reading("x", math.nan, math.nan, math.nan, least=0), "not a number"),
        (lambda: Curve("c", (1, 2), (1,)), "2 x but 1"),
        (lambda: Curve("c", (1,), (1,), low=(0,)), "one side of a band"),
        (lambda: Outcome((1.0,)), "holds float, expected Reading"),  # type: ignore[arg-type]
        (lambda: Outcome((value_reading("x", 1, least=0),), ("picture",)), "expected Panel or Diagram"),  # type: ignore[arg-type]
        (lambda: Panel("p", "x", "y", (1,)), "expected Curve"),  # type: ignore[arg-type]
        (lambda: mean_reading("m", [1.0], least=0), "two or more"),
        (lambda: mean_reading("m", [1.0, math.nan], least=0), "finite"),
        (lambda: share_reading("s", 3, 2, least=0), "no share"),
        (lambda: share_reading("s", 0, 0, least=0), "no share"),
    ],
)
def test_what_cannot_be_is_not_made(make: Callable[[], object], part: str) -> None:
    with pytest.raises((ValueError, TypeError), match=part):
        make()


def test_arrays_and_tensors_are_sequences_of_numbers() -> None:
    made = Curve("c", np.arange(3), torch.arange(3.0), low=[0, 0, 0], high=[1, 1, 2])  # type: ignore[arg-type]
    assert (made.x, made.y, made.high) == ((0.0, 1.0, 2.0), (0.0, 1.0, 2.0), (1.0, 1.0, 2.0))
    assert Reading("r", torch.tensor(1.0), 0, 2, least=0).value == 1.0  # type: ignore[arg-type]


def test_intervals_are_scipys() -> None:
    samples = np.random.default_rng(0).normal(3, 2, 25)
    value, half = mean_interval(samples.tolist())
    expected = stats.t.interval(0.95, 24, samples.mean(), stats.sem(samples))
    assert (value - half, value + half) == pytest.approx(expected)
    for hits, count in ((0, 10), (3, 10), (10, 10), (499, 1000)):
        wilson = stats.binomtest(hits, count).proportion_ci(method="wilson")
        assert share_interval(hits, count) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_an_interval_of_95_percent_holds_the_mean_about_so_often() -> None:
    draws = np.random.default_rng(1).exponential(1.0, (2000, 40))
    held = sum(abs(value - 1.0) <= half for value, half in map(mean_interval, draws.tolist())) / 2000
    assert 0.91 < held < 0.97


# Parameters.

KNOWN = (
    Parameter("depth", 10, 5, (1, 100)),
    Parameter("gain", 1.0, 1.0, (0.0, 2.0)),
    Parameter("kind", "relu", "relu", choices=("relu", "tanh")),
    Parameter("norm", True, True),
)


def test_given_wins_over_quick_and_quick_over_default() -> None:
    assert values("e", KNOWN, {}, quick=False)["depth"] == 10
    assert values("e", KNOWN, {}, quick=True)["depth"] == 5
    assert values("e", KNOWN, {"depth": "7"}, quick=True)["depth"] == 7


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("depth", "1e1", 10),
        ("depth", 3.0, 3),
        ("gain", 1, 1.0),
        ("gain", "0.5", 0.5),
        ("kind", "tanh", "tanh"),
        ("norm", "no", False),
        ("norm", "True", True),
    ],
)
def test_text_becomes_the_kind_of_the_default(name: str, given: Any, value: Any) -> None:
    found = values("e", KNOWN, {name: given}, quick=False)[name]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"dept": 3}, "no parameter 'dept'; did you mean depth?"),
        ({"zzz": 3}, "it has depth, gain, kind, norm"),
        ({"depth": "2.5"}, "expected a whole number"),
        ({"depth": "ten"}, "expected a whole number"),
        ({"depth": True}, "expected a whole number"),
        ({"depth": 0}, "expected 1 to 100"),
        ({"depth": "inf"}, "expected a whole number"),
        ({"gain": "nan"}, "expected a number"),
        ({"gain": -0.1}, "expected 0 to 2"),
        ({"kind": "rellu"}, "did you mean relu?"),
        ({"norm": "perhaps"}, "expected yes or no"),
    ],
)
def test_a_bad_value_is_one_sentence(given: dict[str, Any], part: str) -> None:
    with pytest.raises(SettingsError, match=part.replace("?", r"\?")):
        values("e", KNOWN, given, quick=False)


def test_pairs_are_names_and_texts() -> None:
    assert pairs(["a=1", "b-c = x=y"]) == {"a": "1", "b_c": "x=y"}
    for bad in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(SettingsError, match="--set"):
            pairs(bad)


@pytest.mark.parametrize(
    ("value", "text"), [(1000, "1,000"), (0.5, "0.5"), (True, "yes"), ("relu", "relu"), (2.0, "2")]
)
def test_values_are_shown_as_a_person_writes_them(value: Any, text: str) -> None:
    assert shown(value) == text


# Discovery and runs.


def test_what_the_text_of_a_file_says_is_what_its_function_says() -> None:
    for one in load():
        function = one.measure()
        told = _from_function(function, function.__steadygrad_experiment__)  # type: ignore[attr-defined]
        for field in ("name", "summary", "sections", "parameters", "order"):
            assert getattr(told, field) == getattr(one, field)


def test_names_are_found_however_they_are_written() -> None:
    assert find("depth_product") is find(" Depth-Product ")
    with pytest.raises(UnknownExperimentError, match=r"did you mean depth-product\?"):
        find("depth-prduct")


def made(measure: Callable[..., Any], **options: Any) -> Experiment:
    marked = experiment(**options)(measure)
    return _from_function(marked, marked.__steadygrad_experiment__)  # type: ignore[attr-defined]


def measured(*, count: int = 3) -> Outcome:
    """Something is measured.

    ## Claim

    It is.
    """
    numbers = [random.random(), float(np.random.rand()), float(torch.rand(()))]
    return Outcome((mean_reading("mean", numbers * count, least=-1),))


def test_a_run_says_what_was_asked_and_leaves_no_mark() -> None:
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1]
    ran = run(made(measured, quick={"count": 2}), quick=True, seed=5)
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert np.array_equal(np.random.get_state()[1], states[2])
    assert (ran.name, ran.summary, ran.sections) == ("measured", "Something is measured.", {"Claim": "It is."})
    assert (ran.parameters, ran.seed, ran.quick, ran.changed) == ({"count": 2}, 5, True, ())
    assert run(made(measured), {"count": 2}, seed=5).outcome.readings == ran.outcome.readings
    assert run(made(measured), {"count": 2}, seed=6).outcome.readings != ran.outcome.readings


def test_the_decorator_stands_with_and_without_brackets_and_leaves_the_function_itself() -> None:
    def bare(*, n: int = 2) -> Outcome:
        return Outcome((value_reading("n", n, least=0),))

    assert experiment(bare) is bare and experiment()(bare) is bare
    assert sg.lab.experiment is experiment
    assert bare(n=4).readings[0].value == 4.0


def no_default(*, n: int) -> Outcome: ...  # type: ignore[empty-body]
def a_list(*, n: list[int] = []) -> Outcome: ...  # type: ignore[empty-body]  # noqa: B006


@pytest.mark.parametrize("function", [no_default, a_list])
def test_arguments_without_a_plain_default_are_refused(function: Callable[..., Outcome]) -> None:
    with pytest.raises(TypeError, match="'n' needs a default"):
        experiment(function)


def test_options_name_arguments() -> None:
    with pytest.raises(TypeError, match="limits names 'm'"):
        experiment(limits={"m": (0, 1)})(measured)


def test_what_comes_back_and_what_is_raised_is_told() -> None:
    with pytest.raises(ExperimentError, match="returned int"):
        run(made(lambda: 3))
    with pytest.raises(ExperimentError, match="ends the program"):
        run(made(lambda: exit(3)))
    with pytest.raises(ExperimentError, match=r"cannot be measured with depth=8, span=3.* no multiple of the span 3"):
        run(find("residual"), {"depth": 8, "span": 3})
    theirs = replace(made(lambda: 1 / 0), theirs=True)
    with pytest.raises(UserCodeError) as caught:
        run(theirs)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_nets_that_do_not_fit_at_once_are_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nets, "AT_ONCE", 3 * 4 * 5 * (5 + 8))
    parts: list[int] = []
    measure = nets._pass
    monkeypatch.setattr(nets, "_pass", lambda stack, count, *rest: parts.append(count) or measure(stack, count, *rest))
    passed = nets.gradients(nets.Stack(4, 5, "tanh", 1.0, skip=1.0, span=2), 7, batch=2)
    assert parts == [3, 3, 1]
    assert passed.decades.shape == passed.projection.shape == (7, 3)
    assert passed.through.shape == (7, 2)
    assert [tuple(one.shape) for one in passed.inputs] == [(7, 2, 5)] * 4


NEW = '''
"""Rest."""

from steadygrad.lab import Outcome, experiment, value_reading


@experiment(refuted={"hours": 0}, order=5)
def rest(*, hours: int = 8) -> Outcome:
    """Rest helps."""
    return Outcome((value_reading("hours", hours, least=1),))
'''

RUN = """
import sys
import steadygrad.lab.experiments as experiments
experiments.__path__.append(sys.argv[1])
from steadygrad.cli import main
assert main(["lab"]) == 0
assert main(["lab", "explain", "rest"]) == 0
assert "torch" not in sys.modules
sys.path.insert(0, sys.argv[1])
assert main(["lab", "run", "rest"]) == 0
assert main(["lab", "run", "rest", "--set", "hours=0"]) == 1
"""


@pytest.mark.long
def test_a_file_dropped_into_the_folder_is_an_experiment(tmp_path: Path) -> None:
    (tmp_path / "rest.py").write_text(NEW)
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(sg.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rest           Rest helps.")
