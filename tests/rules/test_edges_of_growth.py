"""What the rules of exploding gradients and of faulty set-ups say at their marks, of records made by hand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from steadygrad import rules
from steadygrad.record import Finding, NonFinite, Operation, Recurrence, Severity, StepTest, Trace
from steadygrad.record.steptest import Clipped, Curvature, Unseen
from steadygrad.record.trace import Mixing, TargetStatistics
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
STANDS, COMES_DOWN = fresh(0.0), fresh(-0.05, before=1.2)


def judged(code: str, trace: Trace, trial: StepTest | None = STALLED) -> list[Finding]:
    judge = rules.find(code).judge
    assert judge is not None
    return list(judge(trace, trial))


def severities(found: Iterable[Finding]) -> list[Severity]:
    return [one.severity for one in found]


def evidence(found: Finding) -> dict[str, float]:
    return {one.name: one.value for one in found.evidence}


def test_sg201_stands_where_the_gradient_grows_most() -> None:
    layers = [op(0), op(1), op(2)]
    road = trunk(step(2, 1.0), step(1, 3.0), step(0, -0.5), step(None, 9.0, "loss"))
    (found,) = judged("SG201", seen(layers, road, parameters=(weight("a", update_ratio=0.2), weight("b"))))
    assert (found.severity, found.location, found.count) == (ERROR, place(2), 1)
    assert "gains 3.5 decades" in found.message and found.label == "adds 3.0 decades"
    assert found.consequence.startswith("a moves by 0.2 of its size")
    small = seen(layers, road, parameters=(weight("a", update_ratio=0.1),))
    assert judged("SG201", small)[0].consequence.startswith("after")
    vector = seen(layers, road, parameters=(weight("a", (9,), update_ratio=0.9),))
    assert judged("SG201", vector)[0].consequence.startswith("after")
    twice = trunk(step(2, 2.0, location=place(1)), step(0, 2.0))
    assert judged("SG201", seen(layers, twice))[0].label == "adds 4.0 decades in 2 steps"
    assert judged("SG201", seen(layers, trunk(step(0, 2.9)))) == []
    assert severities(judged("SG201", seen(layers, road), COMES_DOWN)) == [WARNING]


def test_sg202_is_raised_from_four_decades_on() -> None:
    def growing(decades: float, trial: StepTest | None = STALLED) -> list[Severity]:
        other = Recurrence("short", "tanh", 5, 0.1, 0.5)
        return severities(
            judged("SG202", seen(recurrences=(other, Recurrence("rnn", "tanh", 40, 0.1, decades))), trial)
        )

    assert growing(4.0) == growing(4.0, None) == growing(4.0, bounced()) == [ERROR] and growing(3.9) == []
    assert growing(4.0, SLOW) == [WARNING] and growing(9.0, LEARNS) == []
    assert growing(4.0, replace(LEARNS, hundred=COMES_DOWN)) == [WARNING]
    both = seen(recurrences=(Recurrence("a", "tanh", 40, 0.1, 4.0), Recurrence("b", "tanh", 40, 0.3, 12.0)))
    (found,) = judged("SG202", both)
    assert (found.module, found.count) == ("b", 2) and "grows 2-fold at each of 40 steps" in found.message


def overflowing(name: str = "log", value: str = "inf", direction: str = "forward", at: int | None = 1) -> Trace:
    layers = [op(0, output=stats()), op(1, name, "other", construction=place(8), output=stats())]
    return seen(layers, nonfinite=NonFinite(value, direction, at, name, "net", place(2)))


@pytest.mark.parametrize(("name", "advice"), [
    ("log", "clamp_min"),
    ("sqrt", "under the root"),
    ("exp", "subtracted before the exponential"),
    ("div", "denominator"),
    ("truediv_", "denominator"),
    ("softmax", "one position left open"),
    ("scaled_dot_product_attention", "one position left open"),
    ("strange", "applied before it"),
])  # fmt: skip
def test_sg203_says_what_to_write_instead(name: str, advice: str) -> None:
    (found,) = judged("SG203", overflowing(name))
    assert advice in found.cures[0].why
    assert (found.severity, found.location, found.also) == (ERROR, place(2), (place(8),))
    assert found.message == f"{name} makes infinity out of finite numbers"


def test_sg203_tells_where_a_function_is_not_defined() -> None:
    assert "some of its inputs are negative" in judged("SG203", overflowing("log", "nan"))[0].message
    assert "beyond -1 or 1" in judged("SG203", overflowing("acos", "nan"))[0].message
    assert "negative" not in judged("SG203", overflowing("log", "inf"))[0].message
    assert "negative" not in judged("SG203", overflowing("log", "nan", "backward"))[0].message


def test_sg203_knows_what_was_so_before_anything_was_computed() -> None:
    (found,) = judged("SG203", overflowing("input 0", "nan", "input", None))
    assert found.message == "the batch (input 0) holds NaN before anything is computed" and found.also == ()
    assert "isfinite" in found.cures[0].why
    (found,) = judged("SG203", overflowing("fc.weight", "inf", "parameter", None))
    assert found.message == "the parameter fc.weight holds infinity before anything is computed"
    assert "loading" in found.cures[0].why
    assert judged("SG203", overflowing("prod", "zero")) == [] == judged("SG203", seen())
    assert judged("SG203", overflowing("log", at=2))[0].also == (), "it lies behind what was recorded"


def test_sg203_is_a_warning_where_only_a_derivative_is_not_finite_and_the_steps_learn() -> None:
    backward = overflowing("sqrt", "nan", "backward")
    assert severities(judged("SG203", backward, LEARNS)) == [WARNING]
    assert severities(judged("SG203", backward, SLOW)) == severities(judged("SG203", backward, None)) == [ERROR]
    assert severities(judged("SG203", overflowing("sqrt", "nan"), LEARNS)) == [ERROR]
    assert "derivative of sqrt is NaN" in judged("SG203", backward)[0].message


def test_sg203_marks_the_call_that_made_the_numbers_large_where_the_last_only_added_them_up() -> None:
    def marked(name: str, value: str = "inf", direction: str = "forward", at: int | None = 2) -> Any:
        layers = [op(0, output=stats()), op(1, "exp", "other", output=stats(std=1e30)),
                  op(2, name, "other", output=stats(std=math.inf, largest=1e31))]  # fmt: skip
        found = NonFinite(value, direction, at, name, "net", place(3))
        return judged("SG203", seen(layers, nonfinite=found))[0].location

    assert marked("sum") == marked("add_") == place(2) and marked("mul") == place(3)
    assert marked("sum", "nan") == marked("sum", direction="backward") == place(3)
    assert marked("sum", at=None) == marked("sum", at=3) == place(3)


def test_sg204_is_raised_where_the_loss_leaps() -> None:
    trace = seen(parameters=(weight("a"), weight("b", update_ratio=0.3)), optimizer=place(9))
    (found,) = judged("SG204", trace, bounced())
    assert (found.severity, found.location, found.module) == (ERROR, place(9), "b")
    assert found.message == "updates are too large: the loss grows 2.5-fold in one step"
    assert "stops being finite" in judged("SG204", trace, diverged())[0].message
    assert severities(judged("SG204", trace, diverged())) == [ERROR]
    leapt = one_batch(0.1, rise=0.401)
    assert severities(judged("SG204", trace, leapt)) == [WARNING]
    assert severities(judged("SG204", trace, one_batch(0.099, rise=0.401))) == [ERROR]
    assert judged("SG204", trace, one_batch(0.1, rise=0.4)) == [] == judged("SG204", trace, one_batch(0.7, rise=2.0))
    assert judged("SG204", trace, None) == [] == judged("SG204", trace, replace(bounced(), decay=1.0))
    assert len(judged("SG204", trace, one_batch(0.1, 100, early=leapt))) == 1, "the first ten steps count"
    assert severities(judged("SG204", trace, one_batch(-0.11))) == [ERROR]
    (bare,) = judged("SG204", seen(parameters=(weight("v", (9,)), weight("w", update_ratio=None))), bounced())
    assert bare.module == "" and evidence(bare)["greatest update ratio in the first step"] == 0.0


def test_sg204_is_raised_where_one_update_replaces_a_matrix_however_the_loss_came_down() -> None:
    def replaced(ratio: float, rise: float) -> list[Severity]:
        trial = one_batch(0.8, rise=rise)
        return severities(judged("SG204", seen(parameters=(weight("a", update_ratio=ratio),)), trial))

    assert replaced(5.0, 1.001) == [WARNING] and replaced(4.9, 2.0) == [] == replaced(5.0, 1.0)


def test_sg204_names_the_curvature_where_the_rate_is_above_what_it_bears() -> None:
    def told(largest: float, stable: float | None = 0.05) -> Finding:
        return judged("SG204", seen(), replace(bounced(), curvature=Curvature(1, largest, 0.1, 2.0, stable)))[0]

    assert evidence(told(21.0))["learning rate × largest curvature before step 2"] == pytest.approx(2.1)
    assert "rate × curvature is 2.1, over the 2" in told(21.0).consequence
    assert "at a rate of 0.05 none of 30 steps leaps" in told(21.0).consequence
    assert "none of 30 steps" not in told(21.0, None).consequence
    assert "curvature" not in told(20.0).consequence and len(told(20.0).evidence) == len(told(21.0).evidence) - 1
    assert "curvature" not in judged("SG204", seen(), bounced())[0].consequence


def test_sg205_is_raised_above_two_hundred_and_above_twenty_where_hundreds_of_steps_teach_nothing() -> None:
    def large(size: float, trial: StepTest | None = STALLED, **more: Any) -> list[Finding]:
        layers = [op(0, output=stats(std=size)), op(1), op(2, output=stats(**{"mean": -size, **more}))]
        return judged("SG205", seen(layers), trial)

    (found,) = large(201.0)
    assert (found.severity, found.location, found.count, found.label) == (ERROR, place(1), 2, "first of 2 such outputs")
    assert (
        large(200.0) == []
        and large(1e9, LEARNS) == large(1e9, None) == []
        and severities(large(201.0, SLOW)) == [WARNING]
    )
    assert severities(large(21.0, fresh(0.0))) == [ERROR] and large(20.0, fresh(0.0)) == [] == large(21.0, fresh(0.03))
    assert (large(201.0, mean=0.0)[0].count, large(201.0, mean=0.0)[0].label) == (1, "")
    inner = [op(0, output=stats()), op(1, output=stats(std=100.0)), op(2, output=stats(std=300.0))]
    (grown,) = judged("SG205", seen(inner))
    assert (grown.location, grown.label) == (place(2), "the numbers grow most here")
    assert judged("SG205", seen([op(0, output=stats(std=1e9), module_type="")])) == [], "no layer made it"


def test_sg207_is_raised_where_every_likelihood_is_made_smaller() -> None:
    def signs(*values: float | None) -> list[Finding]:
        return judged("SG207", seen([op(at, likelihood=value) for at, value in enumerate(values)]))

    (found,) = signs(1.0, None)
    assert (found.severity, found.location) == (ERROR, place(2)), "at the end of the loss"
    assert signs(None) == signs(-1.0) == signs(1.0, -1.0) == [] and len(signs(1.0, 1.0)) == 1
    ends = [op(0, likelihood=1.0), op(1, location=None)]
    assert judged("SG207", seen(ends))[0].location == place(1)


# SG301: the variance of the weights against the one that the activation behind them needs.


def drawn(
    *ratios: float, name: str = "relu", needed: float = 2.0, decades: float = -5.0, between: str = "", **more: Any
) -> Trace:
    """Layers of fan-in 64, each of so many times the variance its activation needs, that share the decades of the trunk."""
    layers, steps, parameters = [], [], []
    for number, ratio in enumerate(ratios):
        at = len(layers)
        layers.append(op(at, weight=f"w{number}", fan_in=64))
        if between:
            layers.append(op(at + 1, between, {"view": "shape", "add": "arithmetic"}.get(between, between)))
        layers.append(op(len(layers), name, "activation"))
        steps.append(step(at, decades / len(ratios)))
        parameters.append(weight(f"w{number}", norm=math.sqrt(ratio * needed * 64), location=place(90), made=place(90)))
    return seen(layers, trunk(*reversed(steps)), **{"parameters": tuple(parameters), **more})


def test_sg301_is_raised_where_layers_are_drawn_too_small_for_their_activation() -> None:
    """1/6 of He's variance takes 0.39 decades a layer."""
    (found,) = judged("SG301", drawn(*[1 / 6] * 6, decades=-5.0))
    assert (found.severity, found.location, found.count) == (WARNING, place(1), 6)
    assert found.message == "the weights' variance is 0.17 of what relu needs, in 6 layers"
    assert found.label == "each such layer takes 0.39 decades; 5.0 in all"
    given = evidence(found)
    assert given["decades explained by the mismatch"] == pytest.approx(3 * math.log10(6))
    assert given["σ_w² = fan-in × mean square weight"] == pytest.approx(1 / 3)
    assert judged("SG301", drawn(*[1 / 6] * 6), LEARNS) == []
    # Only those are counted that are off by a fifth or more, and they have to explain two fifths of what is lost.
    assert (
        judged("SG301", drawn(*[0.79] * 60, decades=-3.5))[0].count == 60 and judged("SG301", drawn(*[0.81] * 60)) == []
    )
    assert (
        len(judged("SG301", drawn(0.01, 0.01, 0.01, decades=-7.4))) == 1
        and judged("SG301", drawn(0.01, 0.01, 0.01, decades=-7.6)) == []
    )
    assert judged("SG301", drawn(1e-8, 1.0, 1.0))[0].count == 1


def test_sg301_is_raised_where_layers_are_drawn_too_large() -> None:
    (found,) = judged("SG301", drawn(100.0, 100.0, 1.0, decades=3.0))
    assert (found.severity, found.count) == (ERROR, 2)
    assert found.message == "the weights' variance is 100 times what relu needs, in 2 layers"
    assert found.label == "each such layer adds 1 decades; 3.0 in all"
    assert (
        judged("SG301", drawn(*[1.26] * 60, decades=3.5))[0].count == 60
        and judged("SG301", drawn(*[1.24] * 60, decades=3.5)) == []
    )
    assert judged("SG301", drawn(100.0, 100.0, decades=2.9)) == []


def test_sg301_is_an_error_where_one_batch_is_learned_by_heart_through_weights_ten_times_too_large() -> None:
    def by_heart(ratio: float, trial: StepTest = LEARNS, count: int = 3, decades: float = 3.0) -> list[Severity]:
        return severities(judged("SG301", drawn(*[ratio] * count, decades=decades), trial))

    assert (
        by_heart(10.01) == [ERROR]
        and by_heart(9.99) == [] == by_heart(1e4, count=1)
        and by_heart(100.0, count=2) == [ERROR]
    )
    assert by_heart(11.0, decades=2.9) == [] == by_heart(11.0, fresh(0.5))


def test_sg301_tells_of_weights_that_are_all_zero() -> None:
    def zeros(**more: Any) -> Finding:
        trace = drawn(0.0, decades=-math.inf)
        only = replace(trace.parameters[0], **more)
        return judged("SG301", replace(trace, parameters=(only,)))[0]

    assert zeros().message == "the weights are all zero" and zeros().label == "makes the gradient zero"
    assert zeros().location == place(1) and zeros(filled=place(70)).location == place(70)
    assert zeros(made=place(80)).location == place(80), "a layer of one's own: where its parameter is made"
    assert zeros(made=place(80)).also == (place(1),)
    assert zeros(made=None).location == place(1)


def test_sg301_looks_past_views_and_dropout_for_the_activation() -> None:
    assert (
        len(judged("SG301", drawn(*[1 / 6] * 6, between="view")))
        == len(judged("SG301", drawn(*[1 / 6] * 6, between="dropout")))
        == 1
    )
    assert len(judged("SG301", drawn(*[1 / 6] * 6, between="add"))) == 1, "a bias of a layer of one's own"
    assert judged("SG301", drawn(*[1 / 6] * 6, between="normalisation")) == []
    straight = drawn(*[1 / 6] * 6, name="tanhshrink", needed=1.0)
    assert judged("SG301", straight) == [], "no scale is known to be needed"


@pytest.mark.parametrize(("name", "needed", "initialiser"), [
    ("relu", 2.0, "kaiming_normal_"),
    ("tanh", 1.0, "Xavier"),
    ("selu", 1.0, "LeCun"),
    ("gelu", 2.0, "critical scale of gelu"),
])  # fmt: skip
def test_sg301_names_the_initialiser(name: str, needed: float, initialiser: str) -> None:
    (found,) = judged("SG301", drawn(*[1 / 6] * 6, name=name, needed=needed))
    assert initialiser in found.cures[0].why


def test_sg301_compares_layers_on_the_trunk_that_are_followed_by_something() -> None:
    trace = drawn(*[1e-3] * 4)
    for change in ({"kind": "other"}, {"weight": "unknown"}, {"fan_in": None}):
        layers = tuple(replace(one, **change) if one.kind == "linear" else one for one in trace.operations)
        assert judged("SG301", replace(trace, operations=layers)) == []
    only = trunk(step(0, -1.0), step(1, -2.5))
    assert judged("SG301", replace(trace, trunk=only))[0].count == 1
    direct = [op(at, weight=f"w{at}", fan_in=64) for at in range(3)]
    road = trunk(*(step(at, -2.0) for at in (2, 1, 0)))
    weights = tuple(weight(f"w{at}", norm=math.sqrt(64e-3)) for at in range(3))
    (found,) = judged("SG301", seen(direct, road, parameters=weights))
    assert found.count == 2 and "what linear needs" in found.message, "the last one feeds nothing"


# SG302: batch norm over few values, or over many layers without a skip.


def normed(shape: tuple[int, ...], *, count: int = 1, decades: float = 0.0, **more: Any) -> Trace:
    layers = [op(at, "batch_norm", "normalisation", output_shape=shape) for at in range(count)]
    return seen(layers, trunk(*(step(at, decades / count, "normalisation") for at in reversed(range(count)))), **more)


@pytest.mark.parametrize(("shape", "trial", "expected"), [
    ((4, 8), STALLED, [ERROR]),
    ((5, 8), STALLED, []),
    ((4, 8), bounced(), [ERROR]),
    ((4, 8), SLOW, [WARNING]),
    ((4, 8), None, [WARNING]),
    ((3, 8), LEARNS, [WARNING]),
    ((4, 8), LEARNS, []),
    ((2, 8, 2), STALLED, [ERROR]),
    ((2, 8, 3), STALLED, []),
    ((1, 8, 2, 2), STALLED, [ERROR]),
])  # fmt: skip
def test_sg302_is_raised_where_a_channel_has_four_values_or_three_in_a_net_that_learns(
    shape: tuple[int, ...], trial: StepTest | None, expected: list[Severity]
) -> None:
    assert severities(judged("SG302", normed(shape), trial)) == expected
    assert judged("SG302", normed(shape, training=False), trial) == []
    assert judged("SG302", replace(normed(shape), operations=(op(0, "layer_norm", output_shape=shape),)), trial) == []


def test_sg302_is_raised_where_forty_in_a_row_gain_two_decades() -> None:
    def deep(count: int, decades: float, trial: StepTest | None = STALLED) -> list[Severity]:
        return severities(judged("SG302", normed((64, 8), count=count, decades=decades), trial))

    assert deep(40, 2.0) == deep(40, 2.0, bounced()) == [ERROR] and deep(39, 2.0) == deep(40, 1.99) == []
    assert deep(40, 2.0, SLOW) == deep(40, 2.0, None) == [WARNING] and deep(40, 2.0, LEARNS) == []
    # One batch is learned, but far less of it than the gradient promises.
    blind = one_batch(0.14, predicted_first=1.1)
    assert deep(40, 2.0, blind) == [WARNING] and deep(40, 2.0, replace(blind, predicted_first=1.0)) == []
    assert deep(40, 2.0, one_batch(0.15, predicted_first=1.1)) == []
    assert deep(40, 2.0, one_batch(0.5, 100, predicted_first=1.1, early=blind)) == [WARNING]
    (found,) = judged("SG302", normed((64, 8), count=40, decades=4.0))
    assert found.label == "each multiplies the gradient by about 1.26" and found.count == 40
    beside = normed((64, 8), count=41, decades=4.0)
    assert judged("SG302", replace(beside, trunk=trunk(step(0, 4.0)))) == [], "with skips they are not on the trunk"


# SG303: a squash too many in front of the loss.


def squashed(loss: str, squash: str, *, share: float = 0.5, kind: str = "loss", behind: int = 0, **more: Any) -> Trace:
    layers = [op(0), op(1, squash, "activation", saturation=saturation(share), output=stats(std=0.2)),
              op(2, loss, kind, **more), *(op(3 + at, "mul", "arithmetic") for at in range(behind))]  # fmt: skip
    return seen(layers)


@pytest.mark.parametrize(("loss", "squash", "raised"), [
    ("cross_entropy", "softmax", 1),
    ("cross_entropy", "sigmoid", 1),
    ("cross_entropy", "tanh", 0),
    ("binary_cross_entropy_with_logits", "sigmoid", 1),
    ("binary_cross_entropy", "sigmoid", 0),
])  # fmt: skip
def test_sg303_is_raised_where_a_loss_applies_the_squash_itself(loss: str, squash: str, raised: int) -> None:
    found = judged("SG303", squashed(loss, squash))
    assert len(found) == raised
    if found:
        assert (found[0].severity, found[0].location) == (ERROR, place(2))
        itself = "softmax" if loss == "cross_entropy" else "sigmoid"
        assert found[0].message.startswith(f"{squash} is applied to what the loss squashes again")
        assert itself in found[0].message or "binary" in loss
        assert evidence(found[0])["standard deviation of what the loss gets"] == 0.2


def test_sg303_is_an_error_where_nothing_is_learned_and_a_note_where_all_is_well() -> None:
    def said(trial: StepTest | None) -> list[Severity]:
        return severities(judged("SG303", squashed("cross_entropy", "softmax"), trial))

    assert said(STALLED) == said(bounced()) == [ERROR] and said(SLOW) == said(None) == [WARNING]
    assert said(one_batch(0.9)) == [INFO]


def test_sg303_reads_a_softmax_of_ones_own_loss_by_where_it_stands() -> None:
    """One of the last four operations, of a matrix: further inside it feeds attention."""

    def own(behind: int = 3, shape: tuple[int, ...] = (32, 10)) -> int:
        return len(
            judged("SG303", squashed("softmax", "softmax", kind="activation", behind=behind, output_shape=shape))
        )

    assert own() == 1 and own(4) == 0 and own(shape=(32, 5, 10)) == 0
    assert judged("SG303", squashed("log_softmax", "softmax", kind="activation")) == []
    assert len(judged("SG303", squashed("log_softmax", "softmax", kind="loss", behind=9))) == 1


def test_sg303_is_raised_of_a_saturated_sigmoid_under_mse() -> None:
    assert len(judged("SG303", squashed("mse_loss", "sigmoid", share=0.41))) == 1
    assert judged("SG303", squashed("mse_loss", "sigmoid", share=0.4)) == []
    assert judged("SG303", squashed("mse_loss", "tanh", share=0.9)) == []
    assert judged("SG303", squashed("l1_loss", "sigmoid", share=0.9)) == []
    assert judged("SG303", squashed("mse_loss", "sigmoid", share=0.9), LEARNS) == []
    assert len(judged("SG303", squashed("mse_loss", "sigmoid", share=0.9), SLOW)) == 1
    assert judged("SG303", seen([op(0), op(1, "sigmoid", "activation"), op(2, "mse_loss", "loss")])) == []


# SG304: the size of the input.


def fed(
    mean: float | None, std: float | None, trial: StepTest | None = STALLED, *layers: Operation, share: float = 0.0
) -> list[Finding]:
    default = (op(0, "view", "shape"), op(1), op(2, "tanh", "activation", saturation=saturation(share)))
    return judged("SG304", seen(layers or default, input_mean=mean, input_std=std), trial)


@pytest.mark.parametrize(("mean", "std", "trial", "expected"), [
    (0.0, 20.0, STALLED, [ERROR]),
    (-20.0, 1.0, STALLED, [ERROR]),
    (0.0, 19.9, STALLED, []),
    (0.0, 20.0, bounced(), [ERROR]),
    (0.0, 20.0, SLOW, [WARNING]),
    (0.0, 1999.0, LEARNS, []),
    (0.0, 2000.0, LEARNS, [WARNING]),
    (0.0, 1e9, None, []),
    (None, 1e9, STALLED, []),
    (1e9, None, STALLED, []),
    (0.0, 0.003, STALLED, [WARNING]),
    (-0.003, 0.001, STALLED, [WARNING]),
    (0.0, 0.0031, STALLED, []),
    (0.0, 0.003, SLOW, []),
    (0.0, 0.0, STALLED, []),
])  # fmt: skip
def test_sg304_is_raised_where_the_input_is_far_from_one(
    mean: float | None, std: float | None, trial: StepTest | None, expected: list[Severity]
) -> None:
    assert severities(fed(mean, std, trial)) == expected


def test_sg304_stands_at_the_first_layer_unless_a_normalisation_comes_before_it() -> None:
    (found,) = fed(0.0, 100.0)
    assert (found.location, found.label) == (place(2), "takes the input as it is")
    assert fed(0.0, 100.0, share=0.51)[0].label == "51% of the units behind it are saturated"
    assert fed(0.0, 100.0, share=0.5)[0].label == "takes the input as it is"
    assert (
        fed(0.0, 100.0, STALLED, op(0, "batch_norm", "normalisation"), op(1))
        == []
        == fed(0.0, 100.0, STALLED, op(0, "add", "arithmetic"))
    )
    assert fed(0.0, 100.0, STALLED, op(0, "lstm", "recurrent"))[0].location == place(1)
    early = (
        op(0, "tanh", "activation", saturation=saturation(0.9)),
        op(1),
        op(2, "tanh", "activation", saturation=saturation(0.1)),
    )
    assert evidence(fed(0.0, 100.0, STALLED, *early)[0])["saturated units of the first activation"] == 0.1
    unknown = (op(0), op(1, "relu", "activation"), op(2, "tanh", "activation", saturation=saturation(0.7)))
    assert evidence(fed(0.0, 100.0, STALLED, *unknown)[0])["saturated units of the first activation"] == 0.7
    assert evidence(fed(0.0, 100.0, STALLED, op(0))[0])["saturated units of the first activation"] == 0.0


# SG305: the entropy of attention.


def looking(*entropies: float, trial: StepTest | None = STALLED, **more: Any) -> list[Finding]:
    layers = [op(at, "softmax", "attention", attention_entropy=one, **more) for at, one in enumerate(entropies)]
    return judged("SG305", seen(layers), trial)


def test_sg305_is_raised_under_a_fifth_of_the_entropy_and_under_an_eighth_where_the_loss_falls() -> None:
    (found,) = looking(0.9, 0.19)
    assert (found.severity, found.location, found.count) == (ERROR, place(2), 1)
    assert looking(0.2) == [] and severities(looking(0.19, trial=SLOW)) == [WARNING]
    assert severities(looking(0.19, trial=bounced())) == [ERROR]
    assert severities(looking(0.03, trial=replace(one_batch(0.03, 300), hundred=SLOW))) == [ERROR], "still slow"
    assert severities(looking(0.11, trial=LEARNS)) == [WARNING] and looking(0.12, trial=LEARNS) == []
    assert len(looking(0.11, 0.9, 0.9, trial=LEARNS)) == 1, "on one batch one is enough"
    assert looking(0.11, 0.9, trial=fresh(0.5)) == [] and len(looking(0.11, 0.11, 0.9, trial=fresh(0.5))) == 1
    assert looking(0.11, 0.9, trial=None) == [] and severities(looking(0.11, 0.11, 0.9, trial=None)) == [WARNING]
    assert looking(0.0, module_type="") == []
    assert len(looking(0.1)[0].evidence) == 1 and len(looking(0.1, attention_logit_std=9.0)[0].evidence) == 2
    assert len(looking(0.1, attention_logit_std=math.inf)[0].evidence) == 1


# SG306: a clip that leaves too little.


def test_sg306_is_raised_where_the_clip_alone_makes_the_steps_too_small() -> None:
    def clipped(after: float, ratio: float, fall: float = 0.0, name: str = "SGD", **more: Any) -> list[Severity]:
        trial = one_batch(fall, clipped=Clipped("norm:1", 10.0, after, None), optimizer_class=name)
        return severities(judged("SG306", seen(parameters=(weight("a", **{"update_ratio": ratio, **more}),)), trial))

    assert clipped(1.0, 1.9e-4) == clipped(1.0, 2.1e-5) == [ERROR]
    assert clipped(1.0, 2e-4) == clipped(1.0, 1.9e-5) == clipped(10.0, 1e-4) == clipped(0.0, 1e-4) == []
    assert clipped(1.0, 1e-4, 0.003) == clipped(1.0, 1e-4, name="Adam") == clipped(1.0, 0.0) == []
    assert clipped(1.0, 1e-4, shape=(64,)) == clipped(1.0, 1e-4, optimized=False) == []
    assert judged("SG306", seen(), None) == [] == judged("SG306", seen(), STALLED)


# SG308 to SG311: what the loss compares.


def compared(
    name: str = "mse_loss", squash: str = "relu", negative: float = 0.5, trial: StepTest | None = STALLED, **more: Any
) -> list[Finding]:
    target = TargetStatistics(0.0, 1.0, negative, 1.0)
    layers = [op(0), op(1, squash, "activation"), op(2, name, "loss", target=target), *more.get("behind", ())]
    return judged("SG308", seen(layers), trial)


def test_sg308_is_raised_where_a_rectifier_stands_before_targets_or_logits_of_both_signs() -> None:
    assert severities(compared()) == severities(compared(trial=bounced())) == [ERROR] and compared()[
        0
    ].location == place(2)
    assert severities(compared(trial=SLOW)) == severities(compared(trial=LEARNS)) == [WARNING]
    assert len(compared(negative=0.01)) == 1 and compared(negative=0.009) == [] == compared(squash="tanh")
    assert compared("strange") == []
    assert severities(compared("cross_entropy", negative=0.0, trial=SLOW)) == [WARNING]
    assert severities(compared("soft_margin_loss", negative=0.0, trial=SLOW)) == [ERROR]
    logits = [op(at, "mul", "arithmetic") for at in range(3, 8)]
    assert len(compared("log_softmax", negative=0.0, behind=logits[:3])) == 1
    assert compared("log_softmax", negative=0.0, behind=logits[:4]) == []


def test_sg309_is_raised_where_a_column_meets_a_row() -> None:
    def crossed(*shapes: tuple[int, ...], name: str = "mse_loss") -> list[Finding]:
        return judged("SG309", seen([op(0, name, "loss", crossed=shapes)]))

    (found,) = crossed((32, 1), (32,))
    assert found.message == "shapes (32, 1) and (32,) are compared each with each: 32 × 32 differences"
    assert crossed() == crossed((16, 1), (16,)) == crossed((32, 1), (32,), name="mul") == []


def test_sg310_is_raised_where_targets_are_twenty_times_the_outputs() -> None:
    def far(
        mean: float, std: float, output: float = 1.0, trial: StepTest | None = STALLED, name: str = "mse_loss"
    ) -> list[Severity]:
        return severities(
            judged("SG310", seen([op(0, name, "loss", target=TargetStatistics(mean, std, 0.0, output))]), trial)
        )

    assert far(0.0, 20.0) == far(-20.0, 1.0) == far(0.0, 20.0, 0.1) == far(0.0, 20.0, trial=bounced()) == [ERROR]
    assert far(0.0, 19.9) == far(0.0, 39.0, 2.0) == far(0.0, 1e9, trial=LEARNS) == far(0.0, 1e9, trial=None) == []
    assert far(0.0, 20.0, trial=SLOW) == [WARNING] and far(0.0, 99.0, name="mul") == []
    assert judged("SG310", seen([op(0, "mse_loss", "loss")])) == []


def test_sg311_is_raised_where_samples_are_mixed() -> None:
    def mixed(name: str, shape: tuple[int, ...]) -> Finding:
        (found,) = judged("SG311", seen(mixing=Mixing(name, place(4), shape)), LEARNS)
        return found

    assert "along the 32 samples of the batch, not along each" in mixed("log_softmax", (32, 10)).message
    assert mixed("multi_head_attention_forward", (32, 8, 64)).message.startswith("attention runs along the 32 samples")
    assert (
        mixed("lstm", (32, 8, 64)).message.startswith("lstm runs along")
        and "batch_first" in mixed("lstm", (32, 8, 64)).label
    )
    assert "one sequence to it" in mixed("lstm", (32, 64)).message and mixed("lstm", (32, 64)).severity is ERROR


def test_sg311_is_raised_where_a_view_trades_axes_and_nothing_is_learned() -> None:
    def viewed(
        before: tuple[int, ...],
        after: tuple[int, ...],
        trial: StepTest | None = STANDS,
        name: str = "view",
        path: str = "net.py",
    ) -> int:
        layers = [
            op(0, output_shape=before),
            op(1, name, "shape", output_shape=after, location=replace(place(2), path=path)),
        ]
        return len(judged("SG311", seen(layers), trial))

    assert viewed((32, 3, 8), (32, 8, 3)) == 1 and viewed((32, 3, 8), (32, 24)) == viewed((32, 3, 8), (32, 3, 8)) == 0
    assert viewed((32, 3, 1), (32, 1, 3)) == 0, "an axis of one moves nothing"
    assert viewed((32, 3, 8), (32, 8, 3), fresh(0.1)) == viewed((32, 3, 8), (32, 8, 3), None) == 0
    assert (
        viewed((32, 3, 8), (32, 8, 3), name="permute")
        == viewed((32, 3, 8), (32, 8, 3), path="/site-packages/a.py")
        == 0
    )


# SG312: a head whose weights are out of scale.


def headed(times: float = 3.01, gain: float = 2.01, others: tuple[float, ...] = (0.5, 0.6, 0.7), **more: Any) -> Trace:
    """Layers of fan-in 16, whose weights × √fan-in have these sizes, and a head for ten classes."""
    sizes = (*others, gain)
    layers = [op(at, weight=f"w{at}", fan_in=16, output_shape=(32, 16)) for at in range(len(sizes))]
    layers[-1] = replace(layers[-1], output_shape=(32, 10), log10_gradient=-0.5)
    layers.append(op(len(sizes), "cross_entropy", "loss", log10_gradient=0.0, output_shape=()))
    shapes = [(16, 16)] * len(others) + [(10, 16)]
    parameters = [
        weight(f"w{at}", shape, norm=size * math.sqrt(shape[0]))
        for at, (shape, size) in enumerate(zip(shapes, sizes, strict=True))
    ]
    return replace(seen(layers, parameters=tuple(parameters), loss=times * math.log(10)), **more)


SLOWLY = StepTest(1, "", (7.0, 2.4), 0.1, 0.5)
"""Ten classes alike cost 2.30: the loss has not come down to that."""


def headings(trial: StepTest | None = SLOWLY, **more: Any) -> list[Severity]:
    return severities(judged("SG312", headed(**more), trial))


def test_sg312_is_raised_where_the_loss_begins_at_three_times_that_of_equal_logits() -> None:
    (found,) = judged("SG312", headed(), SLOWLY)
    assert (found.severity, found.location) == (WARNING, place(4))
    assert found.message.startswith("the loss begins at 3 times that of equal logits: w3 has weights 3.3")
    given = evidence(found)
    assert given["gain of the head: rms of its weights × √fan-in"] == pytest.approx(2.01)
    assert given["median gain of the other matrices"] == pytest.approx(0.6)
    assert "standard deviation 0.25" in found.cures[0].why, "one over the root of a fan-in of 16"
    assert (
        headings(times=2.99)
        == headings(times=math.inf)
        == []
        == headings(gain=1.99)
        == headings(gain=2.5, others=(0.9,))
    )
    assert headings(gain=2.5, others=(0.8,)) == [WARNING] and headings(gain=99.0, others=()) == []


def test_sg312_is_a_note_where_no_step_was_taken_or_the_steps_bring_the_loss_down() -> None:
    assert headings(None) == [INFO]
    assert headings(StepTest(2, "", (7.0, 9.0, 2.29), 0.1, 0.5)) == [INFO]
    unseen = replace(SLOWLY, unseen=Unseen(7.0, 2.29, 2.3, None, 7.0))
    assert headings(unseen) == [INFO] and headings(replace(unseen, unseen=Unseen(7.0, 2.31, 2.3, None, 7.0))) == [
        WARNING
    ]


def loss_changed(**more: Any) -> list[Severity]:
    trace = headed()
    return severities(
        judged(
            "SG312", replace(trace, operations=(*trace.operations[:-1], replace(trace.operations[-1], **more))), SLOWLY
        )
    )


def test_sg312_asks_for_a_mean_cross_entropy_that_is_the_whole_loss() -> None:
    assert loss_changed() == loss_changed(name="nll_loss") == [WARNING]
    assert loss_changed(name="mse_loss") == loss_changed(parents=()) == loss_changed(kind="other") == []
    assert loss_changed(log10_gradient=9e-4) == [WARNING] and loss_changed(log10_gradient=-0.0011) == []
    assert loss_changed(log10_gradient=None) == loss_changed(log10_gradient=0.0011) == []
    two = headed()
    assert judged("SG312", replace(two, operations=(*two.operations, op(5, "mse_loss", "loss"))), SLOWLY) == []


def head_changed(**more: Any) -> list[Severity]:
    trace = headed()
    *first, head, loss = trace.operations
    return severities(judged("SG312", replace(trace, operations=(*first, replace(head, **more), loss)), SLOWLY))


def test_sg312_asks_for_logits_of_a_mean_over_samples() -> None:
    """Their gradient is √2 at most."""
    assert head_changed(log10_gradient=0.15) == [WARNING] and head_changed(log10_gradient=0.151) == []
    assert head_changed(log10_gradient=None) == head_changed(output_shape=(32,)) == head_changed(kind="other") == []
    assert head_changed(output_shape=(32, 1)) == head_changed(weight="") == head_changed(weight="unknown") == []
    assert head_changed(output_shape=(32, 10, 7)) == [WARNING], "the classes lie second where positions follow"
    assert head_changed(output_shape=(32, 7, 10)) == [WARNING]
    assert head_changed(output_shape=(32, 100)) == [], "for a hundred classes the loss began at 1.5 times"
    assert head_changed(output_shape=(32, 100, 10)) == [] and head_changed(output_shape=(32, 10, 100)) == [WARNING]


def test_sg312_looks_past_views_sums_factors_and_a_log_softmax_for_the_head() -> None:
    def between(name: str, kind: str) -> list[Severity]:
        trace = headed()
        *first, loss = trace.operations
        at = len(first)
        extra = op(at, name, kind, output_shape=(32, 10), log10_gradient=-0.5)
        after = replace(loss, index=at + 1, parents=(at,), name="nll_loss")
        return severities(judged("SG312", replace(trace, operations=(*first, extra, after)), SLOWLY))

    assert between("view", "shape") == between("mul", "arithmetic") == between("log_softmax", "loss") == [WARNING]
    assert between("tanh", "activation") == []


def test_sg312_says_how_far_the_first_step_moves_the_head_against_the_others() -> None:
    def said(head: float | None, *others: float | None) -> str:
        trace = headed()
        ratios = (*others, head)
        parameters = tuple(
            replace(one, update_ratio=ratio) for one, ratio in zip(trace.parameters, ratios, strict=True)
        )
        return judged("SG312", replace(trace, parameters=parameters), SLOWLY)[0].consequence

    assert said(1e-4, 1e-3, 2e-3, 9e-3).startswith("the first step moves it by 1e-4 of its size, the others by 0.002")
    assert said(1e-3, 1e-3, 1e-3, 1e-3).startswith("after") and said(None, 1e-3, 1e-3, 1e-3).startswith("after")
    assert said(1e-4, None, None, None).startswith("after") and said(1e-4, None, 2e-3, 0.0).startswith("the first")


def test_sg312_compares_matrices_that_layers_multiply_by() -> None:
    trace = headed(others=(0.5,))

    def other(**more: Any) -> list[Severity]:
        first = replace(trace.parameters[0], **more)
        return severities(judged("SG312", replace(trace, parameters=(first, trace.parameters[1])), SLOWLY))

    assert other() == [WARNING] and other(norm=0.0) == other(shape=(16,)) == other(name="embedding") == []


# The rules together.


def told(code: str, severity: Severity, *explains: str, line: int | None = None) -> Finding:
    return Finding(code, "", severity, "", None if line is None else place(line), "", (), (), explains=explains)


def kept(*found: Finding) -> list[tuple[str, Severity]]:
    return [(one.code, one.severity) for one in rules.causes(found)]


def test_a_symptom_goes_where_a_finding_at_least_as_severe_explains_it() -> None:
    symptom = told("SG106", WARNING)
    assert kept(told("SG101", WARNING, "SG106"), symptom) == [("SG101", WARNING)]
    assert kept(told("SG101", ERROR, "SG106"), symptom) == [("SG101", ERROR)]
    assert kept(told("SG101", INFO, "SG106"), symptom) == [("SG106", WARNING), ("SG101", INFO)]
    assert kept(told("SG101", WARNING), symptom) == [("SG101", WARNING), ("SG106", WARNING)]
    (cause,) = rules.causes([told("SG101", WARNING, "SG105", "SG106"), symptom])
    assert cause.explains == ("SG106",), "what is not there is not explained"


def test_of_two_that_explain_each_other_the_more_severe_or_the_first_is_the_cause() -> None:
    assert kept(told("SG201", ERROR, "SG301"), told("SG301", ERROR, "SG201")) == [("SG201", ERROR)]
    assert kept(told("SG201", WARNING, "SG301"), told("SG301", ERROR, "SG201")) == [("SG301", ERROR)]


def test_where_fresh_batches_show_that_nothing_is_learned_the_warnings_are_the_cause() -> None:
    warned, note = told("SG101", WARNING), told("SG102", INFO)
    assert kept(told("SG109", ERROR), warned, note) == [("SG101", ERROR), ("SG102", INFO)]
    assert kept(told("SG109", WARNING), warned, note) == [("SG101", WARNING), ("SG102", INFO)]
    assert kept(told("SG109", ERROR), note) == [("SG109", ERROR), ("SG102", INFO)]
    assert kept(told("SG109", ERROR, line=3), warned) == [("SG109", ERROR), ("SG101", WARNING)], "it names a line"
