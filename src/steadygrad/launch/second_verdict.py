"""The verdict of a run's own first steps: whether anything is learned from the input, as ``check`` says it of fresh batches.

Every batch of a ``DataLoader`` is one that no step was taken on before its own, so the run itself is the step test. After a
few steps, and after a hundred, the losses of some batches are held against what they were if every sample got the mean answer;
where hardly anything was learned, once more after two hundred and three hundred. Nothing is run but those losses; nothing is
waited for but them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from statistics import fmean

import torch
from torch import Tensor, nn

from steadygrad import rules
from steadygrad.copies.randomness import same_randomness
from steadygrad.copies.unheard import unheard
from steadygrad.errors import SteadygradError, TrainingStopped
from steadygrad.launch.first_batch import FirstBatch
from steadygrad.probe.run_probe import output_spread, scalar
from steadygrad.record import CheckRecord, Finding, Severity, StepTest
from steadygrad.record.steptest import Unseen
from steadygrad.rules import thresholds
from steadygrad.rules.plateau import ENOUGH, LASTING, LONGER, hardly_learns, unsettled
from steadygrad.rules.read_steptest import informed_fall
from steadygrad.settings import Settings
from steadygrad.watch import calls

FEWEST, MOST, SAMPLES = 4, 16, 128
"""Batches that are judged on: at least and at most, and samples in them that are enough."""
EARLY, STEPS, AGAIN, LAST = thresholds.STEPS, thresholds.MOST_STEPS, 200, LONGER - FEWEST
"""Steps since the learning rate last rose, so that no warm-up is taken for a net that does not learn, after which there is a
look. What the first shows as an error is reported after a hundred, if it is one still; other errors after two hundred; and after
three hundred what has hardly learned by then."""
RISES = 1.01


class Mean:
    """The mean answer of all batches so far."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def of(self, output: Tensor) -> Tensor:
        together = output.double().sum(0, keepdim=True)
        self._sum = together if self._sum is None or self._sum.shape != together.shape else self._sum + together
        self._count = len(output) if self._sum is together else self._count + len(output)
        return (self._sum / self._count).to(output.dtype)


class Answered:
    """One batch: its loss, and what it were if every sample got the mean answer."""

    def __init__(self, first: FirstBatch, mean: Mean) -> None:
        """Raise ``SteadygradError`` where the loss cannot be replayed, or has no targets of its own."""
        _, replay = first.batch_and_loss()
        output, loss = first.output, first.loss
        if replay is None or not isinstance(output, Tensor) or not isinstance(loss, Tensor) or not replay.targets:
            raise SteadygradError("the loss holds no output of one tensor against targets")
        self.samples = len(replay.targets[0])
        if not output.is_floating_point() or not output.dim() or not self.samples or len(output) % self.samples:
            raise SteadygradError("the output has no rows for each sample")
        with torch.no_grad(), same_randomness(), unheard(), calls.paused():
            answer = mean.of(output.detach()).expand(output.shape).clone()
            self.loss = float(loss.detach())
            self.constant = float(scalar(replay(answer, tuple(replay.targets))))
            self.spread = output_spread(output.detach(), self.samples)


class SecondVerdict:
    """Waits until so many steps have been taken, and judges. ``tell`` is given what is found, once. Raises nothing but
    ``TrainingStopped``, where the guard was asked to stop.

    ``record``: the check of the first step; ``at_first``: that step's loss, and what it was without the input.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        record: CheckRecord,
        at_first: Answered,
        tell: Callable[[list[Finding]], None],
    ) -> None:
        self._model, self._optimizer, self._record = model, optimizer, record
        self._at_first, self._tell = at_first, tell
        self._steps = 0
        self._greatest_rate = 0.0
        self._first: FirstBatch | None = None
        self._mean = Mean()
        self._seen: list[Answered] = []
        self._wait = EARLY
        self._lasting: frozenset[str] = frozenset()
        """Codes of what the first look found to be errors."""
        self._hundred: StepTest | None = None
        self._found: list[Finding] = []
        self.done = False

    def backward(self, loss: Tensor) -> None:
        """Note the scalar that the program goes backward from."""
        if self._first is not None:
            self._first.backward(loss)

    def before_step(self) -> None:
        """Note that the optimizer is about to take a step."""
        self._steps += 1
        rate = max((float(group["lr"]) for group in self._optimizer.param_groups if "lr" in group), default=0.0)
        if rate > RISES * self._greatest_rate:
            self._greatest_rate, self._steps = rate, 0
        try:
            self._look()
        except TrainingStopped:
            raise
        except Exception:
            # What cannot be compared is not judged; a program is never ended by ours.
            self._end()

    def _look(self) -> None:
        if self._steps < self._wait:
            return
        if self._first is not None:
            self._first.leave()
            if self._first.seen:
                self._seen.append(Answered(self._first, self._mean))
            self._first.forget()
            together = sum(one.samples for one in self._seen)
            if len(self._seen) >= MOST or (len(self._seen) >= FEWEST and together >= SAMPLES):
                self._judge()
                return
        self._first = FirstBatch(self._model)

    def _judge(self) -> None:
        trial = self._trial()
        hardly = math.isfinite(trial.fall) and (self._wait == EARLY or hardly_learns(trial))
        found = self._new(rules.run(self._record.trace, trial, Settings())) if hardly else []
        errors = {one.code for one in found if one.severity is Severity.ERROR}
        if self._wait == EARLY:
            self._lasting = LASTING & errors
            self._look_again_after(STEPS)
            return
        self._found = found
        if self._wait == STEPS and not errors & self._lasting and (found or unsettled(trial)):
            self._hundred = trial
            self._look_again_after(AGAIN)
        elif self._wait == AGAIN and not errors and informed_fall(trial) < ENOUGH:
            self._look_again_after(LAST)
        else:
            self._end()
            self._tell(found)

    def _new(self, found: Iterable[Finding]) -> list[Finding]:
        """The findings that the check of the first step has not reported yet, or not as an error."""
        known = {one.code: one.severity for one in self._record.findings}
        return [
            one
            for one in found
            if one.severity is not Severity.INFO
            and (one.code not in known or (one.severity is Severity.ERROR and known[one.code] is not Severity.ERROR))
        ]

    def _look_again_after(self, steps: int) -> None:
        self._wait, self._mean, self._seen, self._first = steps, Mean(), [], None

    def close(self) -> None:
        """Print what was found: the run is over, and there is nothing left to stop."""
        if not self.done:
            self._end()
            with suppress(TrainingStopped):
                self._tell(self._found)

    def _trial(self) -> StepTest:
        """Present the run's steps as a step test."""
        after = fmean(one.loss for one in self._seen)
        # One batch's loss is far from another's; that the loss rises is the guard's to see, who knows them all.
        before = max(self._at_first.loss, after)
        constant = fmean(one.constant for one in self._seen)
        unseen = Unseen(before, after, constant, None, before)
        first = self._record.trial
        assert first is not None
        return replace(
            first,
            steps=self._steps,
            losses=(before,) * self._steps + (after,),
            output_spread_after=self._seen[-1].spread,
            constant_fall=(self._at_first.constant - constant) / (abs(before) or 1.0),
            second=None,
            early=None,
            hundred=self._hundred if self._wait == LAST else None,
            unseen=unseen,
        )

    def _end(self) -> None:
        self.done = True
        if self._first is not None:
            self._first.leave()
            self._first.forget()
        self._first = None
