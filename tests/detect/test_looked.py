"""Several looks at one model: attention whose logits grow, and activations that saturate behind a gain that drifts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from steadygrad.detect.looked import Course, Key, Seen, judge_look
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Location, Severity
from steadygrad.record.fault_kind import FaultKind
from tests.detect.made import LAYERS

PLACE = Location("net.py", 7, 5, 7, 30)
KEY: Key = (3, "tanh", "1")
OTHER: Key = (5, "sigmoid", "2")
ATTENTION = Seen("1.weight", PLACE, logits=1.0, entropy=0.9)
NORM = Seen("1.weight", PLACE, gain=1.0, saturated=0.1)


def looked(*looks: dict[Key, Seen], course: Course | None = None, prefix: str = "") -> list[Symptom]:
    """What the last of some looks tells, at steps 100, 200, …; those before tell nothing."""
    course = course or Course()
    for at, seen in enumerate(looks[:-1]):
        assert judge_look(course, 100 * (at + 1), seen, LAYERS, prefix=prefix) == []
    return judge_look(course, 100 * len(looks), looks[-1], LAYERS, prefix=prefix)


def attention(*logits: float, entropy: float = 0.19) -> list[Symptom]:
    return looked(*({KEY: replace(ATTENTION, logits=one, entropy=entropy)} for one in logits))


def gain(gain: float, saturated: float, *, first: float = 0.1) -> list[Symptom]:
    return looked({KEY: replace(NORM, saturated=first)}, {KEY: replace(NORM, gain=gain, saturated=saturated)})


@pytest.mark.parametrize(
    ("logits", "told"),
    [
        ((1.0, 9.99), False),
        ((1.0, 10.0), True),
        ((3.0, 11.9), False),
        ((3.0, 12.0), True),
        ((3.0, 4.0, 2.5, 10.0), True),
        ((2.51, 10.0), False),
        ((20.0,), False),
        ((30.0, 31.0), False),
    ],
)
def test_logits_of_ten_that_are_four_times_the_least_of_the_run_have_grown(
    logits: tuple[float, ...], told: bool
) -> None:
    """Attention that was pretrained is sharp from the first look on."""
    assert bool(attention(*logits)) == told


@pytest.mark.parametrize(("entropy", "told"), [(0.2, False), (0.19, True)])
def test_attention_is_sharp_below_a_fifth_of_the_entropy_of_equal_weights(entropy: float, told: bool) -> None:
    assert bool(attention(1.0, 16.0, entropy=entropy)) == told


def test_logits_that_no_longer_grow_are_none() -> None:
    shut = {KEY: replace(ATTENTION, logits=16.0)}
    sharp = {KEY: replace(ATTENTION, logits=16.0, entropy=0.1)}
    assert looked({KEY: ATTENTION}, shut, sharp) == []
    assert len(looked({KEY: ATTENTION}, shut, {KEY: replace(sharp[KEY], logits=16.1)})) == 1


def test_a_growth_of_logits_says_where_by_how_much_and_since_when() -> None:
    (told,) = attention(3.0, 2.0, 4.0, 20.0)
    assert (told.code, told.severity, told.kind) == ("SG305", Severity.WARNING, FaultKind.LOGITS)
    assert (told.step, told.last_step, told.slack, told.column, told.location) == (400, 400, 100, 2, PLACE)
    assert told.lasting and told.explained
    assert told.message == (
        "the logits of an attention have grown ×10 since step 200, to a standard deviation of 20: "
        "its weights have 0.19 of the entropy of equal ones"
    )


@pytest.mark.parametrize("factor", [1.9, 2.0])
def test_what_was_told_is_told_again_when_it_has_doubled(factor: float) -> None:
    course = Course()
    assert len(looked({KEY: ATTENTION}, {KEY: replace(ATTENTION, logits=16.0, entropy=0.1)}, course=course)) == 1
    more = {KEY: replace(ATTENTION, logits=16.0 * factor, entropy=0.1)}
    assert len(judge_look(course, 300, more, LAYERS)) == (factor == 2.0)


def test_of_several_attentions_the_one_that_grew_most_is_named() -> None:
    before = {KEY: ATTENTION, OTHER: replace(ATTENTION, parameter="2.weight")}
    after = {
        KEY: replace(ATTENTION, logits=16.0, entropy=0.1),
        OTHER: replace(before[OTHER], logits=18.0, entropy=0.1),
    }
    (told,) = looked(before, after)
    assert told.column == 4 and told.message.endswith("; so have those of 1 more")
    (told,) = looked({**before, OTHER: replace(before[OTHER], logits=2.0)}, after)
    assert told.column == 2


@pytest.mark.parametrize("unknown", ["logits", "entropy"])
def test_an_attention_of_which_too_little_is_known_is_not_judged(unknown: str) -> None:
    sharp, blind = replace(ATTENTION, logits=16.0, entropy=0.1), dict[str, Any]({unknown: None})
    assert looked({KEY: ATTENTION}, {KEY: replace(sharp, **blind)}) == []
    assert looked({KEY: ATTENTION}, {KEY: replace(ATTENTION, logits=None)}, {KEY: sharp}) == []
    assert looked({KEY: ATTENTION}, {}, {KEY: sharp}) == [], "it was not seen at the look before"
    assert looked({KEY: replace(ATTENTION, logits=0.0)}, {KEY: sharp}) == [], "nothing is a multiple of zero"


@pytest.mark.parametrize(
    ("parameter", "prefix", "column"), [("weight", "1.", 2), ("weight", "", None), ("", "1.weight", None)]
)
def test_a_parameter_is_named_with_the_prefix_of_its_model(parameter: str, prefix: str, column: int | None) -> None:
    one = replace(ATTENTION, parameter=parameter)
    (told,) = looked({KEY: one}, {KEY: replace(one, logits=16.0, entropy=0.1)}, prefix=prefix)
    assert told.column == column


@pytest.mark.parametrize(
    ("grown", "first", "saturated", "told"),
    [
        (2.99, 0.1, 0.6, False),
        (3.0, 0.1, 0.6, True),
        (3.0, 0.1, 0.49, False),
        (3.0, 0.1, 0.5, True),
        (3.0, 0.4, 0.69, False),
        (3.0, 0.4, 0.71, True),
    ],
)
def test_an_activation_saturates_behind_a_gain_of_three_times_its_least(
    grown: float, first: float, saturated: float, told: bool
) -> None:
    """Half of its units are saturated, and three tenths more than at the first look."""
    assert bool(gain(grown, saturated, first=first)) == told


def test_a_gain_that_drifted_says_where_by_how_much_and_since_when() -> None:
    steps = [replace(NORM, gain=one) for one in (1.0, 0.5, 1.0)]
    (told,) = looked(*({KEY: one} for one in steps), {KEY: replace(NORM, gain=2.0, saturated=0.7)})
    assert (told.code, told.severity, told.kind) == ("SG102", Severity.WARNING, FaultKind.GAIN)
    assert (told.step, told.last_step, told.slack, told.column, told.location) == (400, 400, 100, 2, PLACE)
    assert told.lasting and told.explained
    assert told.message == (
        "the gain of this norm has grown ×4 since step 200, to 2: "
        "70% of the units of the tanh behind it are saturated, 10% were"
    )


def test_the_first_of_several_saturated_activations_is_named() -> None:
    ill = replace(NORM, gain=4.0, saturated=0.7)
    before = {KEY: NORM, OTHER: replace(NORM, parameter="2.weight")}
    assert [one.column for one in looked(before, {KEY: ill, OTHER: replace(ill, parameter="2.weight")})] == [2]
    assert [one.column for one in looked(before, {KEY: NORM, OTHER: replace(ill, parameter="2.weight")})] == [4]
    blind = {KEY: replace(NORM, gain=None), OTHER: before[OTHER]}
    assert [one.column for one in looked(blind, {KEY: ill, OTHER: replace(ill, parameter="2.weight")})] == [4]


def test_a_saturation_that_was_told_is_told_again_when_the_gain_has_doubled() -> None:
    course, ill = Course(), replace(NORM, saturated=0.7)
    assert len(looked({KEY: NORM}, {KEY: replace(ill, gain=4.0)}, course=course)) == 1
    assert judge_look(course, 300, {KEY: replace(ill, gain=7.9)}, LAYERS) == []
    assert len(judge_look(course, 400, {KEY: replace(ill, gain=8.0)}, LAYERS)) == 1


@pytest.mark.parametrize("unknown", ["gain", "saturated"])
def test_a_norm_of_which_too_little_is_known_is_not_judged(unknown: str) -> None:
    ill, blind = replace(NORM, gain=4.0, saturated=0.7), dict[str, Any]({unknown: None})
    assert looked({KEY: NORM}, {KEY: replace(ill, **blind)}) == []
    assert looked({KEY: replace(NORM, **blind)}, {KEY: ill}) == []
    assert looked({KEY: replace(NORM, gain=0.0)}, {KEY: ill}) == []
    assert looked({}, {KEY: ill}) == []
