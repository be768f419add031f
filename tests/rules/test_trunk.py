"""What rules read from the trunk and the operations, at each mark and on both sides of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from steadygrad.record import CureRef, Finding, Location, Operation, Parameter, Severity, StepTest, Trace
from steadygrad.record.steptest import SecondLook
from steadygrad.rules.as_made import as_made
from steadygrad.rules.comparing import compares
from steadygrad.rules.growth import grown_at
from steadygrad.rules.lost_paths import CAST, COMPARED, INDEX, NEW, NUMBER, OTHER, expression, way_of
from steadygrad.rules.not_kept import not_held, unregistered
from steadygrad.rules.read_trunk import (
    body,
    crawls,
    drowned,
    escapes,
    exploding,
    feeding,
    lost,
    main_place,
    net_body,
    operation_of,
    rising,
    shut_by_design,
    slowest,
    taken_by,
    vanishing,
)
from steadygrad.rules.zero_gradients import shut
from tests.rules.made import bounced, fresh, one_batch, op, place, seen, stats, step, trunk, weight

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
DROWNED = one_batch(0.0, output_spread_after=1e-15)
SLOW, STALLED, LEARNS = one_batch(0.003), one_batch(0.0), one_batch(0.5)


def losing(decades: float, **more: Any) -> Trace:
    """A trunk whose loss makes the gradient and whose body loses so many decades."""
    return seen([op(0), op(1)], trunk(step(1, 7.0, "loss"), step(0, -decades)), **more)


def second(decades: float | None) -> SecondLook:
    return SecondLook(decades, False, 0, "", "", None, ())


def test_the_loss_is_no_part_of_what_the_model_loses() -> None:
    trace = losing(4.5)
    assert [one.cause for one in body(trace)] == [one.cause for one in net_body(trace)] == ["weight scale"]
    assert lost(trace) == 4.5
    assert body(seen()) == net_body(seen()) == () and lost(seen()) == 0.0
    assert operation_of(trace, body(trace)[0]) is trace.operations[0]
    assert operation_of(trace, step(None, 0.0)) is None


def test_a_gradient_of_zero_counts_as_the_steps_have_left_it() -> None:
    zero = losing(math.inf)
    assert lost(zero) == lost(zero, STALLED) == math.inf
    assert lost(zero, replace(STALLED, second=second(None))) == math.inf
    assert lost(zero, replace(STALLED, second=second(-2.0))) == 2.0
    assert lost(losing(4.5), replace(STALLED, second=second(-2.0))) == 4.5


def test_a_head_of_zeros_shuts_the_gradient_out_by_design_until_a_step_opens_it() -> None:
    head = replace(op(0), weight="head.weight")
    trace = replace(losing(math.inf), operations=(head, op(1)), parameters=(weight("head.weight", norm=0.0),))
    assert shut_by_design(trace) and lost(trace) == 0.0
    assert lost(trace, STALLED) == math.inf, "steps were taken, and did not open it"
    assert not shut_by_design(replace(trace, parameters=(weight("head.weight"),)))
    assert not shut_by_design(replace(trace, parameters=()))
    assert not shut_by_design(replace(trace, operations=(replace(head, kind="activation"), op(1))))
    assert not shut_by_design(replace(trace, trunk=trunk(step(0, -20.0))))
    assert not shut_by_design(seen())


def test_views_are_passed_on_the_way_to_what_feeds_an_operation() -> None:
    layers = [op(0), op(1, "view", "shape"), op(2, "flatten", "shape"), op(3)]
    trace = seen(layers)
    assert feeding(trace, layers[3]) is layers[0] and feeding(trace, layers[0]) is None
    assert feeding(trace, layers[2]) is layers[0]
    assert feeding(seen([op(0, "view", "shape"), op(1)]), op(1)) is None


def test_decades_are_summed_by_operation_and_by_expression() -> None:
    """In the order of the forward pass, though the trunk runs from the loss to the input."""
    road = trunk(step(2, -3.0), step(1, 1.0, location=place(1)), step(0, -1.0), step(None, -9.0, location=place(7)))
    trace = seen([op(0), op(1, "tanh", "activation"), op(2)], road)
    decades, steps = taken_by(trace, lambda operation: operation.kind == "linear")
    assert (decades, [one.operation for one in steps]) == (-4.0, [0, 2])
    assert [one.operation for one in main_place(road.steps[:3])] == [2]
    assert [one.operation for one in main_place([step(3, 2.0), step(2, -1.5), step(1, -1.5, location=place(3))])] == [
        1,
        2,
    ]
    assert [one.module for one in main_place([step(None, -1.0, module="a"), step(None, -2.0, module="b")])] == ["b"]
    unplaced = [step(0, -1.0, location=None, module="a"), step(None, -1.0, module="a")]
    assert [one.operation for one in main_place(unplaced)] == [None, 0]


def test_a_spread_escapes_that_grows_thirty_fold_off_the_floor() -> None:
    def grown(before: float, after: float | None) -> bool:
        return escapes(seen(output_spread=before), one_batch(0.0, output_spread_after=after))

    assert grown(1e-11, 3.1e-10) and not grown(1e-11, 3e-10)
    assert grown(1e-15, 3.1e-12) and not grown(1e-15, 3e-12)
    assert not grown(1e-11, None)
    assert not escapes(seen(output_spread=1e-11), None) and not escapes(seen(output_spread=None), STALLED)
    # The first ten steps say it, not the last of a hundred.
    assert not escapes(seen(output_spread=1e-11), one_batch(0.0, 100, early=one_batch(0.0, output_spread_after=1e-11)))


def test_a_spread_rises_that_is_greater_after_the_first_steps() -> None:
    assert rising(seen(output_spread=0.1), one_batch(0.0, output_spread_after=0.2))
    assert not rising(seen(output_spread=0.1), one_batch(0.0, output_spread_after=0.1))
    assert not rising(seen(output_spread=0.0), one_batch(0.0, output_spread_after=None))
    assert not rising(seen(), None) and not rising(seen(output_spread=None), STALLED)


def test_samples_drown_in_the_rounding_of_what_they_share() -> None:
    assert drowned(losing(0.0, output_spread=1.9e-14)) and not drowned(losing(99.0, output_spread=2e-14))
    assert drowned(losing(9.5, output_spread=None)) and not drowned(losing(9.4, output_spread=None))


def test_a_net_crawls_whose_slowest_matrix_moves_by_less_than_a_millionth() -> None:
    def crawling(*parameters: Parameter) -> bool:
        return crawls(seen(parameters=parameters))

    fast, slow = weight("a"), weight("b", update_ratio=9e-7)
    assert crawling(fast, slow) and not crawling(fast, weight("b", update_ratio=1e-6)) and not crawling()
    assert not crawling(fast, replace(slow, shape=(64,))) and not crawling(fast, replace(slow, optimized=False))
    assert not crawling(fast, replace(slow, update_ratio=None))
    words = slowest(
        seen(parameters=(fast, slow, weight("c", (64,), update_ratio=1e-9), weight("d", update_ratio=None)))
    )
    assert words.startswith("b moves by 9e-7") and slowest(seen()) == ""


@pytest.mark.parametrize(("decades", "trial", "expected"), [
    # Standing still, three decades are enough; four for one that is slow; without a step test five and a half.
    (2.9, STALLED, None),
    (3.0, STALLED, WARNING),
    (3.9, SLOW, None),
    (4.0, SLOW, WARNING),
    (5.4, None, None),
    (5.5, None, WARNING),
    (3.9, bounced(), None),
    (4.0, bounced(), WARNING),
    (99.0, LEARNS, None),
    (math.nan, STALLED, None),
    # The samples come further apart while the loss stands still: four again, but not after more than a hundred steps.
    (3.9, one_batch(0.0, output_spread_after=0.6), None),
    (4.0, one_batch(0.0, output_spread_after=0.6), WARNING),
    (3.9, one_batch(0.0, 100, output_spread_after=0.6, hundred=SLOW), WARNING),
    # Not even one batch is learned by heart in a hundred steps.
    (9.5, one_batch(0.0, 100), ERROR),
    (9.4, one_batch(0.0, 100), WARNING),
    (9.5, one_batch(0.0, 99), WARNING),
    (9.5, one_batch(0.03, 100), WARNING),
    (9.5, fresh(0.0, 100), WARNING),
])  # fmt: skip
def test_how_bad_a_loss_of_gradient_is_depends_on_what_the_steps_show(
    decades: float, trial: StepTest | None, expected: Severity | None
) -> None:
    assert vanishing(losing(decades), trial) is expected


@pytest.mark.parametrize(("decades", "trial", "trace", "expected"), [
    (5.5, DROWNED, {"output_spread": 1e-15}, ERROR),
    (5.4, DROWNED, {"output_spread": 1e-15}, WARNING),
    (5.5, one_batch(0.003, output_spread_after=3e-12), {"output_spread": 1e-15}, WARNING),
    (5.5, None, {"output_spread": 1e-15}, ERROR),
    (5.5, STALLED, {"parameters": (weight("a", update_ratio=1e-7),)}, ERROR),
    (5.5, STALLED, {"parameters": (weight("a"),)}, WARNING),
    (math.inf, STALLED, {}, ERROR),
    # A spread that grows fast saves the net, unless it stands still after more than a hundred steps.
    (5.5, one_batch(0.0, output_spread_after=1e-9), {"output_spread": 1e-15}, WARNING),
    (5.4, one_batch(0.0, output_spread_after=1e-9), {"output_spread": 1e-15}, None),
    (5.4, one_batch(0.0, 300, output_spread_after=1e-9, hundred=SLOW), {"output_spread": 1e-15}, WARNING),
    (5.4, one_batch(0.03, 300, output_spread_after=1e-9, hundred=SLOW), {"output_spread": 1e-15}, None),
])  # fmt: skip
def test_a_loss_of_gradient_is_hopeless_where_nothing_can_make_up_for_it(
    decades: float, trial: StepTest | None, trace: dict[str, Any], expected: Severity | None
) -> None:
    assert vanishing(losing(decades, **trace), trial) is expected


LATE = replace(LEARNS, hundred=replace(fresh(-0.05, before=1.2)))
"""It learns, but a hundred steps on fresh batches went by before its loss had come down."""


@pytest.mark.parametrize(("decades", "trial", "expected"), [
    (2.9, None, None),
    (3.0, None, ERROR),
    (3.0, STALLED, ERROR),
    (3.0, bounced(), ERROR),
    (3.0, SLOW, WARNING),
    (math.nan, STALLED, None),
    (7.9, LEARNS, None),
    (8.0, LEARNS, WARNING),
    (3.0, LATE, WARNING),
    (2.9, LATE, None),
])  # fmt: skip
def test_how_bad_a_growth_of_gradient_is(decades: float, trial: StepTest | None, expected: Severity | None) -> None:
    assert exploding(losing(-decades), trial) is expected


def test_a_net_that_learns_is_warned_where_a_weight_gets_what_has_grown() -> None:
    """In front of the model's steps the gradient is 1: some weight's has to be three decades above it."""

    def warned(*parameters: Parameter) -> Severity | None:
        return exploding(losing(-9.0, parameters=parameters), LEARNS)

    assert warned(weight("a", log10_gradient=3.0)) is warned() is WARNING
    assert warned(weight("a", log10_gradient=2.9)) is None
    assert warned(weight("a", log10_gradient=9.0, connected=False), weight("b")) is None
    assert warned(weight("a", log10_gradient=math.nan), weight("b")) is None
    assert warned(weight("a", log10_gradient=math.nan)) is WARNING


def sized(*sizes: float, parents: dict[int, tuple[int, ...]] | None = None) -> Trace:
    """Operations whose outputs have these sizes, each fed by the one before it."""
    layers = [op(at, output=stats(std=size)) for at, size in enumerate(sizes)]
    return seen([replace(one, parents=(parents or {}).get(one.index, one.parents)) for one in layers])


def test_numbers_are_made_large_by_the_call_that_grows_them_most() -> None:
    trace = sized(1.0, 2.0, 2000.0, 6000.0)
    assert grown_at(trace, trace.operations[3]).index == 2
    assert grown_at(trace, trace.operations[1]).index == 1, "only what lies on the way there counts"
    # Half a decade more than the call that was found: below that it stays the culprit.
    assert grown_at(sized(1.0, 10.0, 100.0), op(2)).index == 2
    assert grown_at(sized(1.0, 31.7, 317.0), op(2)).index == 1
    assert grown_at(sized(1.0, 31.5, 315.0), op(2)).index == 2
    exact = sized(1.0, 10**0.5, 10**0.5)
    assert grown_at(exact, exact.operations[2]).index == 1
    # Of two that grew them as much the first.
    assert grown_at(sized(1.0, 100.0, 10_000.0, 10_000.0), op(3)).index == 1


def test_a_growth_is_against_the_greatest_input() -> None:
    trace = sized(1.0, 1000.0, 1100.0, 1100.0, parents={2: (0, 1), 1: ()})
    assert grown_at(trace, trace.operations[3]).index == 3
    zeros = sized(0.0, 1.0, 1000.0, 1000.0, parents={2: (0, 1), 1: ()})
    assert grown_at(zeros, zeros.operations[3]).index == 2
    small = sized(1e-6, 0.5, 0.5)
    assert grown_at(small, small.operations[2]).index == 1


def test_a_size_is_the_greater_of_mean_and_deviation_and_not_known_where_none_was_measured() -> None:
    mean = seen([op(0, output=stats()), op(1, output=stats(mean=-1e6, std=1.0)), op(2, output=stats(std=1e6))])
    assert grown_at(mean, mean.operations[2]).index == 1
    beyond = [op(0, output=stats()), op(1, output=stats(std=math.inf, largest=1e30)), op(2, output=stats(std=1e30))]
    assert grown_at(seen(beyond), beyond[2]).index == 1, "squares overflow before the numbers do"
    for output in (None, stats(std=0.0), stats(std=math.inf, largest=math.inf)):
        assert (
            grown_at(
                seen([op(0, output=output), op(1, output=stats(std=1e9)), op(2, output=stats(std=1e9))]), op(2)
            ).index
            == 2
        )
        assert grown_at(seen([op(0, output=stats()), op(1, output=output), op(2, output=stats())]), op(2)).index == 2


def averaged(**more: Any) -> tuple[Operation, ...]:
    """``(out - y).pow(2).mean()``, and what comes after it."""
    return (op(0), op(1, "sub", "arithmetic"), op(2, "pow", "arithmetic"), op(3, more.get("name", "mean"), "other"))


def test_a_difference_that_is_made_positive_and_averaged_holds_outputs_against_targets() -> None:
    trace = seen(averaged())
    assert compares(trace, trace.operations[1]) and not compares(trace, trace.operations[0])
    assert compares(seen(), op(0, "mse_loss", "loss")) and not compares(seen(), op(0, "cross_entropy", "loss"))
    assert not compares(seen(averaged(name="relu")), op(1, "sub"))
    assert not compares(seen([op(0), op(1, "sub"), op(2, "relu"), op(3, "mean")]), op(1, "sub"))
    # The average is one of the last three operations.
    assert compares(seen([*averaged(), op(4, "mul"), op(5, "add")]), op(1, "sub"))
    assert not compares(seen([*averaged(), op(4, "mul"), op(5, "add"), op(6, "add")]), op(1, "sub"))
    apart = [op(0), op(1, "sub"), op(2, "pow"), op(3, "mean", parents=(0,)), op(4, "sum", parents=(2, 0))]
    assert compares(seen(apart), op(1, "sub"))
    assert not compares(seen(apart[:-1]), op(1, "sub"))


def made(shape: tuple[int, ...], variance: float, name: str = "a") -> Parameter:
    return weight(name, shape, norm=math.sqrt(variance * math.prod(shape)))


@pytest.mark.parametrize("variance", [1 / 300, 1 / 100, 2 / 100, 2 / 500, 1.0])
def test_weights_as_initialisers_draw_them_were_not_trained(variance: float) -> None:
    """A fan-in of 100, a fan-out of 400: torch's own, LeCun's, He's, Glorot's and N(0, 1), to four standard errors."""
    error = math.sqrt(2 / 40_000)
    assert as_made([made((400, 100), variance)])
    assert as_made([made((400, 100), variance * (1 + 3.9 * error))])
    assert as_made([made((400, 100), variance * (1 - 3.9 * error))])
    assert not as_made([made((400, 100), variance * (1 + 4.1 * error))])
    assert not as_made([made((400, 100), variance * (1 - 4.1 * error))])


def test_a_kernels_fans_count_its_places() -> None:
    """Of (out, in, 3, 3): fan-in 9 × in, fan-out 9 × out."""
    assert as_made([made((64, 32, 3, 3), 1 / (32 * 9))]) and as_made([made((64, 32, 3, 3), 2 / (9 * (32 + 64)))])
    assert not as_made([made((64, 32, 3, 3), 1 / 32)])


def test_what_cannot_show_it_says_nothing_and_one_trained_matrix_says_enough() -> None:
    drawn, trained = made((64, 64), 1 / 64), made((64, 64), 1 / 40)
    assert as_made([drawn]) and not as_made([trained]) and not as_made([drawn, trained]) and not as_made([])
    assert as_made([made((8, 8), 1 / 8)]) and not as_made([made((7, 9), 1 / 9)]), "64 elements tell"
    ones, bias = made((400,), 1.0, "norm.weight"), made((400,), 0.5, "fc.bias")
    assert as_made([ones]) and not as_made([bias]) and as_made([drawn, bias])
    assert as_made([replace(ones, norm=20 * (1 + 0.9e-4))]) and as_made([replace(ones, norm=20 * (1 - 0.9e-4))])
    assert not as_made([replace(ones, norm=20 * (1 + 1.1e-4))]) and not as_made([replace(ones, norm=20 * (1 - 1.1e-4))])


@pytest.mark.parametrize(("name", "text", "way"), [
    ("item", "x.item()", NUMBER),
    ("argmax", "x.argmax()", INDEX),
    ("gt", "x > 0", COMPARED),
    ("strange", "strange(x)", OTHER),
    ("tensor", "torch.tensor(x)", NEW),
])  # fmt: skip
def test_a_way_to_lose_the_path_goes_by_its_name(name: str, text: str, way: object) -> None:
    assert way_of(op(0, name, location=quoting(text), output_shape=())) is way


def test_an_integer_of_many_numbers_is_a_cast_and_a_new_tensor_of_a_mask_has_its_own_advice() -> None:
    assert way_of(op(0, "int", output_shape=())) is NUMBER and way_of(op(0, "int", output_shape=(3,))) is CAST
    assert way_of(op(0, "float", output_shape=(3,))) is NUMBER
    masked = way_of(op(0, "tensor", location=quoting("torch.tensor(p > 0.5)")))
    assert (masked.what, masked.instead) == (NEW.what, COMPARED.instead)
    assert way_of(op(0, "tensor", location=None)) is NEW
    assert way_of(op(0, "item", location=quoting("(x > 0).item()"))) is NUMBER


def test_an_expression_is_quoted_up_to_48_characters() -> None:
    def quoted(text: str) -> str:
        return expression(op(0, "detach", location=quoting(text)))

    assert quoted("x\n   .detach()") == "`x .detach()` at 3:1" and quoted("") == "`detach` at 3:1"
    assert quoted("x" * 48) == f"`{'x' * 48}` at 3:1"
    assert quoted("x" * 49) == f"`{'x' * 47}…` at 3:1"
    assert expression(op(0, "detach", location=None)) == "detach"


def quoting(text: str) -> Location:
    lines = text.split("\n")
    return Location("net.py", 3, 1, 2 + len(lines), len(lines[-1]) + 1, text)


def zeros(*parameters: Parameter, trial: StepTest | None = STALLED, trace: Trace | None = None) -> list[Finding]:
    trace = trace or losing(2.0)
    total = sum(math.prod(one.shape) for one in parameters)
    return list(shut(trace, trial, parameters, total, major=0.2, cures=(CureRef("a look"),)))


def zero(name: str, size: int = 20, **more: Any) -> Parameter:
    return weight(name, (size, 1), **{"log10_gradient": -math.inf, "opened": False, **more})


REST = weight("rest", (80, 1))


def test_gradients_of_zero_that_stay_so_are_a_fault_from_a_fifth_of_the_model_on() -> None:
    (found,) = zeros(zero("a"), REST)
    assert (found.severity, found.count, found.module) == (ERROR, 1, "a") and "also after 10 steps" in found.message
    assert "20%" in found.message
    assert zeros(zero("a", 19), weight("rest", (81, 1))) == [] == zeros(REST)
    assert [one.severity for one in zeros(zero("a"), REST, trial=SLOW)] == [WARNING]
    (unknown,) = zeros(zero("a"), REST, trial=None)
    assert unknown.severity is WARNING and "also after 0 steps" in unknown.message
    assert zeros(zero("a"), REST, trial=LEARNS) == []
    assert zeros(zero("a"), REST, trace=losing(math.inf)) == [], "the rule of what cuts the trunk off speaks"
    assert zeros(zero("a", connected=False), REST) == [], "no path leads there"
    assert zeros(zero("a", cut=0), REST) == [], "a cut is told of as such"
    assert zeros(zero("a", opened=None), REST) == [], "nobody looked again"


def test_gradients_of_zero_that_a_step_opens_are_by_design() -> None:
    (found,) = zeros(zero("a", opened=True), REST)
    assert (found.severity, found.module, found.count) == (INFO, "a", 1)
    assert [one.count for one in zeros(zero("a", opened=True, cut=0), zero("b", opened=True), REST)] == [2]
    mixed = zeros(zero("a", opened=True), zero("b"), weight("rest", (60, 1)))
    assert [(one.severity, one.module) for one in mixed] == [(ERROR, "b")], "one that stays shut is what is told"


def test_where_the_trunk_ends_in_a_flat_call_and_the_rest_learns_that_call_is_marked() -> None:
    trace = losing(math.inf)
    (found,) = zeros(zero("a"), REST, trial=LEARNS, trace=trace)
    assert (found.severity, found.location, found.module) == (WARNING, place(1), "m0")
    assert found.label == "its derivative is zero everywhere"
    assert zeros(zero("a", 19), weight("rest", (81, 1)), trial=LEARNS, trace=trace) == []


def test_what_no_optimizer_holds_is_an_error_from_a_fifth_on_unless_the_rest_learns() -> None:
    def held(*parameters: Parameter, trial: StepTest | None = STALLED) -> list[Severity]:
        return [one.severity for one in not_held(seen(), trial, parameters, major=0.2)]

    missed, rest = weight("a", (20, 1), optimized=False), weight("b", (80, 1))
    assert held(missed, rest) == held(missed, rest, trial=SLOW) == [ERROR] and held(rest) == []
    assert held(missed, rest, trial=LEARNS) == held(missed, rest, trial=None) == [WARNING]
    assert held(missed, trial=None) == [ERROR], "it holds none of them"
    assert held(replace(missed, shape=(19, 1)), weight("b", (81, 1))) == [INFO]
    assert held(replace(missed, connected=False), rest) == [] and held(replace(missed, optimized=None), rest) == []
    labels = [next(iter(not_held(seen(), None, given, major=0.2))).label for given in ([missed], [missed, rest])]
    assert labels == ["it holds other tensors than the model's", "these are not among what it holds"]


def stray(size: int = 50, **more: Any) -> Parameter:
    return weight("stray", **{"shape": (size, 1), "registered": False, "location": place(5), **more})


def strays(*parameters: Parameter, trial: StepTest | None = STALLED, cuts: tuple[Operation, ...] = ()) -> list[Finding]:
    return list(unregistered(seen(parameters=parameters, cuts=cuts), trial, major=0.2))


def test_weights_in_a_plain_list_are_told_where_the_net_does_not_learn() -> None:
    rest = weight("rest", (50, 1))
    (found,) = strays(stray(), stray(), rest)
    assert (found.severity, found.location, found.count) == (ERROR, place(5), 2)
    assert [one.severity for one in strays(stray(), rest, trial=SLOW)] == [WARNING]
    assert strays(stray(), rest, trial=LEARNS) == [] == strays(rest)
    # Without steps an error from half of what gets a gradient on.
    assert [one.severity for one in strays(stray(), rest, trial=None)] == [ERROR]
    assert [one.severity for one in strays(stray(49), weight("rest", (51, 1)), trial=None)] == [WARNING]
    shut_off = weight("shut", (50, 1), log10_gradient=-math.inf)
    assert [one.severity for one in strays(stray(40), rest, shut_off, trial=None)] == [WARNING]
    assert [one.severity for one in strays(stray(), rest, shut_off, replace(rest, connected=False), trial=None)] == [
        ERROR
    ]
    assert strays(stray(shape=(50,)), rest) == [], "a vector may be a buffer of one's own"
    (bare,) = strays(stray(location=None), rest)
    assert bare.location is None and bare.label == ""
    assert strays(stray(location=None), stray(), rest)[0].location == place(5)


def test_weights_that_each_pass_makes_again_are_told_even_where_the_rest_learns() -> None:
    def again(size: int, trial: StepTest | None) -> list[tuple[Severity, int]]:
        found = strays(stray(size, made_in_pass=True), weight("rest", (100 - size, 1)), trial=trial)
        return [(one.severity, one.count) for one in found]

    assert again(20, STALLED) == [(ERROR, 1)] and again(20, SLOW) == [(WARNING, 1)]
    assert again(20, LEARNS) == [(WARNING, 1)] and again(19, LEARNS) == [(INFO, 1)]
    assert again(50, None) == [(ERROR, 1)] and again(49, None) == [(WARNING, 1)]


def test_what_a_cut_explains_is_not_told_again() -> None:
    cut = op(0, "detach", location=place(5))
    lost_one = weight("lost", cut=0)
    assert strays(stray(), lost_one, cuts=(cut,)) == []
    assert strays(stray(location=None), lost_one, cuts=(cut,)) == []
    assert [one.location for one in strays(stray(location=place(6)), lost_one, cuts=(cut,))] == [place(6)]
