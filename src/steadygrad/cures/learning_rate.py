"""Another learning rate, found by real steps of the optimizer at each rate of a grid.

## What it does

Takes 30 steps of the real optimizer on a copy at each rate of a grid of half-decades, from the same start and on the same
batch. It chooses the smallest rate that reaches 85 % of the greatest fall of the loss. It drops rates that diverge at once,
and tries none far above or below the best.

## Mathematics

One gradient step predicts a fall of rate × ‖gradient‖². Only real steps show how far that prediction holds. Of the rates
that get nearly as far, the smallest leaves the most room before the loss bounces.

## What it changes

The optimizer's learning rate; groups keep their ratios. The model stays as it is.

## When it is wrong

One batch does not show the noise of the gradients: with tiny batches take a smaller rate. A rate for the start is no
schedule. A rate does not cure a gradient that is lost on its way through the layers: the search reports where no rate makes
the loss fall.

## References

- Smith 2017, arXiv:1506.01186 (rates tried one after the other; here each begins again).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from steadygrad.clip import Clip
from steadygrad.clip.hook import hook_for
from steadygrad.copies.nested import size_of
from steadygrad.cures.batch_subsets import adds_up, as_whole, with_fewer
from steadygrad.cures.editable_copy import EditableCopy, rate_of, set_rate
from steadygrad.cures.rate_search import RateSearch
from steadygrad.errors import CannotCureError, SubjectError
from steadygrad.probe.run_probe import probe_copy
from steadygrad.record import Candidate, Change, CheckRecord, Edit
from steadygrad.record.rates import RateTried
from steadygrad.source.user_errors import raised_as_theirs, running_theirs
from steadygrad.steptest.run_steptest import step_test
from steadygrad.subject.optimizers import OptimizerLike
from steadygrad.subject.subject import Subject, make_subject
from steadygrad.subject.with_copy import with_copy

GROUP = "learning rate"
SAFETY = "safe"
PHASE = 4
SEARCHES_RATE = True
FINDINGS = ("SG105", "SG106", "SG109", "SG113", "SG201", "SG203", "SG204")
CANDIDATES = {
    "learning-rate": ("learning rate", "safe"),
}

STEPS = 30
"""Ten steps lost 0.09 accuracy on average over 36 cells, 30 lost 0.007 (ranked against 250 steps at every rate)."""

ENOUGH = 0.85
"""Share of the greatest fall; 80 to 90 % did equally well in the same 36 cells."""

LOWEST, HIGHEST = -14.0, 4.0
"""log10 of the rates between which the grid lies: a squared error in dollars has gradients of 1e10."""

SAMPLES = 64
"""Samples of the batch on which a candidate's rates are tried, where there are more."""

BEGUN = 0.02
"""Fall in ten steps under which a candidate's rate is dropped: of 238 set-ups those that train fall by 8 % or more (5th
percentile), those that fail by 1 % (median)."""

NOTHING = 1e-6
"""Relative change of the loss in all steps together that float32 rounds away: smaller rates do no more."""

HOPELESS = 3.0
"""A loss of so many times its start is not coming back within 30 steps."""

EARLY, BEHIND = 10, 0.2
"""A rate whose loss fell in the first ten steps by less than this share of another's is dropped."""

WORTH_REFINING = 0.05
"""Greatest fall at whole decades under which half-decades are not looked at: of 238 set-ups those that train fall by 8 % or
more in ten steps (5th percentile)."""

FAR_BELOW = 0.5
"""Share of the greatest fall under which no smaller rate is tried: falls shrink with the rate."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """One candidate: the rate that the step test finds."""
    if rate_of(copy.optimizer) > 0 or any("lr" in group for group in copy.optimizer.param_groups):
        yield Candidate("learning-rate", "learning rate", GROUP, SAFETY, (Edit("learning_rate", "step-tested"),))


def apply_(copy: EditableCopy, edit: Edit, progress: Callable[[str], None] | None = None) -> Change:
    """Set the rate of the edit, or the one that is found. Raises ``CannotCureError`` where no rate makes the loss fall."""
    before = rate_of(copy.optimizer)
    rate = edit.value
    if rate is None:
        found = search(copy.subject, progress=progress)
        if found.rate is None:
            raise CannotCureError(found.words)
        rate = found.rate
    copy.set_rate(rate)
    return Change(f"optimizer: learning rate {before:g} → {rate:g}", "optimizer")


def find_lr(
    model: nn.Module,
    batch: Any = None,
    loss_fn: Callable[..., torch.Tensor] | None = None,
    *,
    optimizer: OptimizerLike = None,
    clip: Clip | str | None = None,
    seed: int = 0,
    steps: int = STEPS,
) -> RateSearch:
    """Find the learning rate for ``model`` by real steps of its optimizer on copies.

    Args:
        model: As for ``check``; it is not changed.
        batch: As for ``check``.
        loss_fn: As for ``check``.
        optimizer: As for ``check``; it is not changed.
        clip: As for ``check``.
        seed: As for ``check``.
        steps: Steps at each rate.

    Returns:
        The rates tried with their losses, ``.rate`` (None where no rate makes the loss fall) and ``.words``.

    Raises:
        SteadygradError: No step can be taken; the message says why.
        Exception: Whatever the model itself raises.

    Example:
        >>> import torch, steadygrad as sg
        >>> from torch import nn
        >>> x = torch.randn(32, 8)
        >>> found = sg.find_lr(nn.Linear(8, 1), (x, x.sum(1, keepdim=True)), nn.functional.mse_loss, optimizer="sgd:0.1")
        >>> found.rate is not None and 0.01 < found.rate < 1
        True
    """
    if steps < 1:
        raise SubjectError(f"steps is {steps}, expected 1 or more")
    with raised_as_theirs():
        return rate_for(
            make_subject(model, batch, loss_fn, optimizer=optimizer, seed=seed, before_step=hook_for(clip)), steps=steps
        )


def rate_for(subject: Subject, *, progress: Callable[[str], None] | None = None, steps: int = STEPS) -> RateSearch:
    """``search`` on a subject that was never run before: what the command line and ``find_lr`` share.

    Raises ``SubjectError`` for an optimizer without a rate, ``UserCodeError`` for an exception of the model's own.
    """
    if not any("lr" in group for group in subject.optimizer.param_groups):
        raise SubjectError(f"{type(subject.optimizer).__name__} has no learning rate; nothing can be searched for")
    with running_theirs(
        "the model, its loss or its optimizer raised this while it was stepped; fix it, or pass the batch it expects"
    ):
        with with_copy(subject, optimizer=False) as run:
            probe_copy(run)  # Steps show nothing of a copy that computes with the original; the probe says so.
        return search(subject, progress=progress, steps=steps)


def search(
    subject: Subject,
    *,
    progress: Callable[[str], None] | None = None,
    steps: int = STEPS,
    impatient: bool = False,
) -> RateSearch:
    """Try rates on copies of the subject, from the user's own outwards; the subject is not changed.

    ``impatient``, for one candidate of many: at most ``SAMPLES`` samples, and no rate goes on whose loss has not begun to
    fall after ``EARLY`` steps.
    """
    start = rate_of(subject.optimizer)
    middle = _exponent(start) if start > 0 else -3.0
    tried: dict[float, RateTried] = {}
    whole: int | None = None
    if impatient:
        fewer = with_fewer(subject, SAMPLES)
        whole = size_of(subject.batch) if fewer is not subject and adds_up(subject) else None
        subject = fewer

    def fall(exponent: float) -> float:
        if exponent not in tried:
            rate = start if start > 0 and exponent == middle else 10.0**exponent
            if progress is not None:
                progress(f"learning rate {rate:.1g}")
            early = max((_early(one.losses) for one in tried.values()), default=0.0)
            behind = max(BEHIND * early, BEGUN if impatient else -math.inf)
            tried[exponent] = _steps_at(subject, rate, steps, behind, whole)
        return tried[exponent].fall

    def walk(step: float, far_enough: Callable[[RateTried, float], bool]) -> None:
        exponent = middle
        while LOWEST <= exponent + step <= HIGHEST:
            best = max(one.fall for one in tried.values())
            exponent += step
            fall(exponent)
            if far_enough(tried[exponent], best):
                return

    fall(middle)
    if not _wild(tried[middle]):
        walk(1.0, lambda now, best: now.fall < best or _wild(now))
    if not (impatient and _idle(tried[middle])):
        walk(-1.0, lambda now, best: _idle(now) or (best > 0 and now.fall < FAR_BELOW * best))
    greatest = max(one.fall for one in tried.values())
    # Half-decades about the rate that whole decades point to, and about the one that these do.
    for _ in range(2 if greatest >= WORTH_REFINING else 0):
        enough = ENOUGH * max(one.fall for one in tried.values())
        chosen = min((exponent for exponent in tried if tried[exponent].fall >= enough), default=middle)
        for exponent in (chosen - 0.5, chosen + 0.5):
            if LOWEST <= exponent <= HIGHEST and not any(abs(exponent - known) < 0.1 for known in tried):
                fall(exponent)
    return RateSearch.chosen(tuple(tried[e] for e in sorted(tried)), steps, ENOUGH)


def _wild(one: RateTried) -> bool:
    """Whether the loss ended above its start, or is no number any more: greater rates do no better."""
    return not one.losses[-1] <= one.losses[0]


def _idle(one: RateTried) -> bool:
    """Whether the loss hardly moved: smaller rates do no more."""
    scale = abs(one.losses[0]) or 1.0
    moved = max(abs(loss - one.losses[0]) for loss in one.losses) / scale
    return moved < (NOTHING if not one.dropped else BEGUN)


def _exponent(rate: float) -> float:
    """log10 of the rate as it is: the grid goes out from the user's own rate."""
    return math.log10(rate)


def _early(losses: Sequence[float]) -> float:
    """Relative fall after ``EARLY`` steps; 0 where there were fewer."""
    return (losses[0] - losses[EARLY]) / (abs(losses[0]) or 1.0) if len(losses) > EARLY else 0.0


def beyond_hope(losses: Sequence[float]) -> bool:
    """Whether the last loss is more than ``HOPELESS`` times the first."""
    return losses[-1] > losses[0] + (HOPELESS - 1.0) * abs(losses[0])


def _steps_at(subject: Subject, rate: float, steps: int, behind: float, whole: int | None) -> RateTried:
    """Take ``steps`` at one rate.

    ``behind``: the fall in the first ``EARLY`` steps under which it goes no further; ``whole``: samples that a loss which adds
    up is counted for.
    """

    def give_up(losses: list[float]) -> bool:
        return beyond_hope(losses) or (len(losses) == EARLY + 1 and _early(losses) < behind)

    with with_copy(subject) as run:
        set_rate(run.optimizer, rate)
        if whole is not None:
            run = replace(run, objective=as_whole(run.objective, whole))
        record = step_test(run, steps=steps, give_up=give_up).record
    return RateTried(rate, record.losses, record.diverged)
