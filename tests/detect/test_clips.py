"""Mistakes of the loop and habits of its clips: from how many times on they are told, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from steadygrad.detect.clips import Habits, judge_clip, judge_habits
from steadygrad.record import Location, Severity
from steadygrad.record.fault_kind import FaultKind

PLACE = Location("train.py", 7, 5, 7, 30)
NONE = Habits(
    step=90, accumulated=0, accumulated_since=0, added=0, added_since=0, unscaled=0, unscaled_since=0, scale=1.0,
    repeated=0, repeated_since=0, cleared=0, cleared_since=0, scaled_clips=0, used_clips=0, double_clips=0, part_clips=0,
    part=(3, 8), clip="clip_grad_norm_(1.0)", clip_place=PLACE, since={},
)  # fmt: skip

MISTAKES: list[tuple[dict[str, Any], str, FaultKind, str]] = [
    ({"accumulated": 3, "accumulated_since": 40}, "accumulated", FaultKind.NOT_CLEARED, "3 steps in a row added"),
    ({"unscaled": 3, "unscaled_since": 40, "scale": 65536.0}, "unscaled", FaultKind.SCALED, "(×65,536)"),
    ({"repeated": 3, "repeated_since": 40}, "repeated", FaultKind.NO_BACKWARD, "3 steps used the gradients of the step"),
    ({"cleared": 3, "cleared_since": 40}, "cleared", FaultKind.CLEARED, "3 steps in a row had no gradients"),
    ({"scaled_clips": 3, "since": {"scaled": 40}}, "scaled_clips", FaultKind.SCALED_CLIP, "on 3 steps so far"),
    ({"used_clips": 3, "since": {"used": 40}}, "used_clips", FaultKind.LATE_CLIP, "ran after the step, 3 times"),
]  # fmt: skip


@pytest.mark.parametrize(("done", "counted", "kind", "words"), MISTAKES)
def test_a_mistake_is_told_from_the_third_time_on(
    done: dict[str, Any], counted: str, kind: FaultKind, words: str
) -> None:
    habits = replace(NONE, **done)
    (told,) = judge_habits(habits)
    assert (told.kind, told.step, told.last_step, told.column) == (kind, 40, 90, None)
    assert words in told.message and told.cause
    assert told.of_the_loop and told.lasting
    is_clip = "clips" in counted
    assert (told.code, told.severity) == (("SG306", Severity.WARNING) if is_clip else ("SG307", Severity.ERROR))
    assert told.location == (PLACE if is_clip else None)
    fewer: dict[str, Any] = {counted: 2}
    assert list(judge_habits(replace(habits, **fewer))) == []
    many: dict[str, Any] = {counted: 4}
    (more,) = judge_habits(replace(habits, **many))
    assert more.kind is kind


def test_gradients_are_not_scaled_where_the_scale_is_one() -> None:
    assert list(judge_habits(replace(NONE, unscaled=3, unscaled_since=40, scale=1.0))) == []


@pytest.mark.parametrize(
    ("added", "since", "told"), [(10, 51, True), (9, 80, False), (10, 50, False), (20, 11, True), (20, 10, False)]
)
def test_steps_that_add_now_and_then_are_a_mistake_from_ten_and_a_quarter_on(
    added: int, since: int, told: bool
) -> None:
    """The last of the steps is 90: since step 51 there are 40."""
    found = list(judge_habits(replace(NONE, added=added, added_since=since)))
    assert [one.kind for one in found] == [FaultKind.NOT_CLEARED] * told
    if told:
        assert (found[0].step, found[0].last_step) == (since, 90) and found[0].lasting
        assert found[0].message.startswith(f"{added} of {91 - since} steps so far added")


def test_what_is_so_in_a_row_is_told_once() -> None:
    (told,) = judge_habits(replace(NONE, accumulated=3, accumulated_since=88, added=30, added_since=1))
    assert told.step == 88


@pytest.mark.parametrize(
    ("counted", "since", "kind"), [("double_clips", "double", FaultKind.TWO_CLIPS), ("part_clips", "part", FaultKind.PART_CLIP)]
)  # fmt: skip
def test_two_clips_and_a_clip_of_a_part_are_notes_from_fifty_steps_on(
    counted: str, since: str, kind: FaultKind
) -> None:
    fewer: dict[str, Any] = {counted: 49}
    assert list(judge_habits(replace(NONE, **fewer))) == []
    enough: dict[str, Any] = {counted: 50, "since": {since: 41}}
    (told,) = judge_habits(replace(NONE, **enough))
    assert (told.kind, told.code, told.severity) == (kind, "SG306", Severity.INFO)
    assert (told.step, told.last_step, told.location) == (41, 90, PLACE)
    assert told.of_the_loop and not told.lasting
    assert "50 steps so far" in told.message


def test_of_two_clips_neither_is_of_a_part() -> None:
    (told,) = judge_habits(replace(NONE, double_clips=50, part_clips=50))
    assert told.kind is FaultKind.TWO_CLIPS


def test_a_clip_of_a_part_says_how_much_it_gets() -> None:
    (told,) = judge_habits(replace(NONE, part_clips=50))
    assert "gets 3 of 8 gradients" in told.message


def test_a_habit_since_no_known_step_is_of_now() -> None:
    every = replace(NONE, scaled_clips=3, used_clips=3, double_clips=50)
    assert [one.step for one in judge_habits(every)] == [90, 90, 90]
    assert [one.step for one in judge_habits(replace(NONE, part_clips=50))] == [90]


@pytest.mark.parametrize(
    ("steps", "acted", "cosines", "kind"),
    [
        (199, 199, (), None),
        (200, 198, (), FaultKind.CONSTANT_CLIP),
        (200, 197, (), None),
        (4999, 0, (), None),
        (5000, 0, (), FaultKind.IDLE_CLIP),
        (5000, 1, (), None),
        (0, 0, (), None),
        (10, 1, (0.69,) * 5, FaultKind.TURNING_CLIP),
        (10, 1, (0.7,) * 5, None),
        (10, 1, (0.69,) * 4, None),
        (10, 1, (0.0, 0.0, 0.8, 0.9, 1.0), None),
        (10, 1, (0.0, 0.0, 0.6, 0.9, 1.0), FaultKind.TURNING_CLIP),
        (200, 200, (0.1,) * 5, FaultKind.TURNING_CLIP),
    ],
)
def test_a_clip_acts_rarely_and_then_keeps_the_direction(
    steps: int, acted: int, cosines: Sequence[float], kind: FaultKind | None
) -> None:
    told = judge_clip("clip", steps, acted, cosines, 80, PLACE)
    assert (told and told.kind) == kind
    if told:
        assert (told.code, told.severity, told.step, told.last_step) == ("SG306", Severity.INFO, 80, 80)
        assert told.of_the_loop and not told.lasting and told.location == PLACE


def test_a_clip_says_what_it_did() -> None:
    constant, idle = judge_clip("clip", 200, 199, (), 80), judge_clip("clip", 5000, 0, (), 80)
    turning = judge_clip("clip", 10, 1, (0.6, 0.5, 0.3, 0.6, 0.5), 80)
    assert constant and "acted on 99.5% of 200 steps" in constant.message
    assert idle and "acted on none of 5,000 steps" in idle.message
    assert turning and "the median cosine to the raw gradient is 0.50" in turning.message
