"""Laws of the guard's judgement: rows in, symptoms out, whatever the scale, the blocks, or a pause between."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.detect import incidents
from steadygrad.detect import judge as policy
from steadygrad.detect.history import State, medians
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Severity
from steadygrad.record.rows import ABSENT, Columns, Rows
from steadygrad.report.alarms import in_words

NAMES = tuple(f"layers.{i}.{kind}" for i in range(5) for kind in ("weight", "bias"))
COLUMNS = Columns(NAMES, (1024, 32) * 5, (True, False) * 5)


def rows(norms: np.ndarray, rate: float = 1e-3, first: int = 1) -> Rows:
    count = len(norms)
    steps = np.arange(first, first + count)
    return Rows(
        steps, np.zeros(count), norms.astype(np.float32), np.ones(count, np.float32), np.full(count, rate, np.float32)
    )


def part(whole: Rows, start: int, end: int) -> Rows:
    return Rows(*(getattr(whole, name)[start:end] for name in ("steps", "times", "norms", "factors", "rates")))


def noisy(seed: int, count: int, spread: float = 0.2) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.exp(generator.normal(0, spread, (count, len(NAMES)))) * np.exp(generator.normal(0, 1, len(NAMES)))


def told(symptoms: list[Symptom]) -> list[tuple[str, int, int | None]]:
    return [(one.code, one.step, one.column) for one in symptoms]


def ill(seed: int, kind: str) -> np.ndarray:
    """300 rows of which something is wrong from the 200th on (the 199th in the array)."""
    norms = noisy(seed, 300)
    if kind == "spike":
        norms[199] *= 100
    elif kind == "explosion":
        norms[199:] *= 1e4
    elif kind == "nan":
        norms[199, :4] = np.nan
    elif kind == "zero":
        norms[199:, :4] = 0
    elif kind == "absent":
        norms[199:, :4] = ABSENT
    elif kind == "vanishing":
        norms[:, :6] *= 10.0 ** -np.linspace(0, 6, 300)[:, None]
    elif kind == "growth":
        norms *= 10.0 ** np.linspace(0, 5, 300)[:, None]
    return norms


KINDS = {
    "spike": "SG206",
    "explosion": "SG201",
    "nan": "SG203",
    "zero": "SG106",
    "absent": "SG106",
    "vanishing": "SG101",
    "growth": "SG201",
}


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**6), block=st.integers(1, 64))
@settings(max_examples=10, deadline=None)
def test_each_kind_is_told_by_its_code(kind: str, seed: int, block: int) -> None:
    state, whole = State(COLUMNS), rows(ill(seed, kind))
    found = [one for at in range(0, 300, block) for one in policy.judge(state, part(whole, at, at + block))]
    assert found and found[0].code == KINDS[kind]
    if kind in ("spike", "explosion", "nan", "zero", "absent"):
        assert found[0].step == 200


@pytest.mark.long
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(list(KINDS)), power=st.integers(-12, 12))
@settings(max_examples=30, deadline=None)
def test_the_scale_of_all_norms_does_not_matter(seed: int, kind: str, power: int) -> None:
    norms = ill(seed, kind)
    scaled = np.where(norms == ABSENT, ABSENT, norms * 2.0**power)
    one = policy.judge(State(COLUMNS), rows(norms[:150])), State(COLUMNS), State(COLUMNS)
    assert one[0] == [] or kind in ("vanishing", "growth")
    plain = [s for at in range(0, 300, 16) for s in policy.judge(one[1], part(rows(norms), at, at + 16))]
    other = [s for at in range(0, 300, 16) for s in policy.judge(one[2], part(rows(scaled), at, at + 16))]
    assert told(plain) == told(other)


@pytest.mark.long
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(["nan", "zero", "absent"]), block=st.integers(1, 100))
@settings(max_examples=30, deadline=None)
def test_what_needs_no_median_is_the_same_in_any_blocks(seed: int, kind: str, block: int) -> None:
    whole = rows(ill(seed, kind))
    at_once, piecewise = State(COLUMNS), State(COLUMNS)
    one = told(policy.judge(at_once, whole))
    other = told([s for at in range(0, 300, block) for s in policy.judge(piecewise, part(whole, at, at + block))])
    kept = ("SG203", "SG106")
    assert [s for s in one if s[0] in kept] == [s for s in other if s[0] in kept]


@pytest.mark.long
@given(seed=st.integers(0, 10**6), block=st.integers(1, 64), level=st.floats(1e-20, 1e15))
@settings(max_examples=20, deadline=None)
def test_constant_norms_are_quiet(seed: int, block: int, level: float) -> None:
    norms = np.full((400, len(NAMES)), level) * np.random.default_rng(seed).uniform(0.1, 10, len(NAMES))
    state, whole = State(COLUMNS), rows(norms)
    assert [s for at in range(0, 400, block) for s in policy.judge(state, part(whole, at, at + block))] == []


@given(seed=st.integers(0, 10**6), spread=st.floats(0, 0.35))
@settings(max_examples=20, deadline=None)
def test_noise_is_quiet(seed: int, spread: float) -> None:
    state, whole = State(COLUMNS), rows(noisy(seed, 600, spread))
    assert [s for at in range(0, 600, 16) for s in policy.judge(state, part(whole, at, at + 16))] == []


@pytest.mark.long
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(list(KINDS)), pause=st.integers(4, 7))
@settings(max_examples=20, deadline=None)
def test_a_saved_state_goes_on_the_same(seed: int, kind: str, pause: int) -> None:
    whole, at = rows(ill(seed, kind)), 25 * pause
    state = State(COLUMNS)
    policy.judge(state, part(whole, 0, at))
    again = State.from_plain(COLUMNS, json.loads(json.dumps(state.as_plain())))
    assert told(policy.judge(state, part(whole, at, 300))) == told(policy.judge(again, part(whole, at, 300)))


def test_frozen_parameters_are_not_missed() -> None:
    whole, frozen = rows(ill(0, "absent")), [at < 4 for at in range(len(NAMES))]
    assert policy.judge(State(COLUMNS), whole, frozen) == []


def test_a_rate_that_stays_zero_is_told_and_one_that_ends_so_is_not() -> None:
    whole = rows(noisy(0, 300))
    whole.rates[299] = 0
    assert policy.judge(State(COLUMNS), whole) == []
    whole.rates[250:] = 0
    found = policy.judge(State(COLUMNS), whole)
    assert [(s.code, s.step) for s in found[:1]] == [("SG106", 251)] and "learning rate has been 0" in found[0].message


def test_what_was_not_watched_before_a_row_is_its_delay() -> None:
    whole = rows(ill(0, "spike"))
    sparse = replace(whole, steps=whole.steps * 7)
    state = State(COLUMNS)
    (found,) = [s for at in range(0, 300, 16) for s in policy.judge(state, part(sparse, at, at + 16))]
    assert (found.step, found.slack) == (1400, 6)


@pytest.mark.parametrize("layer", range(1, 5))
def test_a_factor_behind_a_layer_is_put_down_to_that_layer(layer: int) -> None:
    norms = noisy(layer, 200, 0.05)
    norms[199, : 2 * layer] *= 100
    norms[199, 2 * layer :: 2] *= 100
    state = State(COLUMNS)
    policy.judge(state, part(rows(norms), 0, 199))
    (found,) = policy.judge(state, part(rows(norms), 199, 200))
    assert found.column is not None and NAMES[found.column] == f"layers.{layer - 1}.weight"
    assert "its output is" in found.cause


# Incidents


def symptom(code: str, step: int, column: int | None = 0) -> Symptom:
    return Symptom(code, Severity.ERROR, step, column, code, (), step)


@given(codes=st.lists(st.sampled_from(["SG201", "SG203", "SG204", "SG206", "SG106", "SG101"]), min_size=1, max_size=20))
def test_what_follows_something_sudden_is_its_symptom(codes: list[str]) -> None:
    book = incidents.Book()
    for step, code in enumerate(["SG206", *codes], 100):
        incidents.gather(book, symptom(code, step), COLUMNS, optimizer=0, step=step, delay=0)
    (alarm,) = book.alarms
    assert alarm.step == 100 and alarm.last_step == 100 + len(codes)
    assert set(alarm.symptoms) <= set(codes)


@given(gap=st.integers(1, 400), interval=st.integers(1, 8))
def test_an_incident_ends_when_it_has_been_quiet(gap: int, interval: int) -> None:
    book = incidents.Book()
    incidents.gather(book, symptom("SG206", 100), COLUMNS, optimizer=0, step=100, delay=interval - 1)
    incidents.close_quiet(book, optimizer=0, step=100 + gap, interval=interval)
    _, new, _ = incidents.gather(
        book, symptom("SG206", 100 + gap), COLUMNS, optimizer=0, step=100 + gap, delay=interval - 1
    )
    assert new == (gap > incidents.QUIET * interval) == book.alarms[0].ended


def test_a_stay_above_makes_a_spike_an_explosion() -> None:
    book = incidents.Book()
    incidents.gather(book, symptom("SG206", 100), COLUMNS, optimizer=0, step=100, delay=0)
    stayed = replace(symptom("SG201", 100), last_step=120)
    alarm, new, _ = incidents.gather(book, stayed, COLUMNS, optimizer=0, step=120, delay=0)
    assert (new, alarm.code, alarm.name, alarm.symptoms) == (False, "SG201", "exploding-gradient", ())


def test_a_drift_that_comes_back_is_the_same_incident() -> None:
    book = incidents.Book()
    drift = replace(symptom("SG101", 300), last_step=900)
    incidents.gather(book, drift, COLUMNS, optimizer=0, step=900, delay=0)
    incidents.close_quiet(book, optimizer=0, step=1200, interval=1)
    assert book.alarms[0].ended
    alarm, new, _ = incidents.gather(book, replace(drift, last_step=1300), COLUMNS, optimizer=0, step=1300, delay=0)
    assert (new, alarm.ended, alarm.last_step, len(book.alarms)) == (False, False, 1300, 1)


def test_two_optimizers_are_two_incidents() -> None:
    book = incidents.Book()
    for optimizer in (0, 1):
        incidents.gather(book, symptom("SG206", 100), COLUMNS, optimizer=optimizer, step=100, delay=0)
    assert [alarm.optimizer for alarm in book.alarms] == [0, 1]


def test_what_may_have_begun_earlier_says_so() -> None:
    book = incidents.Book()
    drift = replace(symptom("SG101", 500), slack=200)
    alarm, _, _ = incidents.gather(book, drift, COLUMNS, optimizer=0, step=900, delay=3)
    assert alarm.delay == 200 and "or up to 200 steps earlier" in in_words(alarm)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(1, 12),
    unknown=st.sampled_from([0.0, 0.3, 0.9]),
    infinite=st.booleans(),
)
def test_medians_are_numpy_s(seed: int, count: int, unknown: float, infinite: bool) -> None:
    generator = np.random.default_rng(seed)
    found = generator.normal(size=(count, 8))
    found[generator.random(found.shape) < unknown] = np.nan
    if infinite:
        found[generator.random(found.shape) < 0.1] = np.inf
    expected = [float(np.nanmedian(one)) if np.isfinite(one).any() else np.nan for one in found.T]
    assert medians(found).tolist() == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
