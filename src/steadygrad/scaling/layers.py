"""One member of a family of growing depth, measured: the stream, the gradient along the trunk, and the updates of all layers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steadygrad.probe.run_probe import probe_copy
from steadygrad.record import Location, Operation, Trace
from steadygrad.rules import thresholds
from steadygrad.scaling.branches import branch_ends
from steadygrad.scaling.member import measure
from steadygrad.scaling.uses import Key
from steadygrad.subject.subject import Subject
from steadygrad.subject.with_copy import with_copy

Pattern = tuple[str, tuple[int, ...]]
"""Names of weights with * for the number of the layer, and their shape."""

RESOLVED = 10 * thresholds.ROUNDING
"""A spread below this is more of float32's rounding than of the samples."""


@dataclass(frozen=True)
class Deep:
    """One member; logarithms are to base 10."""

    shapes: Mapping[str, tuple[int, ...]]
    """By weight."""
    updates: Mapping[str, float]
    """By weight: the change of its output by its own first update."""
    falls: Mapping[str, float]
    """By weight: the fall of the loss by its own first update, to first order."""
    locations: Mapping[str, Location | None]
    ends: frozenset[str]
    """Weights at the end of a branch."""
    trace: Trace


def measure_deep(subject: Subject, steps: int) -> Deep:
    """Take the steps on a copy, and look at another with the probe."""
    member = measure(subject, steps)
    with with_copy(subject, optimizer=False) as run:
        trace = probe_copy(run)
        shapes = {name: tuple(weight.shape) for name, weight in run.copied.named_parameters()}
    modules: dict[str, tuple[str, ...]] = {}
    for name in shapes:
        module = name.rpartition(".")[0]
        modules[module] = (*modules.get(module, ()), name)
    ends = {name for _, names in branch_ends(member.operations, modules) for name in names}
    return Deep(
        shapes,
        {key[0]: use.update for key, use in member.uses.items()},
        _summed(member.falls),
        {key[0]: use.location for key, use in member.uses.items()},
        frozenset(ends),
        trace,
    )


def _summed(falls: Mapping[Key, float]) -> dict[str, float]:
    found: Counter[str] = Counter()
    for (name, _), fall in falls.items():
        found[name] += fall  # type: ignore[assignment]
    return dict(found)


def repeated(shallow: Deep, deep: Deep) -> list[Pattern]:
    """The patterns that have more weights in the deeper one.

    The number of the layer is that one in a name for which another gives a name of the shallow model.
    """
    found: dict[Pattern, None] = {}
    for name in deep.shapes.keys() - shallow.shapes.keys():
        parts = name.split(".")
        for at, part in enumerate(parts):
            pattern = ".".join([*parts[:at], "*", *parts[at + 1 :]])
            if part.isdecimal() and any(matches(pattern, other) for other in shallow.shapes):
                found[pattern, deep.shapes[name]] = None
                break
    more = [one for one in found if len(of_pattern(deep, one)) > len(of_pattern(shallow, one))]
    order = {name: index for index, name in enumerate(deep.shapes)}
    return sorted(more, key=lambda one: min(order[name] for name in of_pattern(deep, one)))


def of_pattern(member: Deep, pattern: Pattern) -> tuple[str, ...]:
    """The weights of a pattern."""
    return tuple(name for name, shape in member.shapes.items() if shape == pattern[1] and matches(pattern[0], name))


def matches(pattern: str, name: str) -> bool:
    """Return whether the name is the pattern with a number for *."""
    before, _, after = pattern.partition("*")
    return name.startswith(before) and name.endswith(after) and name[len(before) : len(name) - len(after)].isdecimal()


def mean_update(member: Deep, names: Sequence[str]) -> float:
    """log10 of the geometric mean of their updates."""
    known = [_log(member.updates[name]) for name in names if name in member.updates]
    known = [one for one in known if math.isfinite(one)]
    return sum(known) / len(known) if known else math.nan


@dataclass(frozen=True)
class Stream:
    """Along the layers; logarithms to base 10, NaN where the trunk does not show it."""

    activations: float = math.nan
    """Behind the last layer ÷ before the first."""
    gradient: float = math.nan
    """Behind the first layer ÷ in front of the last, on its way back."""
    spread: float = math.nan
    """Behind the last layer."""
    change: float = math.nan
    """Of what is behind the last layer, by the first update of all layers together, along the gradient there."""


def stream(member: Deep, names: Iterable[str]) -> Stream:
    """Measure along the layers that have these weights."""
    trace, among = member.trace, frozenset(names)
    used = [operation.index for operation in trace.operations if operation.weight in among]
    if trace.trunk is None or not used:
        return Stream()
    # From the loss to the input; each step is known by the operation in front of it.
    points = [(step.operation, step.log10_gradient) for step in trace.trunk.steps if step.operation is not None]
    last = [point for point in points if point[0] >= max(used)]
    first = [point for point in points if point[0] <= min(used)]
    if not last or not first:
        return Stream()
    (end, in_front), (start, behind) = last[-1], first[0]
    output = trace.operations[end].output
    return Stream(
        _size(trace.operations[end]) - _size(trace.operations[start]),
        behind - in_front,
        _log(output.spread or 0.0) if output is not None and (output.spread or 0.0) > RESOLVED else math.nan,
        _log(abs(sum(member.falls.get(name, 0.0) for name in among))) - in_front,
    )


def _size(operation: Operation) -> float:
    if operation.output is None:
        return math.nan
    return _log(math.hypot(operation.output.mean, operation.output.std))


def _log(value: float) -> float:
    return math.log10(value) if value > 0 else math.nan
