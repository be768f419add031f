"""Symptoms of the loss: it leaps, it runs away, or it stands still from the start. Numbers only.

A loss may have any sign and scale, so it is compared with its own range, its start and its best level, never with a constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from statistics import median  # Of a few numbers; numpy's takes ten times as long.

import numpy as np

from steadygrad.detect.history import FIRST, WINDOW, LossHistory, State
from steadygrad.detect.symptoms import Symptom, times
from steadygrad.record import Severity
from steadygrad.record.fault_kind import FaultKind
from steadygrad.record.rows import Array

CODE = "SG207"
LEAP = 3.0
"""A leap exceeds the greatest loss so far by so many times its size and the range. Healthy, from the fourth step on: at most 3.7
times its size in steps 4 to 60 (a first reward), then 1.2 (a loss that joins others)."""
EARLY = 3
"""Losses before one is compared with them: a run that is watched from its middle begins anywhere."""
ALONE = 10
"""Losses before one that leaps is an alarm by itself; before that the gradient must leap too."""
WITH_IT = 0.8
"""Decades by which the gradient must exceed all before it for a loss that leaps so early. Healthy: at most 0.69, in the fifth
step of a policy gradient."""
CLIMB, SETTLED = 10, 60
"""From the second of so many losses on, one is compared with what came at least the first of so many before it: a loss that
doubles at each step leaps nowhere, and has a hundred times its size in seven. Healthy: at most 0.83 of
that size or range (several tasks)."""
CHUNK = 25
"""Losses of which one level is kept."""
AWAY = 10.0
"""A loss runs away when its level is so many times further above its best than all it ever fell, and than its own size."""
STILL = 200
"""Losses within which one that has not moved is worth a question: are the outputs of all samples alike?"""
MOVED = 0.04
"""Of its size: a loss whose levels differ by no more stands still. The batches' own noise moves a level by up to 3 %."""

SAME_ANSWER = 1e-4
"""Spread of the outputs below which all samples get the same answer. Healthy nets that stand still have 0.01 and more."""


def judge_losses(state: State, steps: Sequence[int], losses: Array, totals: Array) -> Iterator[Symptom]:
    """Judge these losses, in the order of their steps. ``totals``: log10 of each step's total gradient norm."""
    history = state.losses
    known = bool(history.window) and history.count >= ALONE and bool(np.isfinite(losses).all())
    if known and float(losses.max()) <= highest_usual(history):
        # Nothing leaps, which is so of nearly all blocks: they are taken in whole.
        yield from _taken_in(history, steps, losses.tolist())
        return
    for step, loss, total in zip(steps, losses.tolist(), totals.tolist(), strict=True):
        yield from judge_loss(state, step, loss, total)


def highest_usual(history: LossHistory) -> float:
    """The loss above which one leaps; infinite while too few are known."""
    if history.count < EARLY or not history.window:
        return math.inf
    greatest = _greatest(history)
    return greatest + LEAP * max(greatest - history.least, abs(greatest), 1e-30)


def _greatest(history: LossHistory) -> float:
    """Return the level that a loss is compared with."""
    return history.greatest if history.count >= SETTLED else max([history.greatest, *history.window[-CLIMB:]])


def _taken_in(history: LossHistory, steps: Sequence[int], losses: list[float]) -> Iterator[Symptom]:
    _keep(history, losses)
    history.count += len(losses)
    begin = 0
    while begin < len(losses):
        end = min(len(losses), begin + CHUNK - len(history.chunk))
        history.chunk.extend(losses[begin:end])
        history.chunk_steps.extend(steps[begin:end])
        if len(history.chunk) == CHUNK:
            yield from _level(history)
        begin = end


def _keep(history: LossHistory, losses: Sequence[float]) -> None:
    """Losses that are no leaps."""
    history.window.extend(losses)
    history.greatest = max([history.greatest, *history.window[:-CLIMB]])
    history.least = min(history.least, *losses)
    del history.window[:-WINDOW]


def judge_loss(state: State, step: int, loss: float, total: float) -> Iterator[Symptom]:
    """Judge one more loss. ``total``: log10 of the step's total gradient norm."""
    history = state.losses
    if not math.isfinite(loss):
        return
    leap = _leaps(state, loss, total)
    if leap:
        begun = _climbs_since(state, step)
        how = f"jumps to {loss:.4g}" if begun == step else f"climbs to {loss:.4g} within {step - begun + 1} steps"
        yield Symptom(CODE, Severity.WARNING, begun, None, f"the loss {how}, {leap}", (), step)
    else:
        _keep(history, [loss])
    history.count += 1
    if len(history.first) < FIRST:
        history.first.append(loss)
    history.chunk.append(loss)
    history.chunk_steps.append(step)
    if len(history.chunk) == CHUNK:
        yield from _level(history)


def of_left_out(state: State, step: int, loss: float) -> list[Symptom]:
    """Judge the loss of a step that a loss scale skipped for non-finite gradients."""
    cause = "the gradients overflow, and the loss scale leaves the step out"
    return [replace(symptom, cause=cause) for symptom in judge_loss(state, step, loss, math.inf)]


def _leaps(state: State, loss: float, total: float) -> str:
    """Say how far the loss is above its level before; "" where it is not."""
    history = state.losses
    if not loss > highest_usual(history):
        return ""
    if history.count < ALONE and not total > state.highest + WITH_IT:
        return ""
    usual = float(np.median(history.window))
    return f"{times(loss / usual)} its median ({usual:.3g})" if usual > 0 else f"from a median of {usual:.3g}"


def _climbs_since(state: State, step: int) -> int:
    """The step since which each loss has been above what this one is compared with."""
    greatest, begun = _greatest(state.losses), step
    for at, _, loss in reversed(state.trail):
        if at < step and not loss > greatest:
            break
        begun = min(begun, at)
    return begun


def _level(history: LossHistory) -> Iterator[Symptom]:
    level, step = median(history.chunk), history.chunk_steps[-1]
    _leaves(history)
    history.chunk, history.chunk_steps = [], []
    if history.levels and history.levels[-1][1] < history.best[0]:
        history.best = (history.levels[-1][1], history.levels[-1][0])
    history.levels.append((step, level))
    if len(history.levels) > 400:
        history.levels = history.levels[::-2][::-1]
    yield from _running_away(history, step)
    recent = [one for _, one in history.levels[-STILL // CHUNK :]]
    usual = median(recent)
    still = len(recent) >= STILL // CHUNK and max(abs(one - usual) for one in recent) <= MOVED * abs(usual)
    history.flat_since = 0
    if still:
        for step, level in reversed(history.levels):
            if abs(level - usual) > MOVED * abs(usual):
                break
            history.flat_since = step - CHUNK + 1


def _leaves(history: LossHistory) -> None:
    """Note whether, and since when, the losses of a chunk are above all of the ``WINDOW`` before, and stay there."""
    chunk, (since, bound) = history.chunk, history.left
    history.peaks = [*history.peaks, max(chunk)][-WINDOW // CHUNK :]
    if since and min(chunk) > bound:
        return
    history.left = (0, 0.0)
    if len(history.peaks) < WINDOW // CHUNK:
        return
    lowest, at = math.inf, len(chunk)
    bounds = list(accumulate(chunk, max, initial=max(history.peaks[:-1])))
    for place in range(len(chunk) - 1, -1, -1):
        lowest = min(lowest, chunk[place])
        at = place if lowest > bounds[place] else at
    if at < len(chunk):
        history.left = (history.chunk_steps[at], bounds[at])


def worth_a_question(history: LossHistory) -> bool:
    """Return whether the loss moves as where the outputs of all samples are alike: it stands still, or is back at a height
    that it had left and stays there."""
    return not history.told and (history.flat_since > 0 or CHUNK < _left_for(history) <= STILL)


def _left_for(history: LossHistory) -> int:
    """Count the steps, as far as levels are known, since the loss has been above what it was."""
    since = history.left[0]
    return history.levels[-1][0] - since + 1 if since and history.levels else 0


def _running_away(history: LossHistory, step: int) -> Iterator[Symptom]:
    best, since = history.best
    if len(history.levels) < 3 or not math.isfinite(best):
        return
    start = median(history.first) if history.first else math.nan
    lowest_of_late = min(level for _, level in history.levels[-2:])
    span = max(abs(start - best), abs(best), abs(start), 1e-30)
    if lowest_of_late - best > AWAY * span:
        begun = next(s for s, level in history.levels if s > since and level > best + span)
        message = f"the loss has risen from {best:.3g} (step {since:,}) to {history.levels[-1][1]:.3g}"
        slack = CHUNK + max(0, begun - since)
        yield Symptom(CODE, Severity.ERROR, begun, None, message, (), step, slack=slack, lasting=True)


def stands_still(state: State, step: int, spread: float | None) -> Symptom | None:
    """The loss does not move, or has risen and stays up, and the model gives every sample the same answer.

    ``spread``: of its outputs, None while it is not known.
    """
    history = state.losses
    if spread is None or spread >= SAME_ANSWER or not worth_a_question(history):
        return None
    history.told = step
    usual = median(one for _, one in history.levels[-2:])
    since, bound = history.left
    begun = since if _left_for(history) > CHUNK else history.flat_since
    rose = f" (at most {bound:.3g} in the {WINDOW} steps before)" if begun == since else ""
    message = (
        f"the loss has stayed at {usual:.4g} for {step - begun + 1:,} steps{rose}, the loss of a constant answer: "
        f"all samples get the same output (spread {spread:.1g})"
    )
    return Symptom(CODE, Severity.ERROR, begun, None, message, (), step, lasting=True, kind=FaultKind.CONSTANT_ANSWER)
