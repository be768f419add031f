"""After the steps of a step test: what has opened, what has died, and where.

One plain pass shows whether any gradient is left. The copy is probed once more where none is, or where one was exactly zero
before the steps, or a router picks its experts. Judges nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from steadygrad.probe.backward import put_back
from steadygrad.probe.run_probe import probe
from steadygrad.record import Parameter, StepTest, Trace
from steadygrad.record.steptest import Died, SecondLook
from steadygrad.steptest.plain_step import all_zero, gradients_of
from steadygrad.steptest.run_steptest import Stepped
from steadygrad.subject.with_copy import SubjectCopy

WORTH_TELLING = 0.1
"""Rise of the share of dead units under which a layer is not listed."""


def look_again(run: SubjectCopy, trace: Trace, stepped: Stepped) -> tuple[Trace, StepTest]:
    """The trace with ``opened`` filled in where a gradient was exactly zero, and the step test with its second look."""
    if not _shut(trace) and not trace.routings and _alive(run):
        alive = SecondLook(None, False, stepped.silent, "", "", None, ())
        return trace, replace(stepped.record, second=alive)
    later = probe(run.model, run.objective, run.batch, seed=run.seed, loss=run.copied.loss)
    now = {parameter.name: parameter.log10_gradient for parameter in later.parameters}
    parameters = tuple(
        replace(one, opened=now.get(one.name, -math.inf) > -math.inf) if _is_shut(one) else one
        for one in trace.parameters
    )
    steps = later.trunk.steps if later.trunk is not None else ()
    gone = any(one.log10_gradient > -math.inf for one in trace.parameters) and all(
        one.log10_gradient == -math.inf for one in later.parameters
    )
    end = next(
        (later.operations[one.operation] for one in steps if one.decades == -math.inf and one.operation is not None),
        None,
    )
    second = SecondLook(
        decades=None if later.trunk is None else sum(step.decades for step in steps if step.cause != "loss"),
        gone=gone,
        silent_steps=stepped.silent,
        end_name=end.name if end is not None else "",
        end_module=end.module if end is not None else "",
        end_location=end.location if end is not None else None,
        died=tuple(_died(trace, later)),
        routings=later.routings,
    )
    return replace(trace, parameters=parameters), replace(stepped.record, second=second)


def _alive(run: SubjectCopy) -> bool:
    """Return whether some gradient is not exactly zero after the steps."""
    outside: list[tuple[Tensor, Tensor | None]] = []
    try:
        gradients_of(run.copied, run.objective, run.batch, run.seed, outside)
        return not all_zero(run.copied)
    finally:
        put_back(outside)


def _shut(trace: Trace) -> bool:
    """Return whether a gradient was exactly zero before the steps, a parameter's or on the trunk."""
    on_trunk = trace.trunk is not None and any(step.decades == -math.inf for step in trace.trunk.steps)
    return on_trunk or any(_is_shut(one) for one in trace.parameters)


def _is_shut(parameter: Parameter) -> bool:
    return parameter.requires_grad and parameter.connected and parameter.log10_gradient == -math.inf


def _died(trace: Trace, later: Trace) -> Iterator[Died]:
    """Compare operations that are the same in both."""
    for before, after in zip(trace.operations, later.operations, strict=False):
        if before.name != after.name or before.saturation is None or after.saturation is None:
            continue
        if after.saturation.dead_share - before.saturation.dead_share >= WORTH_TELLING:
            yield Died(
                after.name,
                after.module,
                after.location,
                before.saturation.dead_share,
                after.saturation.dead_share,
            )
