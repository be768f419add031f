"""Records of a few lines each, made by hand, for tests of what a rule says of one number."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from steadygrad.record import Location, Operation, OutputStatistics, Parameter, Saturation, Step, StepTest, Trace, Trunk
from steadygrad.record.steptest import Unseen


def place(line: int) -> Location:
    """An expression of its own."""
    return Location("net.py", line, 1, line, 9, f"layer{line}(x)")


def op(index: int, name: str = "linear", kind: str = "linear", **more: Any) -> Operation:
    """An operation on 32 samples, each at a line of its own, fed by the one before it."""
    values: dict[str, Any] = {
        "index": index,
        "name": name,
        "kind": kind,
        "module": f"m{index}",
        "module_type": "Module",
        "location": place(index + 1),
        "call": None,
        "construction": None,
        "output_shape": (32, 64),
        "dtype": "float32",
        "parents": (index - 1,) if index else (),
    }
    return Operation(**{**values, **more})


def stats(spread: float | None = 0.5, *, mean: float = 0.0, std: float = 1.0, largest: float = 3.0) -> OutputStatistics:
    return OutputStatistics(mean, std, spread, largest)


def saturation(share: float, *, rms: float = 0.5, greatest: float = 1.0, dead: float = 0.0) -> Saturation:
    return Saturation(rms, greatest, share, dead, 0.0, 1.0)


def weight(name: str, shape: tuple[int, ...] = (64, 64), **more: Any) -> Parameter:
    """A matrix that learns: connected, held by the optimizer, moved by a thousandth of its size a step."""
    values: dict[str, Any] = {
        "name": name,
        "shape": shape,
        "requires_grad": True,
        "connected": True,
        "used": True,
        "log10_gradient": -1.0,
        "norm": 8.0,
        "update_ratio": 1e-3,
        "optimized": True,
    }
    return Parameter(**{**values, **more})


def step(operation: int | None, decades: float, cause: str = "weight scale", **more: Any) -> Step:
    values: dict[str, Any] = {"path": "trunk", "module": f"m{operation}", "log10_gradient": 0.0}
    if operation is not None:
        values["location"] = place(operation + 1)
    return Step(operation, cause, decades=decades, **{**values, **more})


def trunk(*steps: Step, at_input: bool = True) -> Trunk:
    return Trunk("input 0", steps, 0.0, at_input)


def seen(operations: Sequence[Operation] = (), road: Trunk | None = None, **more: Any) -> Trace:
    """A trace of 32 samples of N(0, 1) that keeps them apart."""
    values: dict[str, Any] = {
        "operations": tuple(operations),
        "trunk": road,
        "parameters": (),
        "loss": 1.0,
        "batch_size": 32,
        "training": True,
        "dtype": "float32",
        "input_mean": 0.0,
        "input_std": 1.0,
        "output_spread": 0.5,
        "smallest_normal": 1.2e-38,
        "underflow_share": 0.0,
    }
    return Trace(**{**values, **more})


def losses(fall: float, steps: int, rise: float = 0.0) -> tuple[float, ...]:
    """Losses whose relative fall is this very float; ``rise``: of the loss in the first step, relative to the first loss."""
    for first in map(float, itertools.count(1)):
        last, top = first - fall * first, first + rise * first
        if (first - last) / first == fall and (top - first) / first == rise:
            between = max(first, last) if rise == 0.0 else first
            return (first, *([between] * (steps - 1 - (rise > 0))), *([top] * (rise > 0)), last)
    raise AssertionError


def one_batch(fall: float, steps: int = 10, *, rise: float = 0.0, **more: Any) -> StepTest:
    """Steps on one batch that bring the loss down by this share of it."""
    values: dict[str, Any] = {"predicted_first": 0.01, "output_spread_after": 0.5}
    return StepTest(steps, "SGD, learning rate 0.1", losses(fall, steps, rise), **{**values, **more})


def fresh(learned: float, steps: int = 100, *, before: float | None = None, **more: Any) -> StepTest:
    """Steps on fresh batches after which so much is learned from the input; the loss of the mean answer is where it began.

    ``before``: where it began, as times of the loss of the mean answer.
    """
    for constant in map(float, itertools.count(1)):
        after = constant - learned * constant
        if (constant - after) / constant == learned:
            break
    start = constant * (1.0 if before is None else before)
    unseen = Unseen(start, after, constant, None, max(start, after))
    values: dict[str, Any] = {"predicted_first": 0.01, "output_spread_after": 0.5, "unseen": unseen}
    return StepTest(steps, "SGD, learning rate 0.1", (start,) * steps + (after,), **{**values, **more})


def diverged(steps: int = 10) -> StepTest:
    return StepTest(steps, "SGD, learning rate 0.1", (1.0, math.inf), 0.01, None)


def bounced() -> StepTest:
    """A loss that a step more than doubles, and that ends where it began."""
    return one_batch(0.0, rise=1.5)


def below(value: float) -> float:
    """The next float towards zero."""
    return math.nextafter(value, 0.0)


def above(value: float) -> float:
    return math.nextafter(value, math.inf)
