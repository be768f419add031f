"""What the rules of vanishing gradients say at their marks, of records made by hand: both sides of each condition."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from steadygrad.record import (
    BlindSpot,
    Finding,
    NonFinite,
    Operation,
    Parameter,
    Recurrence,
    Severity,
    StepTest,
    Trace,
)
from steadygrad.record.routing import Routing
from steadygrad.record.steptest import Died, SecondLook, Unseen
from steadygrad.rules import (
    sg102_saturated_activation as sg102,
)
from steadygrad.rules import (
    sg103_dead_units as sg103,
)
from steadygrad.rules import (
    sg104_vanishing_through_time as sg104,
)
from steadygrad.rules import (
    sg105_collapsed_representation as sg105,
)
from steadygrad.rules import (
    sg106_stuck_parameters as sg106,
)
from steadygrad.rules import (
    sg107_no_gradient as sg107,
)
from steadygrad.rules import (
    sg108_underflow as sg108,
)
from steadygrad.rules import (
    sg109_nothing_learned as sg109,
)
from steadygrad.rules import (
    sg110_dead_experts as sg110,
)
from steadygrad.rules import (
    sg111_alike_tokens as sg111,
)
from steadygrad.rules import (
    sg112_vanishing_branch as sg112,
)
from tests.rules.made import (
    bounced,
    diverged,
    fresh,
    one_batch,
    op,
    place,
    saturation,
    seen,
    stats,
    step,
    trunk,
    weight,
)

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
SLOW, STALLED, LEARNS = one_batch(0.003), one_batch(0.0), one_batch(0.5)


def severities(found: Iterable[Finding]) -> list[Severity]:
    return [one.severity for one in found]


def evidence(found: Finding) -> dict[str, float]:
    return {one.name: one.value for one in found.evidence}


# SG102: squashing activations take at least half of the decades lost, or more than 40 % of the units of one are saturated.


def squashed(taken: float, weights: float, *, name: str = "sigmoid", seen_as: Any = None, **more: Any) -> Trace:
    """Two activations, each behind a layer, that take so many decades together, as the layers do."""
    seen_as = seen_as or saturation(0.1, rms=0.2, greatest=0.25)
    layers = [
        op(0),
        op(1, name, "activation", saturation=seen_as),
        op(2),
        op(3, name, "activation", saturation=seen_as),
    ]
    road = trunk(
        step(3, -0.4 * taken, "activation derivative"),
        step(2, -0.5 * weights),
        step(1, -0.6 * taken, "activation derivative"),
        step(0, -0.5 * weights),
    )
    return seen(layers, road, **more)


def test_sg102_is_raised_where_the_activation_takes_half_of_what_is_lost() -> None:
    (found,) = sg102.judge(squashed(3.0, 3.0), STALLED)
    assert (found.severity, found.location, found.count) == (WARNING, place(2), 2)
    assert found.message == "sigmoid passes at most 0.25 of the gradient, 2 times in a row"
    assert found.label == "takes 3.0 of the 6.0 decades lost on the way to the input (50%)"
    given = evidence(found)
    assert given["decades taken by the activation's derivative"] == pytest.approx(3.0)
    assert given["decades taken by the weights' scale"] == pytest.approx(3.0)
    assert given["derivative rms on this batch"] == pytest.approx(0.2)
    assert given["saturated units"] == 0.1
    assert not list(sg102.judge(squashed(2.9, 3.1), STALLED)), "the weights take more"
    assert not list(sg102.judge(squashed(3.0, 3.0), LEARNS)) and not list(sg102.judge(squashed(1.0, 0.0), STALLED))
    assert not list(sg102.judge(squashed(6.0, 0.0, name="relu"), STALLED))


def test_sg102_counts_what_shrinks_the_gradient_alone() -> None:
    """Weights that give decades back make the activations no less the cause."""
    (found,) = sg102.judge(squashed(6.0, -1.0), STALLED)
    assert found.label == "takes 6.0 of the 5.0 decades lost on the way to the input"
    assert evidence(found)["decades taken by the weights' scale"] == pytest.approx(-1.0)


@pytest.mark.parametrize(("share", "greatest", "raised"), [(0.3, 1.0, 0), (0.31, 1.0, 1), (0.0, 0.99, 1)])
def test_sg102_leaves_an_activation_alone_that_can_pass_all_and_is_not_saturated(
    share: float, greatest: float, raised: int
) -> None:
    trace = squashed(6.0, 0.0, name="tanh", seen_as=saturation(share, greatest=greatest))
    found = list(sg102.judge(trace, STALLED))
    assert len(found) == raised
    if greatest == 1.0 and raised:
        assert found[0].message == "tanh passes 0.001 of the gradient, 2 times in a row"


def test_sg102_tells_of_each_kind_of_activation_that_bears_half() -> None:
    layers = [op(0, "sigmoid", "activation", saturation=saturation(0.1, greatest=0.25)),
              op(1, "tanh", "activation", saturation=saturation(0.9)),
              op(2, "sigmoid", "activation", saturation=saturation(0.2, greatest=0.25))]  # fmt: skip
    road = trunk(step(2, -1.5), step(1, -3.0), step(0, -1.5))
    sigmoid, tanh = sg102.judge(seen(layers, road), STALLED)
    assert sigmoid.label == tanh.label == "takes 3.0 of the 6.0 decades lost on the way to the input (50%)"
    assert (sigmoid.count, tanh.count) == (2, 1) and evidence(sigmoid)["saturated units"] == 0.2
    assert tanh.message == "tanh passes 0.001 of the gradient"


def test_sg102_stands_where_the_gradient_shrinks_not_where_one_of_them_gives_some_back() -> None:
    layers = [
        op(0, "tanh", "activation", saturation=saturation(0.4)),
        op(1, "tanh", "activation", saturation=saturation(0.1)),
    ]
    (found,) = sg102.judge(seen(layers, trunk(step(1, 1.0), step(0, -9.0))), STALLED)
    assert found.location == place(1)


def test_sg102_says_where_no_gradient_passes_at_all() -> None:
    layers = [op(0), op(1, "sigmoid", "activation", saturation=saturation(1.0, greatest=0.25))]
    (found,) = sg102.judge(seen(layers, trunk(step(1, -math.inf, "activation derivative"), step(0, -1.0))), STALLED)
    assert (found.severity, found.location) == (ERROR, place(2))
    assert found.message == "sigmoid passes none of the gradient: every unit is saturated"
    unseen_one = [op(0), op(1, "sigmoid", "activation")]
    (found,) = sg102.judge(seen(unseen_one, trunk(step(1, -6.0, "activation derivative"))), STALLED)
    assert found.message == "sigmoid passes 1e-6 of the gradient"


def test_sg102_is_raised_where_units_are_saturated_and_the_loss_stands() -> None:
    def judged(share: float, trial: StepTest | None, name: str = "tanh") -> list[Finding]:
        layers = [
            op(0),
            op(1, name, "activation", saturation=saturation(0.1)),
            op(2, name, "activation", saturation=saturation(share)),
        ]
        return list(sg102.judge(seen(layers), trial))

    (found,) = judged(0.41, STALLED)
    assert (found.severity, found.location, found.count) == (WARNING, place(3), 1)
    assert severities(judged(0.9, STALLED)) == [WARNING] and severities(judged(0.91, STALLED)) == [ERROR]
    assert severities(judged(0.41, bounced())) == [ERROR]
    assert not judged(0.4, STALLED) and not judged(0.99, SLOW) and not judged(0.99, LEARNS) and not judged(0.99, None)
    assert not judged(0.99, STALLED, "relu")


# SG103: units that are off on the whole batch.


def off(share: float, *, name: str = "relu", **more: Any) -> Trace:
    layers = [op(0, weight="w"), op(1, name, "activation", saturation=saturation(share, dead=share)), op(2)]
    return seen(layers, **{"parameters": (weight("w"),), **more})


def test_sg103_is_raised_from_a_share_of_dead_units_on() -> None:
    (found,) = sg103.judge(off(0.93), STALLED)
    assert (found.severity, found.location, found.count) == (ERROR, place(2), 1)
    assert severities(sg103.judge(off(0.93), bounced())) == [ERROR]
    assert severities(sg103.judge(off(0.93), SLOW)) == severities(sg103.judge(off(0.93), None)) == [WARNING]
    assert not list(sg103.judge(off(0.92), STALLED)) and not list(sg103.judge(off(1.0), LEARNS))
    assert not list(sg103.judge(off(1.0, name="tanh"), STALLED))
    assert not list(sg103.judge(off(1.0, parameters=(weight("w", norm=0.0),)), STALLED)), "a weight of zero is to blame"


def test_sg103_blames_what_makes_zeros_not_what_is_fed_with_them() -> None:
    trace = off(1.0)
    fed = replace(saturation(1.0, dead=1.0), input_mean=0.0, input_std=0.0)
    layers = (trace.operations[0], replace(trace.operations[1], saturation=fed))
    assert not list(sg103.judge(replace(trace, operations=layers), STALLED))
    shifted = (layers[0], replace(layers[1], saturation=replace(fed, input_mean=-1.0)))
    assert len(list(sg103.judge(replace(trace, operations=shifted), STALLED))) == 1


def test_sg103_marks_the_activation_where_the_trunk_ends() -> None:
    ends = trunk(step(2, 0.0), step(1, -math.inf))
    (found,) = sg103.judge(off(0.0, trunk=ends), None)
    assert (found.severity, found.location, found.label) == (ERROR, place(2), "passes no gradient")
    assert "100%" in found.message
    elsewhere = trunk(step(2, -math.inf), step(1, 0.0))
    assert not list(sg103.judge(off(1.0, trunk=elsewhere), STALLED)), "something else ends the gradient"


def test_sg103_tells_of_the_layer_that_died_in_the_steps() -> None:
    def second(name: str, after: float) -> StepTest:
        died = (Died("relu", "first", place(8), 0.1, 1.0), Died(name, "last", place(9), 0.1, after))
        return replace(SLOW, second=SecondLook(None, True, 4, "relu", "last", None, died))

    (found,) = sg103.judge(seen(), second("relu_", 0.93))
    assert (found.severity, found.module, found.location) == (ERROR, "last", place(9))
    assert found.message == "alive at the start, dead after 6 steps: relu passes no gradient"
    assert [one.module for one in sg103.judge(seen(), second("relu", 0.92))] == ["first"]
    assert [one.module for one in sg103.judge(seen(), second("tanh", 1.0))] == ["first"]


# SG104: decades lost from the last step of a recurrence to the first.


def test_sg104_is_raised_from_eight_decades_on_and_from_five_where_hundreds_of_steps_teach_nothing() -> None:
    def judged(decades: float, trial: StepTest | None, per_step: float = -0.2) -> list[Finding]:
        other = Recurrence("short", "tanh", 5, -0.1, -0.5)
        return list(sg104.judge(seen(recurrences=(other, Recurrence("rnn", "tanh", 50, per_step, decades))), trial))

    (found,) = judged(-8.0, STALLED)
    assert (found.severity, found.module, found.count) == (ERROR, "rnn", 1)
    assert "moves no weight" in found.consequence and "15 steps ago" in found.consequence, "three decades are gone"
    assert "what happened 1 steps ago" in judged(-8.0, STALLED, -7.0)[0].consequence
    assert "what happened 50 steps ago" in judged(-8.0, STALLED, -0.01)[0].consequence
    assert not judged(-7.9, STALLED) and severities(judged(-8.0, LEARNS)) == [WARNING]
    assert severities(judged(-8.0, None)) == [ERROR]
    assert severities(judged(-5.0, fresh(0.0))) == [WARNING] and not judged(-4.9, fresh(0.0))
    assert not judged(-5.0, fresh(0.1)) and severities(judged(-8.0, fresh(0.0))) == [ERROR]
    assert severities(judged(-8.0, fresh(0.2, 300))) == [INFO]
    assert severities(judged(-8.0, fresh(0.19, 300))) == [WARNING]


def test_sg104_leaves_to_the_trunk_what_one_step_takes_at_once() -> None:
    def judged(per_step: float, road: Any, *others: Recurrence) -> int:
        sick = Recurrence("rnn", "loop", 5, per_step, -12.0)
        return len(list(sg104.judge(seen([op(0)], road, recurrences=(sick, *others)), STALLED)))

    vanishing = trunk(step(0, -6.0))
    assert judged(-3.0, vanishing) == 0 and judged(-2.9, vanishing) == 1 and judged(-3.0, None) == 1
    assert judged(-3.0, vanishing, Recurrence("other", "tanh", 50, -0.2, -10.0)) == 1


# SG105: the samples arrive at the same output.


def alike(*spreads: float | None, **more: Any) -> Trace:
    layers = [op(at, output=None if spread is None else stats(spread)) for at, spread in enumerate(spreads)]
    return seen(layers, **{"output_spread": spreads[-1], **more})


SAME = one_batch(0.0, output_spread_after=1e-9)
"""Steps that leave a spread of a billionth as it is."""


def test_sg105_stands_at_the_first_operation_behind_which_the_samples_are_alike() -> None:
    (found,) = sg105.judge(alike(0.5, 1e-6, 1e-9), SAME)
    assert (found.severity, found.location) == (WARNING, place(3))
    assert not list(sg105.judge(alike(0.5, 1e-6), STALLED)), "a millionth is enough"
    assert severities(sg105.judge(alike(0.5, 9e-7), SAME)) == [WARNING]
    assert not list(sg105.judge(alike(0.5, 1e-9), LEARNS)) and not list(sg105.judge(alike(0.5, None), SAME))
    assert found.label == "from here on the samples are alike"
    (bare,) = sg105.judge(seen([op(0)], output_spread=1e-9), SAME)
    assert (bare.location, bare.module, bare.label) == (None, "", "")
    drowned = one_batch(0.0, output_spread_after=1e-15)
    assert severities(sg105.judge(alike(0.5, 1e-15), drowned)) == [ERROR]
    assert severities(sg105.judge(alike(0.5, 1e-15), one_batch(0.003, output_spread_after=3e-12))) == [WARNING]
    assert not list(sg105.judge(alike(0.5, 1e-9), one_batch(0.0, output_spread_after=1e-7))), "it grows"


def test_sg105_marks_the_operation_of_unknown_spread_that_merges_the_samples() -> None:
    def marked(*kinds: str, spreads: tuple[float | None, ...]) -> Any:
        trace = alike(*spreads)
        layers = tuple(replace(one, kind=kind) for one, kind in zip(trace.operations, kinds, strict=True))
        (found,) = sg105.judge(replace(trace, operations=layers), SAME)
        return found.location

    three = ("linear", "activation", "linear")
    assert marked(*three, spreads=(0.5, None, 1e-9)) == place(2)
    assert marked("linear", "shape", "linear", spreads=(0.5, None, 1e-9)) == place(3), "a view merges nothing"
    assert marked(*three, spreads=(0.5, 0.5, 1e-9)) == place(3)
    assert marked(*three, spreads=(None, None, 1e-9)) == place(3), "nothing is known of what came in"
    four = ("linear", "activation", "activation", "linear")
    assert marked(*four, spreads=(0.5, None, None, 1e-9)) == place(2)


def test_sg105_keeps_quiet_before_any_step_where_a_head_of_zeros_makes_the_answers_alike() -> None:
    head = replace(op(1, output=stats(0.0)), weight="w")
    shut = seen(
        [op(0, output=stats()), head], trunk(step(1, -math.inf)), parameters=(weight("w", norm=0.0),), output_spread=0.0
    )
    assert (
        not list(sg105.judge(shut, None)) and len(list(sg105.judge(shut, replace(SAME, output_spread_after=0.0)))) == 1
    )
    assert len(list(sg105.judge(replace(shut, parameters=(weight("w"),)), None))) == 1


def test_sg105_says_of_equal_samples_that_the_batch_is_to_blame() -> None:
    (found,) = sg105.judge(alike(0.5, 1e-9, input_spread=1.9e-14), SAME)
    assert found.severity is WARNING and found.location is None and "batch" in found.message
    (found,) = sg105.judge(alike(0.5, 1e-9, input_spread=2e-14), SAME)
    assert found.location == place(2)


def test_sg105_is_raised_where_the_first_steps_make_the_samples_alike() -> None:
    def judged(after: float | None, fall: float = 0.0, **more: Any) -> list[Finding]:
        return list(sg105.judge(alike(0.5, 0.5), one_batch(fall, output_spread_after=after, **more)))

    (found,) = judged(9e-7)
    assert found.severity is WARNING and found.message.startswith("10 steps make all samples alike")
    assert [one.value for one in found.evidence] == [0.5, 9e-7] and found.label == "" and found.location is None
    known = sg105.judge(alike(0.5, 0.5, optimizer=place(9)), one_batch(0.0, output_spread_after=9e-7))
    assert [(one.location, one.label) for one in known] == [(place(9), "its steps bring this about")]
    assert severities(judged(2.9e-12)) == [ERROR] and severities(judged(3e-12)) == [WARNING]
    assert severities(judged(9e-7, 0.003)) == [WARNING]
    assert not judged(1e-6) and not judged(None) and not judged(9e-7, decay=2.0) and not judged(9e-7, rise=1.5)
    assert severities(sg105.judge(alike(0.5, 1e-6), one_batch(0.0, output_spread_after=9e-7))) == [WARNING]
    assert not list(sg105.judge(alike(0.5, 0.5), None))


def test_sg105_is_an_error_where_a_hundred_steps_draw_the_samples_together() -> None:
    def judged(after: float | None = 0.09, learned: float = 0.0, steps: int = 100, **more: Any) -> list[Finding]:
        return list(sg105.judge(alike(0.5, 0.5), replace(fresh(learned, steps, output_spread_after=after), **more)))

    (found,) = judged()
    assert found.severity is ERROR and found.message.startswith("100 steps draw all samples together")
    assert [one.value for one in found.evidence] == [0.5, 0.09, 0.0] and found.evidence[1].expected == "over 10%"
    assert found.label == "" and found.location is None
    known = sg105.judge(alike(0.5, 0.5, optimizer=place(9)), fresh(0.0, output_spread_after=0.09))
    assert [(one.location, one.label) for one in known] == [(place(9), "its steps bring this about")]
    assert not judged(0.1), "five times closer is not more than five times"
    assert not judged(None) and not judged(steps=99) and not judged(decay=2.0) and not judged(losses=(1.0,))
    assert judged(learned=-0.09) and not judged(learned=-0.1), "the loss is not that of one answer"
    assert judged(learned=0.014) and not judged(learned=0.015), "it learns"
    assert not judged(unseen=None) and not judged(unseen=Unseen(1.0, 1.0, None, 1.0, 1.0))


# SG106: the optimizer hardly moves the parameters.


def test_sg106_is_an_error_where_no_matrix_moves_by_two_ten_thousandths_of_its_size() -> None:
    def judged(*parameters: Parameter, trial: StepTest | None = STALLED, **more: Any) -> list[Finding]:
        return list(sg106.judge(seen(parameters=parameters, optimizer=place(9), **more), trial))

    slow, slower = weight("a", update_ratio=1.9e-4), weight("b", update_ratio=1e-7)
    (found,) = judged(slower, slow)
    assert (found.severity, found.location, found.module, found.count) == (ERROR, place(9), "a", 2)
    assert found.message.startswith("no weight moves by more than")
    (found,) = judged(slower, weight("a", update_ratio=2e-4))
    assert (found.severity, found.location, found.module) == (WARNING, None, "") and "does not change" in found.message
    assert found.consequence.startswith("b moves by 1e-7 of its size a step")
    assert not judged(slow, trial=SLOW) and not judged(slow, trial=None) and not judged(trial=STALLED)
    # What does not belong to the optimizer, and what is no matrix, moves nothing.
    moving = weight("c", update_ratio=0.1)
    for other in (replace(moving, shape=(64,)), replace(moving, optimized=False), replace(moving, update_ratio=None)):
        assert [one.severity for one in judged(slow, other)] == [ERROR]


def test_sg106_looks_for_a_flat_loss_on_one_batch_only() -> None:
    moving = weight("a")

    def judged(trial: StepTest, **more: Any) -> list[Severity]:
        return severities(sg106.judge(seen(parameters=(replace(moving, **more),)), trial))

    assert judged(one_batch(0.00049)) == judged(one_batch(-0.00049)) == [WARNING]
    assert judged(one_batch(5e-4)) == judged(one_batch(-5e-4)) == [] == judged(one_batch(-0.09))
    assert judged(one_batch(0.39, 100, constant_fall=0.39)) == [WARNING], "after a hundred steps by another mark"
    assert judged(one_batch(0.4, 100, constant_fall=0.4)) == [] == judged(one_batch(0.39, 99, constant_fall=0.39))
    assert judged(fresh(0.0)) == [] and judged(fresh(0.0), update_ratio=1e-5) == [ERROR]


def test_sg106_tells_of_a_part_that_gets_a_gradient_and_stands_still() -> None:
    def judged(still: int, **more: Any) -> list[tuple[Severity, str]]:
        held = weight("held", (still, 1), **{"update_ratio": 0.0, **more})
        found = sg106.judge(seen(parameters=(weight("rest", (100 - still, 1)), held)), STALLED)
        return [(one.severity, one.module) for one in found]

    assert judged(30) == [(WARNING, "held")], "three tenths of the elements"
    assert judged(29) == judged(30, log10_gradient=-math.inf) == judged(30, update_ratio=1e-9) == [(WARNING, "")]
    everything = sg106.judge(seen(parameters=(weight("a", update_ratio=0.0),)), STALLED)
    assert [(one.severity, one.module) for one in everything] == [(ERROR, "a")], "nothing moves at all"


def test_sg106_keeps_quiet_where_a_zero_head_shuts_the_gradient_out() -> None:
    layers, zero = [op(0, weight="w"), op(1)], trunk(step(0, -math.inf))
    parameters = (weight("w", norm=0.0, update_ratio=None), weight("v", update_ratio=1e-9))
    assert not list(sg106.judge(seen(layers, zero, parameters=parameters), STALLED))


def test_sg106_stands_at_the_expression_of_the_loss_that_makes_every_gradient_small() -> None:
    def location(decades: float, cause: str, kind: str) -> Any:
        road = trunk(step(1, -2.5, "loss"), step(0, decades, cause))
        layers = [op(0, "mul", kind), op(1, "mean", "other")]
        trace = seen(layers, road, parameters=(weight("a", update_ratio=1e-9),), optimizer=place(9))
        return next(iter(sg106.judge(trace, STALLED))).location

    assert location(-3.0, "arithmetic", "arithmetic") == location(-3.0, "loss", "loss") == place(1)
    assert location(-3.0, "weight scale", "arithmetic") == location(-3.0, "arithmetic", "linear") == place(9)
    only = trunk(step(0, -2.0, "loss"))
    small = seen([op(0, "mul", "arithmetic")], only, parameters=(weight("a", update_ratio=1e-9),), optimizer=place(9))
    assert next(iter(sg106.judge(small, STALLED))).location == place(1)
    less = replace(small, trunk=trunk(step(0, -1.9, "loss")))
    assert next(iter(sg106.judge(less, STALLED))).location == place(9)


def test_sg106_is_an_error_where_decay_outweighs_the_gradient_and_the_loss_does_not_fall() -> None:
    def judged(trial: StepTest) -> list[Severity]:
        return severities(sg106.judge(seen(parameters=(weight("a"),)), trial))

    assert judged(replace(STALLED, decay=1.0)) == judged(replace(bounced(), decay=1.0)) == [ERROR]
    assert judged(replace(SLOW, decay=1.0)) == judged(replace(LEARNS, decay=1.5)) == [WARNING]
    assert judged(replace(LEARNS, decay=1.4)) == []


# SG107: parameters that are meant to learn get no gradient.

CUT = op(0, "detach", "cut", location=place(5))


def lost(size: int, **more: Any) -> Parameter:
    return weight("lost", (size, 1), **{"connected": False, "log10_gradient": -math.inf, "cut": 0, **more})


def cut_off(*parameters: Parameter, trial: StepTest | None = STALLED, **more: Any) -> list[Finding]:
    values = {"cuts": (CUT, op(1, "item", "cut", location=place(6))), "trunk": trunk(step(0, 0.0)), **more}
    return list(sg107.judge(seen([op(0)], parameters=parameters, **values), trial))


def test_sg107_is_an_error_from_nine_tenths_on_and_from_a_fifth_where_nothing_is_learned() -> None:
    (found,) = cut_off(lost(20), weight("rest", (80, 1)))
    assert (found.severity, found.location, found.count) == (ERROR, place(5), 1) and found.message.startswith("20% of")
    assert severities(cut_off(lost(19), weight("rest", (81, 1)))) == [WARNING]
    for trial in (LEARNS, None):
        assert severities(cut_off(lost(89), weight("rest", (11, 1)), trial=trial)) == [WARNING]
        assert severities(cut_off(lost(90), weight("rest", (10, 1)), trial=trial)) == [ERROR]
    assert severities(cut_off(lost(20), weight("rest", (80, 1)), trial=SLOW)) == [ERROR]


def test_sg107_takes_its_share_of_what_the_optimizer_is_to_train_by_this_loss() -> None:
    rest = weight("rest", (80, 1))
    held, free = lost(10), lost(10, optimized=False)
    (found,) = cut_off(held, free, rest)
    assert evidence(found)["trainable elements whose path is cut"] == pytest.approx(10 / 90)
    (found,) = cut_off(held, rest, weight("flat", (10, 1), log10_gradient=-math.inf))
    assert evidence(found)["trainable elements whose path is cut"] == pytest.approx(10 / 90)
    found, *_ = cut_off(held, rest, weight("free", (10, 1), optimized=False))
    assert evidence(found)["trainable elements whose path is cut"] == pytest.approx(10 / 90)
    (found,) = cut_off(free, rest)
    assert (found.severity, found.message.split(" get ")[0]) == (INFO, "1 parameters, which no optimizer holds,")
    assert cut_off(lost(20, requires_grad=False), rest) == []


def test_sg107_marks_the_cut_that_took_most_and_names_the_others_beside_it() -> None:
    (found,) = cut_off(lost(5), lost(30, cut=1), lost(10), weight("rest", (80, 1)))
    assert (found.location, found.also, found.count) == (place(6), (place(5),), 3)
    assert found.consequence.endswith("and the others will never move")
    (alone,) = cut_off(lost(30), weight("rest", (80, 1)))
    assert alone.consequence == "lost will never move" and alone.also == ()


def test_sg107_is_an_error_at_any_share_where_untrained_weights_read_the_whole_input_in_front_of_the_cut() -> None:
    drawn = weight("stem", (64, 16), connected=False, log10_gradient=-math.inf, cut=0, norm=8.0)
    rest = weight("rest", (64, 640))

    def judged(trial: StepTest | None = STALLED, stem: Parameter = drawn, **more: Any) -> list[Severity]:
        return severities(cut_off(stem, rest, trial=trial, **{"trunk": None, **more}))

    assert judged() == judged(trunk=trunk(step(0, 0.0), at_input=False)) == [ERROR]
    assert judged(trunk=trunk(step(0, 0.0))) == judged(input_std=None) == judged(None) == [WARNING]
    assert judged(one_batch(0.079)) == [ERROR] and judged(one_batch(0.08)) == [WARNING], "it suffices"
    assert judged(stem=replace(drawn, norm=20.0)) == [WARNING], "it was trained before"
    assert judged(blind_spots=(BlindSpot("not seen", "input"),)) == [WARNING]
    assert judged(blind_spots=(BlindSpot("not seen", "aux"),)) == [ERROR]


def test_sg107_tells_of_what_is_used_and_reaches_no_loss() -> None:
    stray = lost(90, cut=None)
    (found,) = cut_off(stray, weight("rest", (10, 1)), cuts=(op(0, "item", location=place(4)), CUT))
    assert (found.severity, found.location, found.module) == (ERROR, place(5), "m0")
    assert found.label == "detach ends a gradient's path here"
    (number,) = cut_off(stray, weight("rest", (10, 1)), cuts=(op(0, "item", location=place(4)),))
    assert number.location == place(4)
    (bare,) = cut_off(stray, weight("rest", (10, 1)), cuts=(replace(CUT, location=None),))
    assert (bare.severity, bare.location, bare.module, bare.label) == (ERROR, None, "lost", "")
    assert severities(cut_off(lost(89, cut=None), weight("rest", (11, 1)))) == [INFO]
    assert found.consequence == "lost will never move"
    assert cut_off(stray, stray, weight("rest", (10, 1)))[0].consequence == "lost and the others will never move"
    (unused,) = cut_off(lost(90, cut=None, used=False), weight("rest", (10, 1)))
    assert (unused.severity, unused.module, unused.count) == (INFO, "lost", 1) and "take no part" in unused.message


def test_sg107_leaves_experts_that_no_router_picks_to_their_own_rule() -> None:
    router = Routing("topk", "", None, "experts", "modules", 4, 64, 3, 3.0, 0.4, (1,))
    dead = replace(lost(90, cut=None), name="experts.1.weight")
    assert cut_off(dead, weight("rest", (10, 1)), routings=(router,)) == []
    assert len(cut_off(replace(dead, name="experts.2.weight"), weight("rest", (10, 1)), routings=(router,))) == 1


def test_sg107_tells_of_a_state_that_is_detached_at_eight_steps_of_a_loop() -> None:
    def judged(
        times: int, trial: StepTest | None = STALLED, cut: Operation = CUT, *parameters: Parameter
    ) -> list[Finding]:
        once = op(1, "data", location=place(7))
        return cut_off(weight("rest"), *parameters, trial=trial, cuts=(once, *[cut] * times))

    (found,) = judged(8)
    assert (found.severity, found.location, found.count) == (WARNING, place(5), 8)
    assert not judged(7) and not judged(8, LEARNS) and len(judged(8, None)) == 1
    assert not judged(8, STALLED, replace(CUT, name="item")) and not judged(8, STALLED, replace(CUT, location=None))
    assert len(judged(8, STALLED, replace(CUT, name="data"))) == 1
    assert [one.severity for one in judged(8, STALLED, CUT, lost(10, cut=1))] == [WARNING], "it is told of as a cut"


def test_sg107_tells_of_a_model_of_which_less_than_a_tenth_is_trainable() -> None:
    def judged(trainable: int, trial: StepTest | None) -> list[Severity]:
        frozen = weight("frozen", (100 - trainable, 1), requires_grad=False, connected=False)
        return severities(cut_off(weight("head", (trainable, 1)), frozen, trial=trial))

    assert judged(9, STALLED) == [ERROR] and judged(10, STALLED) == [] and judged(9, LEARNS) == judged(9, None) == []
    assert judged(9, SLOW) == [WARNING] and judged(9, one_batch(0.03, 100, early=STALLED)) == [ERROR]
    assert judged(9, bounced()) == []
    (found,) = cut_off(weight("frozen", requires_grad=False, connected=False))
    assert (found.severity, found.module) == (ERROR, ""), "nothing is trainable"


def test_sg107_leaves_a_gate_alone_that_a_step_opens() -> None:
    gate = weight("gate", (50, 1), log10_gradient=-math.inf, opened=True, cut=0)
    assert severities(cut_off(gate, weight("rest", (50, 1)))) == [INFO]
    assert severities(cut_off(replace(gate, opened=None), weight("rest", (50, 1)))) == [ERROR]


# SG108: too small for the number format.


def test_sg108_is_raised_where_half_of_the_gradients_elements_underflow() -> None:
    def judged(share: float, trial: StepTest | None, **more: Any) -> list[Finding]:
        return list(sg108.judge(seen([op(0), op(1)], underflow_share=share, underflow_operation=1, **more), trial))

    (found,) = judged(0.5, STALLED)
    assert (found.severity, found.location, found.module) == (ERROR, place(2), "m1")
    assert severities(judged(0.5, None)) == [ERROR] and severities(judged(0.5, SLOW)) == [WARNING]
    assert not judged(0.49, STALLED) and not judged(1.0, LEARNS)
    (bare,) = sg108.judge(seen(underflow_share=1.0), STALLED)
    assert (bare.location, bare.module) == (None, "")


@pytest.mark.parametrize(("dtype", "spacing"), [("float16", 2.0**-10), ("bfloat16", 2.0**-7)])
def test_sg108_is_raised_where_updates_round_back(dtype: str, spacing: float) -> None:
    """Half of the spacing around 1 is the limit for one number; of a matrix whose rms update is a quarter of that nearly all."""

    def judged(ratio: float | None, trial: StepTest | None = STALLED, **more: Any) -> list[Finding]:
        lost_one = replace(weight("a", dtype=dtype, update_ratio=ratio), **more)
        rest = weight("b", dtype=dtype, update_ratio=0.1)
        return list(sg108.judge(seen(parameters=(lost_one, rest, weight("bias", (64,))), optimizer=place(9)), trial))

    (found,) = judged(spacing / 8 * 0.99)
    assert (found.severity, found.location, found.module, found.count) == (ERROR, place(9), "a", 1)
    assert f"are lost in {dtype}" in found.message and evidence(found)["update ratio"] == spacing / 8 * 0.99
    assert not judged(spacing / 8) and not judged(None)
    assert not judged(0.0, SLOW) and not judged(0.0, None) and not judged(0.0, LEARNS)
    assert not judged(0.0, dtype="float32") and not judged(0.0, shape=(64,))


def test_sg108_counts_the_matrices_that_learn() -> None:
    """At least half of them."""
    small, large = weight("a", dtype="float16", update_ratio=1e-9), weight("b", dtype="float16", update_ratio=0.1)
    assert len(list(sg108.judge(seen(parameters=(small, large)), STALLED))) == 1
    assert not list(sg108.judge(seen(parameters=(small, large, large)), STALLED))
    frozen = replace(large, requires_grad=False)
    (found,) = sg108.judge(seen(parameters=(replace(small, location=place(4)), large, frozen)), STALLED)
    assert (found.location, found.label) == (place(4), "")


def test_sg108_is_raised_where_every_result_of_a_call_becomes_zero() -> None:
    def judged(value: str, trial: StepTest | None, operation: int | None = 1) -> list[Finding]:
        found = NonFinite(value, "forward", operation, "prod", "net", place(4))
        layers = [op(0), op(1, "prod", "other", dtype="float16", construction=place(8))]
        return list(sg108.judge(seen(layers, nonfinite=found), trial))

    (found,) = judged("zero", STALLED)
    assert (found.severity, found.location, found.also) == (ERROR, place(4), (place(8),)) and "float16" in found.message
    assert severities(judged("zero", SLOW)) == [WARNING] and not judged("zero", LEARNS) and not judged("inf", STALLED)
    assert evidence(found)["elements rounded to zero"] == 1.0
    assert "float32" in judged("zero", STALLED, None)[0].message
    assert "float32" not in judged("zero", STALLED, 1)[0].message


# SG109: a hundred steps on fresh batches teach nothing.


def test_sg109_is_an_error_where_nothing_is_learned_and_the_answers_are_alike() -> None:
    def judged(learned: float, spread: float | None = 0.5, steps: int = 100, **more: Any) -> list[Finding]:
        trial = fresh(learned, steps, output_spread_after=spread, **more)
        return list(sg109.judge(seen(), trial))

    (found,) = judged(0.0)
    assert found.severity is WARNING and "are no better than one constant answer" in found.message
    assert "are 1% better than" in judged(0.01)[0].message and "no better than" in judged(0.0009)[0].message
    assert "are 0.1% better than" in judged(0.001)[0].message
    assert not judged(0.015)
    assert severities(judged(0.0049, 1.9e-4)) == [ERROR] and severities(judged(0.005, 1.9e-4)) == [WARNING]
    assert severities(judged(0.0, 2e-4)) == severities(judged(0.0, None)) == [WARNING]
    assert severities(judged(0.0, steps=300, hundred=fresh(0.0))) == [ERROR], "9,600 samples, and it never begins"
    assert not list(sg109.judge(seen(), None)) and not list(sg109.judge(seen(), one_batch(0.0, 100)))
    assert not list(sg109.judge(seen(), diverged()))
    given = evidence(judged(0.0)[0])
    assert given["the same without the input"] == 1.0 and given["loss of unseen batches"] == 1.0


def test_sg109_reads_exchanged_targets_where_no_mean_answer_is_taken() -> None:
    def message(after: float) -> Finding:
        trial = replace(fresh(0.0), unseen=Unseen(1.0, after, None, 1.0, 1.0))
        return next(iter(sg109.judge(seen(), trial)))

    assert "fit their own target no better than another sample's target" in message(0.9995).message
    assert "fit their own target 1% better than another sample's target" in message(0.99).message
    assert "fit their own target 0.1% better" in message(1 - 0.001).message
    assert evidence(message(0.99))["the same without the input"] == 1.0
    cures = [one.why for one in message(0.99).cures]
    assert any("KL" in one for one in cures)
    assert not any("KL" in one.why for one in next(iter(sg109.judge(seen(), fresh(0.0)))).cures)


def test_sg109_blames_dropout_that_leaves_hardly_any_of_its_input() -> None:
    def judged(
        *shares: float, trial: StepTest | None = None, width: int = 1000, on: int | None = None
    ) -> list[Finding]:
        layers = [
            op(at, "dropout", "dropout", dropped=share, output_shape=(32, width)) for at, share in enumerate(shares)
        ]
        road = trunk(*(step(at, 0.0) for at in range(len(shares) if on is None else on)))
        return list(sg109.judge(seen(layers, road), trial))

    (found,) = judged(0.9995)
    assert (found.severity, found.location, found.count) == (ERROR, place(1), 1)
    assert "leaves 0.5 of 1,000 numbers" in found.message
    assert found.label == "0.05% of its input is left" and [one.value for one in found.evidence] == pytest.approx(
        [5e-4, 0.5]
    )
    assert "drops 99.9% of its input:" in found.message
    halves = judged(*[0.875] * 4, trial=fresh(0.0))
    assert len(halves) == 1 and halves[0].label == "0.024% of the input of the first is left in all"
    assert (
        severities(judged(1 - 2.0**-10, width=12 * 2**10)) == []
        and len(judged(1 - 2.0**-10, width=12 * 2**10 - 1)) == 1
    )
    assert not judged(0.999), "a thousandth is kept" and not judged(0.9995, width=100_000)
    assert not judged(0.9995, on=0), "a path goes round it"
    assert severities(judged(0.9, 0.9, 0.99)) == [ERROR] and not judged(0.79, 0.9, 0.99)
    assert "3 times in a row" in judged(0.9, 0.9, 0.99)[0].message and judged(0.9, 0.9, 0.99)[0].location == place(3)
    # Those that keep more are to blame where a hundred steps teach next to nothing.
    assert severities(judged(0.981, trial=fresh(0.0))) == [WARNING] and judged(0.981, trial=fresh(0.0))[
        0
    ].location == place(1)
    assert judged(0.97, trial=fresh(0.0))[0].location is None
    assert severities(judged(0.9951, trial=fresh(0.004))) == [ERROR]
    assert severities(judged(0.9951, trial=fresh(0.005))) == severities(judged(0.995, trial=fresh(0.004))) == [WARNING]
    assert not judged(0.981, trial=fresh(0.1))


# SG110: a router never picks some of the experts.


def routed(used: int = 7, picks: int = 128, options: int = 8, kind: str = "modules", **more: Any) -> Routing:
    gone = tuple(range(used, options))
    values: dict[str, Any] = {
        "name": "topk",
        "module": "gate",
        "location": place(3),
        "parts": "experts",
        "kind": kind,
        "options": options,
        "picks": picks,
        "used": used,
        "effective": 4.0,
        "most": 0.5,
        "lost": gone,
    }
    return Routing(**{**values, **more})


def routings(before: tuple[Routing, ...], after: tuple[Routing, ...] | None) -> list[Finding]:
    look = SecondLook(None, False, 0, "", "", None, (), after or ())
    return list(sg110.judge(seen(routings=before), None if after is None else replace(STALLED, second=look)))


def test_sg110_warns_of_experts_that_the_steps_leave_out_and_notes_those_before_any() -> None:
    (found,) = routings((routed(),), (routed(),))
    assert (found.severity, found.location, found.count) == (WARNING, place(3), 1)
    assert found.message.startswith(
        "topk never picks 1 of 8 experts in 128 choices and gives 50% of them to one: experts.7 gets"
    )
    assert [one.value for one in found.evidence] == [1 / 8, 0.5, 4.0] and found.explains == ("SG106",)
    assert found.consequence.startswith("after 10 steps") and found.evidence[1].expected == "near 12%"
    (note,) = routings((routed(),), None)
    assert (note.explains, note.consequence) == ((), "")
    assert severities(routings((routed(),), None)) == severities(routings((routed(),), ())) == [INFO]
    assert routings((routed(used=8),), None) == [] == routings((routed(),), (routed(used=8),))
    (since,) = routings((routed(used=8),), (routed(),))
    assert since.message.startswith("after 10 steps topk") and since.severity is WARNING
    assert not routings((), (routed(),))[0].message.startswith("after")


def test_sg110_tells_chance_from_collapse() -> None:
    """Sixteen choices for each expert, and a tenth of them without any."""

    def severity(one: Routing) -> Severity:
        return routings((one,), (one,))[0].severity

    assert severity(routed(picks=128)) is WARNING and severity(routed(picks=127)) is INFO
    assert severity(routed(used=9, options=10, picks=160)) is WARNING
    assert severity(routed(used=10, options=11, picks=176)) is INFO
    # A codebook has collapsed where at most a tenth of its entries, or of the choices where they are fewer, is used.
    assert severity(routed(used=6, options=64, picks=512, kind="entries")) is WARNING
    assert severity(routed(used=7, options=64, picks=512, kind="entries")) is INFO
    assert severity(routed(used=4, options=64, picks=40, kind="entries")) is WARNING
    assert severity(routed(used=5, options=64, picks=40, kind="entries")) is INFO


def test_sg110_waits_where_the_steps_bring_choices_to_more_than_a_tenth_of_the_dead() -> None:
    """Of ten dead experts, and of the same choice in the other pass."""
    before = routed(used=10, options=20, picks=320)
    assert severities(routings((before,), (routed(used=11, options=20, picks=320),))) == [WARNING]
    assert severities(routings((before,), (routed(used=12, options=20, picks=320),))) == [INFO]
    other = replace(before, module="other")
    assert severities(routings((other,), (routed(used=12, options=20, picks=320),))) == [WARNING]


def test_sg110_names_the_first_three_of_the_dead() -> None:
    def said(**more: Any) -> str:
        return routings((routed(**more),), None)[0].message.rpartition(": ")[2]

    rest = "a gradient of exactly zero"
    assert said() == f"experts.7 gets {rest}" and said(used=6) == f"experts.6, experts.7 get {rest}"
    assert said(used=4) == f"experts.4, experts.5, experts.6 and 1 more get {rest}"
    assert said(kind="stack") == f"experts[7] gets {rest}"
    assert said(lost=(7,), used=6) == f"experts.7 and 1 more get {rest}"
    entries = routings((routed(kind="entries"),), None)[0]
    assert "1 of 8 entries" in entries.message and entries.cures[0].why.startswith("dead entries")
    worst = routings(
        (routed(used=12, options=64), routed(used=2, options=4, module="b"), routed(used=1, module="c")), None
    )[0]
    assert (worst.module, worst.count) == ("c", 3), "by the share of its options"


# SG111: tokens or nodes are alike.


def tokens(*apart: float, shape: tuple[int, ...] = (32, 8, 64), **more: Any) -> Trace:
    layers = [op(at, "linear", positions_apart=one, output_shape=shape) for at, one in enumerate(apart)]
    layers[1] = replace(layers[1], name="scaled_dot_product_attention", kind="attention")
    return seen(layers, trunk(*(step(at, 0.0) for at in range(len(apart)))), **more)


def test_sg111_marks_the_first_layer_behind_which_all_positions_are_alike() -> None:
    (found,) = sg111.judge(tokens(0.5, 0.003, 0.0029, 0.0029, 0.5), STALLED)
    assert (found.severity, found.location) == (WARNING, place(3)) and found.message.startswith(
        "all tokens or nodes of"
    )
    assert "0.003 apart, 0.5 in the first layer" in found.message
    assert [one.value for one in found.evidence] == [0.5, 0.0029, 0.0029] and "SG106" in found.explains
    (note,) = sg111.judge(tokens(0.5, 0.1, 0.002, 0.001, 0.5), None)
    assert (note.severity, note.explains) == (INFO, ()) and [one.value for one in note.evidence] == [0.5, 0.002, 0.001]
    assert not list(sg111.judge(tokens(0.5, 0.1, 0.003, 0.5), STALLED))
    assert not list(sg111.judge(tokens(0.5, 0.001, 0.1, 0.5), STALLED)), "they part again"
    assert len(list(sg111.judge(tokens(0.01, 0.001, 0.5), STALLED))) == 1, "three layers are enough"
    assert not list(sg111.judge(tokens(0.009, 0.001, 0.5), STALLED)), "they were alike from the start"
    assert not list(sg111.judge(tokens(0.5, 0.001), STALLED))
    assert next(iter(sg111.judge(tokens(0.5, 0.001, 0.5, shape=(32, 64)), STALLED))).message.startswith("all nodes are")


def test_sg111_keeps_quiet_where_the_net_learns_all_the_same_or_a_skip_leads_around() -> None:
    learns, done = one_batch(0.3), one_batch(0.7)
    assert not list(sg111.judge(tokens(0.5, 0.001, 0.5), learns))
    assert len(list(sg111.judge(tokens(0.5, 9e-9, 0.5), learns))) == 1, "they drown"
    assert not list(sg111.judge(tokens(0.5, 1e-8, 0.5), learns)) and not list(sg111.judge(tokens(0.5, 9e-9, 0.5), done))
    around = replace(tokens(0.5, 0.001, 0.5), trunk=trunk(step(0, 0.0), step(2, 0.0)))
    assert not list(sg111.judge(around, STALLED)) and not list(sg111.judge(replace(around, trunk=None), STALLED))
    assert len(list(sg111.judge(replace(tokens(0.5, 9e-9, 0.5), trunk=None), STALLED))) == 1


def test_sg111_asks_that_positions_were_mixed() -> None:
    trace = tokens(0.5, 0.001, 0.5)

    def mixed(name: str, **more: Any) -> int:
        first, middle, last = trace.operations
        return len(
            list(sg111.judge(replace(trace, operations=(first, replace(middle, name=name, **more), last)), STALLED))
        )

    assert mixed("matmul") == 1 and mixed("matmul", weight="w") == 0 and mixed("linear") == 0
    first, middle, last = trace.operations
    later = (first, replace(middle, name="linear"), replace(last, name="matmul"))
    assert not list(sg111.judge(replace(trace, operations=later), STALLED)), "only what comes before counts"


# SG112: a branch of a residual block loses its gradient.


def branch(*sizes: float, moved: float | None = 1e-3, kinds: dict[int, Operation] | None = None, **more: Any) -> Trace:
    """Behind a stem, a block of layers whose matrices of one element get gradients of these sizes (log10), and a join."""
    inside = [op(at, weight=f"w{at}") for at in range(1, len(sizes) + 1)]
    end = len(sizes) + 1
    layers = [
        op(0),
        *((kinds or {}).get(one.index, one) for one in inside),
        op(end, "add", "arithmetic", parents=(end - 1, 0)),
    ]
    road = trunk(step(end, 0.0, path="block"), step(0, 0.0))
    parameters = tuple(
        weight(f"w{at}", (1, 1), log10_gradient=size, update_ratio=moved) for at, size in enumerate(sizes, 1)
    )
    return seen(layers, road, **{"parameters": parameters, **more})


def test_sg112_is_raised_where_five_decades_are_lost_inside_a_block() -> None:
    (found,) = sg112.judge(branch(-5.0, -3.0, 0.0), STALLED)
    assert (found.severity, found.location, found.count) == (INFO, place(2), 1)
    assert "loses 5.0 decades, from w3 to w1" in found.message
    assert [one.value for one in found.evidence] == [5.0, 1.0]
    slower = branch(-5.0, 0.0)
    second = replace(slower.parameters[1], update_ratio=1e-9)
    (other,) = sg112.judge(replace(slower, parameters=(second, slower.parameters[0])), STALLED)
    assert other.consequence.startswith("w1 moves by 0.001 of") and other.severity is INFO
    assert found.consequence.startswith("w1 moves by 0.001 of its size a step")
    assert not list(sg112.judge(branch(-4.9, -3.0, 0.0), STALLED))
    assert severities(sg112.judge(branch(-5.0, 0.0, moved=9e-7), STALLED)) == [WARNING]
    assert severities(sg112.judge(branch(-5.0, 0.0, moved=1e-6), STALLED)) == [INFO]
    assert severities(sg112.judge(branch(-5.0, 0.0, moved=None), STALLED)) == [INFO]
    assert not list(sg112.judge(branch(0.0, -9.0), STALLED)), "what grows is lost nowhere"
    assert not list(sg112.judge(branch(-9.0), STALLED)) and not list(sg112.judge(seen(), STALLED))


def test_sg112_compares_by_the_rms_of_the_gradients() -> None:
    """A matrix of 10,000 elements has a hundredfold norm at the same rms."""
    trace = branch(-5.0, 2.0)
    wide = replace(trace.parameters[1], shape=(100, 100))
    assert len(list(sg112.judge(replace(trace, parameters=(trace.parameters[0], wide)), STALLED))) == 1
    wider = replace(wide, shape=(101, 100))
    assert not list(sg112.judge(replace(trace, parameters=(trace.parameters[0], wider)), STALLED))
    for other in ({"connected": False}, {"shape": (1,)}, {"log10_gradient": -math.inf}):
        first = replace(trace.parameters[0], **other)
        assert not list(sg112.judge(replace(trace, parameters=(first, trace.parameters[1])), STALLED))


def test_sg112_follows_one_path_from_the_loss_back() -> None:
    deep = branch(-9.0, -3.0, 1.0, -0.5)
    assert "loses 10.0 decades, from w3 to w1" in next(iter(sg112.judge(deep, STALLED))).message
    turned = branch(-1.0, -9.0, 0.0)
    assert "loses 9.0 decades, from w3 to w2" in next(iter(sg112.judge(turned, STALLED))).message
    # Paths end at attention, and where two meet; side by side nothing follows.
    attention = op(2, "scaled_dot_product_attention", "attention")
    assert not list(sg112.judge(branch(-9.0, 0.0, 0.0, kinds={2: attention}), STALLED))
    joined = op(2, "add_", "arithmetic", parents=(0, 1))
    assert not list(sg112.judge(branch(-9.0, 0.0, 0.0, kinds={2: joined}), STALLED))
    doubled = op(2, "add", "arithmetic", parents=(1, 1))
    assert len(list(sg112.judge(branch(-9.0, 0.0, 0.0, kinds={2: doubled}), STALLED))) == 1
    product = op(2, "mul", "arithmetic", parents=(0, 1))
    assert len(list(sg112.judge(branch(-9.0, 0.0, 0.0, kinds={2: product}), STALLED))) == 1
    beside = op(2, weight="w2", parents=(0,))
    assert not list(sg112.judge(branch(-9.0, 0.0, kinds={2: beside}), STALLED))
    assert not list(sg112.judge(replace(deep, trunk=trunk(step(5, 0.0), step(0, 0.0))), STALLED)), "no block"
    assert not list(sg112.judge(replace(deep, trunk=trunk(step(None, 0.0, path="block"), step(0, 0.0))), STALLED))
    assert not list(sg112.judge(replace(deep, trunk=trunk(step(5, 0.0, path="block"))), STALLED))


def test_sg112_counts_the_blocks_and_speaks_of_the_worst() -> None:
    one = branch(-6.0, 0.0)
    second = [op(4, weight="w4", parents=(3,)), op(5, weight="w5"), op(6, "add", "arithmetic", parents=(5, 3))]
    road = trunk(step(6, 0.0, path="block"), step(3, 0.0, path="block"), step(0, 0.0))
    more = (weight("w4", (1, 1), log10_gradient=-8.0), weight("w5", (1, 1), log10_gradient=0.0))
    both = replace(one, operations=(*one.operations, *second), trunk=road, parameters=(*one.parameters, *more))
    (found,) = sg112.judge(both, STALLED)
    assert found.count == 2 and "loses 8.0 decades, from w5 to w4" in found.message


@pytest.mark.parametrize(("rms", "marked"), [(10**-1.5, place(3)), (10**-1.4, place(2)), (0.0, place(2))])
def test_sg112_marks_the_activations_that_take_half_of_it(rms: float, marked: Any) -> None:
    act = {at: op(at, "tanh", "activation", location=place(3), saturation=saturation(0.0, rms=rms)) for at in (2, 3)}
    trace = branch(-6.0, 0.0, 0.0, 0.0, kinds=act)
    (found,) = sg112.judge(trace, STALLED)
    assert found.location == marked
    if marked == place(3):
        assert found.label == "its derivatives take 3.0 of the 6.0 decades in 2 steps"
    else:
        assert found.label == "gets 1e-6 of the gradient of w4"
