"""What rules read from a step test and a trunk, at each mark and the next float on its other side."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from steadygrad.record import Finding, Severity, StepTest
from steadygrad.record.steptest import SecondLook, Unseen
from steadygrad.rules import thresholds
from steadygrad.rules.plateau import (
    came_late,
    comes_down,
    hardly_learns,
    in_doubt,
    lasts,
    never_begins,
    unsettled,
    well_begun,
)
from steadygrad.rules.read_steptest import (
    Progress,
    at_first,
    died_after,
    from_far,
    gone,
    informed_fall,
    left_open,
    outcome,
    outweighed,
    progress,
    recovered,
)
from tests.rules.made import above, below, bounced, diverged, fresh, losses, one_batch

LEARNS, SLOW, STALLED, BOUNCES = Progress.LEARNS, Progress.SLOW, Progress.STALLED, Progress.BOUNCES


@pytest.mark.parametrize(
    ("steps", "learned", "stalled"),
    [(5, 0.005, 0.002), (10, 0.005, 0.002), (100, 0.4, 0.02), (300, 0.4, 0.02)],
)
def test_one_batch_is_learned_slowly_or_not_at_all(steps: int, learned: float, stalled: float) -> None:
    """Marks after ten and after a hundred steps; outside, the nearer one."""
    assert progress(one_batch(learned, steps)) is LEARNS
    assert progress(one_batch(learned * (1 - 1e-9), steps)) is SLOW
    assert progress(one_batch(stalled * (1 + 1e-9), steps)) is SLOW
    assert progress(one_batch(stalled * (1 - 1e-9), steps)) is STALLED


@pytest.mark.parametrize(
    ("steps", "learned", "stalled"),
    [(10, 0.01, 0.001), (100, 0.04, 0.03), (200, 0.08, 0.03), (300, 0.12, 0.03), (1000, 0.12, 0.03)],
)
def test_fresh_batches_ask_three_times_as_much_of_three_times_as_many_steps(
    steps: int, learned: float, stalled: float
) -> None:
    assert progress(fresh(learned * (1 + 1e-9), steps)) is LEARNS
    assert progress(fresh(learned * (1 - 1e-9), steps)) is SLOW
    assert progress(fresh(stalled * (1 + 1e-9), steps)) is SLOW
    assert progress(fresh(stalled * (1 - 1e-9), steps)) is STALLED


def test_what_reaches_the_mark_itself_has_learned_and_is_not_stalled() -> None:
    assert progress(one_batch(thresholds.LEARNED)) is LEARNS
    assert progress(one_batch(thresholds.STALLED)) is SLOW
    assert progress(fresh(thresholds.FRESH_LEARNED, 10)) is LEARNS
    assert progress(fresh(thresholds.FRESH_STALLED, 10)) is SLOW


def test_between_ten_and_a_hundred_steps_the_mark_lies_on_a_line_in_logarithms() -> None:
    """Half-way in logarithms, after √1000 = 31.6 steps, it is the geometric mean of both: √(0.005 · 0.4) = 0.045."""
    assert progress(one_batch(0.0447, 31)) is LEARNS and progress(one_batch(0.0447, 33)) is SLOW


def test_nothing_is_known_without_a_step_test() -> None:
    assert progress(None) is at_first(None) is Progress.UNKNOWN
    assert outcome(None) == "" and gone(None) is None


def test_a_loss_bounces_that_diverges_rises_by_a_tenth_or_doubles() -> None:
    assert progress(diverged()) is BOUNCES and informed_fall(diverged()) == -math.inf
    assert progress(one_batch(-0.1)) is STALLED and progress(one_batch(-0.1001)) is BOUNCES
    assert progress(one_batch(0.0, rise=1.0)) is STALLED and progress(one_batch(0.0, rise=1.001)) is BOUNCES
    # What leapt and came back for the most part has recovered, unless it went astray; on the way it must not have left.
    assert progress(one_batch(0.7, rise=2.0)) is LEARNS and progress(one_batch(0.69, rise=2.0)) is BOUNCES
    assert progress(one_batch(0.7, rise=299.0)) is LEARNS and progress(one_batch(0.7, rise=300.0)) is BOUNCES


def test_the_first_ten_of_more_steps_say_whether_it_bounced_and_what_was_learned_at_first() -> None:
    calm = one_batch(0.0, 100, early=bounced())
    assert progress(calm) is BOUNCES and at_first(calm) is BOUNCES
    assert at_first(one_batch(0.5, 100, early=one_batch(0.001))) is STALLED


@pytest.mark.parametrize("learned", [thresholds.RECOVERED, above(thresholds.RECOVERED)])
def test_a_batch_has_recovered_from_seven_tenths_on(learned: float) -> None:
    assert recovered(one_batch(learned)) and not recovered(one_batch(0.7 * (1 - 1e-9)))


def test_fresh_batches_have_recovered_from_three_tenths_on_where_the_loss_fell() -> None:
    assert recovered(fresh(thresholds.FRESH_RECOVERED)) and not recovered(fresh(0.2999))
    # Better than a constant by a half, and as bad as before any step: its answers were trained before.
    assert not recovered(fresh(0.5, before=0.5)) and recovered(fresh(0.5, before=0.51))


def test_what_one_answer_for_all_brings_is_not_learned_from_the_input() -> None:
    assert informed_fall(one_batch(0.5)) == 0.5
    assert informed_fall(one_batch(0.5, constant_fall=0.25)) == 0.25
    assert informed_fall(one_batch(0.5, constant_fall=-0.25)) == 0.5, "a worse constant takes nothing off"
    drowned = one_batch(0.5, output_spread_after=below(thresholds.SPREAD_FLOOR))
    assert informed_fall(drowned) == 0.0
    assert informed_fall(replace(drowned, output_spread_after=thresholds.SPREAD_FLOOR)) == 0.5
    assert informed_fall(replace(drowned, losses=losses(-0.05, 10))) == -0.05
    assert informed_fall(one_batch(0.5, output_spread_after=None)) == 0.5


def test_a_fit_by_chance_before_the_steps_is_taken_off_up_to_a_fifth() -> None:
    """The mean answer began at a loss of 3 and comes to 2.4: learned is what is left under it, less the fit at the start."""

    def learned(before: float, fall: float | None) -> float:
        unseen = Unseen(3 * before, 1.2, 2.4, None, 3 * before)
        return informed_fall(StepTest(100, "", (1.0,) * 101, 0.1, 0.5, constant_fall=fall, unseen=unseen))

    assert learned(1.0, None) == 0.5 and learned(1.0, 0.2) == 0.5, "it began at the mean answer's loss"
    assert learned(0.9, 0.2 / 0.9) == pytest.approx(0.4)
    assert learned(0.5, 0.2 / 0.5) == pytest.approx(0.3), "no more than 0.2 can be chance"
    assert learned(2.0, 0.1) == 0.5, "it began worse than the mean answer"
    assert learned(1.0, -0.8) == 0.5, "a mean answer without a loss says nothing of chance"


def test_without_a_mean_answer_what_exchanged_targets_cost_is_learned() -> None:
    trial = StepTest(100, "", (1.0,) * 101, 0.1, 0.5, constant_fall=0.3, unseen=Unseen(1.0, 0.75, None, 1.0, 1.0))
    assert informed_fall(trial) == 0.25
    assert not from_far(trial) and not comes_down(trial)


@pytest.mark.parametrize(("trial", "open_"), [
    (one_batch(thresholds.OPEN), False),
    (one_batch(0.0199999), True),
    (one_batch(0.01, 100), False),
    (one_batch(0.01, 99), True),
    (diverged(), False),
    (one_batch(0.5, rise=0.4), False),
    (one_batch(0.5, rise=0.401), True),
    (one_batch(0.7, rise=2.0), False),
    (fresh(0.0400001, 10), False),
    (fresh(0.0399999, 10), True),
    (fresh(0.05, 10, before=0.95), False),
    (fresh(0.05, 10, before=0.9), True),
    (fresh(0.25, 10, before=3.0), False),
    (fresh(0.25, 10, before=3.001), True),
    (fresh(0.3, 10, before=3.001), False),
])  # fmt: skip
def test_ten_steps_leave_it_open_where_little_was_learned_or_the_loss_leapt(trial: StepTest, open_: bool) -> None:
    """Fresh batches also where the loss rose, or began at more than three times that of the mean answer."""
    assert left_open(trial) is open_


def test_a_loss_began_far_above_that_of_the_mean_answer() -> None:
    assert from_far(fresh(0.29, before=3.1)) and not from_far(fresh(0.3, before=3.1))
    assert not from_far(fresh(0.1, before=3.0)) and not from_far(one_batch(0.1))
    small = replace(fresh(0.1), unseen=Unseen(1.6, 0.45, 0.5, None, 1.6))
    assert from_far(small) and not comes_down(small), "a mean answer's loss may lie below 1"
    assert comes_down(replace(small, unseen=Unseen(0.8, 0.6, 0.5, None, 0.8)))
    nothing = Unseen(1.0, 0.5, 0.0, None, 1.0)
    assert not from_far(replace(fresh(0.1), unseen=nothing)), "of a mean answer without a loss it is no multiple"


def test_decay_outweighs_the_gradient_from_its_own_size_on_and_half_more_where_the_net_learns() -> None:
    assert outweighed(one_batch(0.0, decay=1.0)) and not outweighed(one_batch(0.0, decay=0.999))
    assert outweighed(one_batch(0.5, decay=1.5)) and not outweighed(one_batch(0.5, decay=1.499))


def second(**more: Any) -> SecondLook:
    values: dict[str, Any] = {
        "decades": None,
        "gone": True,
        "silent_steps": 6,
        "end_name": "relu",
        "end_module": "m",
        "end_location": None,
        "died": (),
    }
    return SecondLook(**{**values, **more})


def test_gradients_are_gone_unless_all_is_learned() -> None:
    look = second()
    assert gone(one_batch(0.3, second=look)) is look
    assert gone(one_batch(0.3)) is None and gone(one_batch(0.3, second=second(gone=False))) is None
    assert gone(one_batch(0.7, second=look)) is None, "it has recovered: nearly all is learned"
    solved = StepTest(2, "LBFGS", (2e-12, 2e-12, 1e-12), 0.1, 0.5, second=look)
    assert gone(solved) is None, "a loss of 1e-12 leaves nothing to learn"
    assert gone(replace(solved, losses=(2e-12, 1e-12, above(1e-12)))) is look
    assert gone(replace(solved, losses=(2e-12, 2e-12, -1e-12))) is None


def test_it_was_alive_for_the_steps_before_the_silent_ones() -> None:
    assert died_after(one_batch(0.0, second=second())) == "alive at the start, dead after 4 steps"
    assert died_after(one_batch(0.0, second=second(silent_steps=9))) == "alive at the start, dead after 1 step"
    assert died_after(one_batch(0.0)) == "alive at the start, dead after 10 steps"


@pytest.mark.parametrize(("trial", "words"), [
    (diverged(), "the loss stopped being finite within 10 steps"),
    (one_batch(0.25), "after 10 steps the loss fell by 25%"),
    (one_batch(0.0), "after 10 steps the loss fell by 0%"),
    (one_batch(-0.5), "after 10 steps the loss rose by 50%"),
    (one_batch(-9.0), "after 10 steps the loss rose by 900%"),
    (one_batch(-10.0), "after 10 steps the loss rose 10-fold"),
    (one_batch(-12.34), "after 10 steps the loss rose 12-fold"),
    (one_batch(0.0015, constant_fall=0.0015), "after 10 steps the loss fell by 0.15%, no further than one constant answer"),
    (one_batch(0.5, constant_fall=0.5), "after 10 steps the loss fell by 50%, no further than one constant answer"),
    (one_batch(0.5, constant_fall=0.44), "after 10 steps the loss fell by 50%"),
    (one_batch(0.5, constant_fall=0.46), "after 10 steps the loss fell by 50%, no further than one constant answer"),
    (one_batch(0.001, constant_fall=0.001), "after 10 steps the loss fell by 0.1%"),
])  # fmt: skip
def test_what_became_of_the_loss_in_words(trial: StepTest, words: str) -> None:
    assert outcome(trial) == words


def test_a_few_steps_are_enough_where_two_hundredths_were_learned() -> None:
    assert well_begun(fresh(0.02, 5)) and not well_begun(fresh(below(0.0199999), 5))
    assert not well_begun(one_batch(0.5, 5)), "one batch can be learned by heart"
    assert not well_begun(replace(fresh(0.5, 5), losses=(1.0, math.inf)))
    assert not well_begun(fresh(0.5, 5, before=0.5)) and well_begun(fresh(0.5, 5, before=0.51)), "the loss must fall"
    assert not well_begun(fresh(0.1, 5, before=4.0)), "one that began far above the mean answer's says little"


def told(code: str, severity: Severity) -> Finding:
    return Finding(code, "", severity, "", None, "", (), ())


def test_errors_that_ten_steps_show_as_well_as_a_hundred_last() -> None:
    assert lasts([told("SG204", Severity.ERROR), told("SG101", Severity.ERROR)])
    assert not lasts([told("SG204", Severity.ERROR), told("SG101", Severity.WARNING)])
    assert not lasts([])


NOTHING_LEARNED, SQUASH = told("SG109", Severity.WARNING), told("SG303", Severity.WARNING)
NOTE = told("SG107", Severity.INFO)


@pytest.mark.parametrize(("found", "trial", "doubt"), [
    ([NOTHING_LEARNED], fresh(0.0), True),
    ([NOTHING_LEARNED, NOTE], fresh(0.0), True),
    ([NOTHING_LEARNED, told("SG101", Severity.WARNING)], fresh(0.0), False),
    ([told("SG109", Severity.ERROR)], fresh(0.0), False),
    ([NOTHING_LEARNED], fresh(0.0, 10), False),
    ([NOTHING_LEARNED], fresh(0.0, 300), False),
    ([NOTHING_LEARNED], one_batch(0.0, 100), False),
    ([NOTHING_LEARNED], replace(fresh(0.0), losses=(1.0,)), False),
    ([NOTE], fresh(0.0), False),
    ([], fresh(0.0), False),
    ([SQUASH], fresh(0.0, 10), True),
    ([SQUASH, NOTE], fresh(0.0, 10), True),
    ([SQUASH], fresh(0.0), False),
    ([told("SG303", Severity.ERROR)], fresh(0.0, 10), False),
    ([SQUASH, SQUASH], fresh(0.0, 10), False),
    ([SQUASH], fresh(0.0, 299), True),
    ([SQUASH], fresh(0.0, 300), False),
])  # fmt: skip
def test_a_verdict_is_in_doubt_where_it_hangs_on_little_learned_or_a_squash(
    found: list[Finding], trial: StepTest, doubt: bool
) -> None:
    assert in_doubt(found, trial) is doubt


@pytest.mark.parametrize(("trial", "open_"), [
    (fresh(0.002), True),
    (fresh(0.001999), False),
    (fresh(0.12999), True),
    (fresh(0.13), False),
    (fresh(0.05, 99), False),
    (fresh(0.05, 101), False),
    (fresh(0.05, 300), False),
    (replace(fresh(0.05), losses=(1.0,)), False),
    (replace(fresh(0.05), unseen=Unseen(1.0, 0.5, None, None, 1.0)), False),
    (one_batch(0.05, 100), False),
    (fresh(-0.1, before=1.3), True),
    (fresh(0.19999, 200, hundred=fresh(0.05)), True),
    (fresh(0.2, 200, hundred=fresh(0.05)), False),
    (fresh(0.1, 300, hundred=fresh(0.05)), False),
    (fresh(0.1, 299, hundred=fresh(0.05)), True),
])  # fmt: skip
def test_more_steps_are_taken_where_a_hundred_leave_it_open(trial: StepTest, open_: bool) -> None:
    """From 0.002 learned up to 0.13, or where the loss comes down; the second half up to 0.2."""
    assert unsettled(trial) is open_


@pytest.mark.parametrize(("before", "after", "comes"), [
    (1.2, 1.09, True),  # Of the 0.2 above the mean answer's loss less than half is left.
    (1.2, 1.11, False),
    (1.5, 1.25, False),  # Half is not less than half.
    (1.1, 1.01, False),  # It has to begin at more than 1.1 times.
    (1.11, 1.01, True),
    (1.2, 1.0, False),  # It is there.
    (1.2, 0.9, False),
])  # fmt: skip
def test_a_loss_comes_down_from_above_that_of_the_mean_answer(before: float, after: float, comes: bool) -> None:
    trial = replace(fresh(0.0), unseen=Unseen(before, after, 1.0, None, before))
    assert comes_down(trial) is comes
    assert came_late(fresh(0.5, 300, hundred=trial)) is comes
    assert not came_late(trial) and not came_late(None)
    assert not comes_down(None) and not comes_down(one_batch(0.5))
    assert not comes_down(replace(trial, unseen=Unseen(before, after, 0.0, None, before)))


def test_a_net_never_begins_that_learns_nothing_in_three_hundred_steps() -> None:
    def never(learned: float, steps: int = 300, samples: int | None = 32, **more: Any) -> bool:
        return never_begins(fresh(learned, steps, hundred=fresh(0.0), **more), samples)

    assert never(0.0049) and not never(0.005)
    assert never(0.0, samples=None) and not never(0.0, samples=31), "9,600 samples are seen"
    assert not never(0.0, 299, 64) and never(0.0, 320, 30)
    assert not never_begins(fresh(0.0, 300), 32), "the first hundred are not known"
    assert not never(-0.01, before=1.2), "the loss comes down from far above"


@pytest.mark.parametrize(("trial", "hardly"), [
    (fresh(0.0149), True),
    (fresh(0.015), False),
    (fresh(0.0, 99), False),
    (one_batch(0.0, 100), False),
    (replace(fresh(0.0), losses=(1.0,)), False),
    (replace(fresh(0.0), unseen=Unseen(1.0, 0.5, None, None, 1.0)), False),
    (fresh(0.12, 300, hundred=fresh(0.1)), False),
    (fresh(0.1199, 300, hundred=fresh(0.1)), True),
    (fresh(0.0299, 300, hundred=fresh(0.01)), True),  # Not three times what a hundred steps brought.
    (fresh(0.0301, 300, hundred=fresh(0.01)), False),
    (fresh(0.0151, 300, hundred=fresh(0.005)), False),  # What they brought was something from 0.005 on.
    (fresh(0.0151, 300, hundred=fresh(0.0049)), True),
    (fresh(0.12, 300, hundred=fresh(0.0)), False),
])  # fmt: skip
def test_next_to_nothing_is_learned_or_it_has_come_to_a_stand(trial: StepTest, hardly: bool) -> None:
    assert hardly_learns(trial) is hardly
