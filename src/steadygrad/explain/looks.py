"""The times at which the guard looks: the first step, by the clock within a share of the run's time, and some alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from steadygrad._check import Report
from steadygrad.detect.looked import Course, judge_look
from steadygrad.detect.symptoms import Symptom
from steadygrad.explain.batch_rows import RowsAtFault, rows_at_fault
from steadygrad.explain.capture import Capture, Given
from steadygrad.explain.over_looks import seen_in
from steadygrad.explain.replay import look
from steadygrad.record import CheckRecord, Location, Look, Operation
from steadygrad.record.rows import Columns
from steadygrad.record.trace import Trace
from steadygrad.rules.read_steptest import left_open

LOOKS_ON_ALARM = 20
"""Looks that alarms may ask for in one run: further alarms of the same run seldom show more."""
NEVER = 2**62
"""A step that no run comes to."""
INPUTS_KEPT = 50
OUTGROWN = 10.0
"""Times its usual size that an operation's output or a model's input must be to be a sign. Between two looks at healthy runs
outputs grow by at most 4 times."""


@dataclass(frozen=True)
class Grown:
    """The first operation of the forward pass whose output is far larger than at the look before."""

    factor: float
    name: str
    parameter: str
    """The weight that it multiplies by, or that stands in front of it."""
    location: Location | None


@dataclass
class _Root:
    """One model: what it was given, and what its healthy steps look like."""

    capture: Capture
    holder: int
    """The optimizer that holds most of its parameters."""
    prefix: str
    """The prefix of its parameters' names in the guard's rows, which its own names lack."""
    inputs: list[float] = field(default_factory=list)
    """Norms of the inputs of some steps."""
    usual: dict[int, float] = field(default_factory=dict)
    """By operation: root mean square of its output at the last look by the clock."""
    course: Course = field(default_factory=Course)
    trace: Trace | None = None
    """Of the last look by the clock, until it is compared with those before."""


class Looks:
    """The captures of the models' inputs, and the looks that were made of them. ``every``: steps between two, 0 for none."""

    def __init__(
        self, roots: Sequence[nn.Module], every: int, holders: Sequence[int], prefixes: Sequence[str] = ()
    ) -> None:
        self.every = every
        self.made: list[Look] = []
        self.first: CheckRecord | None = None
        """A check of the first step, made by whoever could: it stands for the look that is due then."""
        self.cut: Operation | None = None
        """The keeper of the gradient of the first step from the model's output, where there is one."""
        self._roots = [
            _Root(Capture(root, replays=every > 0), holder, prefix)
            for root, holder, prefix in zip(roots, holders, prefixes or [""] * len(roots), strict=True)
        ]
        self._on_alarm = 0

    def given(self) -> list[Given]:
        """The inputs and output gradients of the models at the step at hand."""
        return [one.capture.given for one in self._roots if one.capture.given is not None]

    def next_for(self, index: int, step: int) -> int:
        """Return the next step of this optimizer that gets a look, whatever it shows."""
        if not self.every or not any(one.holder == index for one in self._roots):
            return NEVER
        return 1 if step == 0 else (step // self.every + 1) * self.every

    def arm(self, soon: bool) -> None:
        """Have what the models are given kept, where the next step of some optimizer is read."""
        for one in self._roots:
            if soon and not one.capture.armed:
                one.capture.arm()
            elif one.capture.armed and not soon:
                one.capture.rest()

    def captures(self, index: int) -> list[Capture]:
        """Return the captures of the models that this optimizer holds most of: they keep inputs until its step was read."""
        return [one.capture for one in self._roots if one.holder == index]

    def note_inputs(self, index: int) -> None:
        """Remember how large the inputs of a healthy step are. Waits for a device where they lie on one."""
        for one in self._roots:
            given = one.capture.given
            if one.holder == index and given is not None:
                norm = given.input_norm()
                if np.isfinite(norm) and norm > 0:
                    one.inputs.append(norm)
                    del one.inputs[:-INPUTS_KEPT]

    def input_growth(self, without: Sequence[int] = ()) -> float:
        """Return how many times its usual norm the input of the step at hand has, the greatest of the models; NaN if unknown.

        ``without``: samples that are left out.
        """
        found = [np.nan]
        for one in self._roots:
            given = one.capture.given
            if given is not None and len(one.inputs) >= 3:
                found.append(given.input_norm(without) / float(np.median(one.inputs)))
        return float(np.fmax.reduce(found))

    def ask_for_spread(self) -> None:
        """Measure at the next forward pass whether the outputs of the samples differ."""
        for one in self._roots:
            one.capture.measures_spread = True

    def spread(self) -> float | None:
        """The greatest of what was measured since it was asked for; None where nothing was."""
        found = [one.capture.spread for one in self._roots if one.capture.spread is not None]
        return max(found) if found else None

    def prefix(self, index: int) -> str:
        """Return the prefix of the guard's names for the model that is looked at with the steps of this optimizer."""
        return self._of(index).prefix

    def by_the_clock(self, index: int, step: int, norm: float, scale: float = 1.0) -> Look:
        """The look that is due. ``norm``: the total gradient norm of the step, without the loss ``scale``."""
        root = self._of(index)
        report: CheckRecord | None
        if self.first is not None:
            found, report, self.first = of_check(self.first, step), self.first, None
        else:
            found, report = look(root.capture.root, root.capture.given, step=step, norm=norm, cut=self.cut, scale=scale)
        self.made.append(found)
        if report is not None:
            root.usual, root.trace = sizes_of(report.trace), report.trace
        return found

    def over_looks(self, index: int, step: int, columns: Columns) -> list[Symptom]:
        """Judge what the look that was just made shows beside those before it."""
        root = self._of(index)
        trace, root.trace = root.trace, None
        return [] if trace is None else judge_look(root.course, step, seen_in(trace), columns, prefix=root.prefix)

    def on_alarm(
        self, index: int, step: int, alarm: int, scale: float = 1.0
    ) -> tuple[Look, Report | None, Grown | None] | None:
        """Look at the step that an alarm is about, and at what has grown since the last look; None: no look is left."""
        if not self.every or self._on_alarm >= LOOKS_ON_ALARM:
            return None
        self._on_alarm += 1
        root = self._of(index)
        found, report = look(root.capture.root, root.capture.given, step=step, alarm=alarm, scale=scale)
        self.made.append(found)
        grown = None if report is None else first_grown(report.trace, root.usual)
        return found, report, grown

    def rows(self, index: int, usual: float) -> RowsAtFault | None:
        """The samples of the batch at hand without which the gradient's norm is ``usual``."""
        root = self._of(index)
        if not self.every or root.capture.given is None:
            return None
        return rows_at_fault(root.capture.root, root.capture.given, usual)

    def remove(self) -> None:
        """Take the models' hooks away."""
        for one in self._roots:
            one.capture.remove()

    def _of(self, index: int) -> _Root:
        return next((one for one in self._roots if one.holder == index), self._roots[0])


def of_check(record: CheckRecord, step: int) -> Look:
    """Turn a check of the coming step into a look."""
    trial, trunk = record.trial, record.trace.trunk
    return Look(
        step,
        str(record.verdict),
        record.findings,
        record.cost.total,
        None if trunk is None else trunk.decades,
        steps=0 if trial is None else trial.steps,
        fall=None if trial is None else trial.fall,
        settled=trial is None or not left_open(trial),
    )


def holder_of(root: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """The optimizer that holds most of a model's parameters."""
    own = {id(p) for p in root.parameters()}
    held = [sum(id(p) in own for group in one.param_groups for p in group["params"]) for one in optimizers]
    return int(np.argmax(held))


def sizes_of(trace: Trace) -> dict[int, float]:
    """Root mean square of each operation's output."""
    found = {}
    for one in trace.operations:
        if one.output is not None:
            found[one.index] = float(np.hypot(one.output.mean, one.output.std))
    return found


def first_grown(trace: Trace, usual: dict[int, float]) -> Grown | None:
    """The first operation whose output is ``OUTGROWN`` times its usual size, while the inputs of the model are not."""
    now = sizes_of(trace)
    weight = ""
    for one in sorted(trace.operations, key=lambda operation: operation.index):
        weight = one.weight or weight
        before, size = usual.get(one.index), now.get(one.index)
        # What has no place in the user's code is the replay's own.
        if before is None or size is None or not before > 0 or one.location is None:
            continue
        if not size <= OUTGROWN * before:
            return Grown(size / before, one.name, weight, one.location)
    return None
