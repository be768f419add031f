"""The habits of a loop, and what only the end of a run shows: counts of one optimizer in the form that the rules take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steadygrad._guard.one_optimizer import GuardedOptimizer
from steadygrad.detect import clips, updates
from steadygrad.detect.clips import Habits
from steadygrad.detect.symptoms import Symptom
from steadygrad.record.rows import Rows
from steadygrad.watch import loss_scale


def habits_of(one: GuardedOptimizer) -> Habits:
    """Count what the loop does with its gradients."""
    loop, clip = one.watch.loop, one.watch.last_clip
    double = loop.double_clips + (loop.steps if clip is not None and one.clipper is not None else 0)
    earlier = one.step - loop.steps  # Of the run that this one goes on with.
    return Habits(
        one.step,
        loop.accumulated,
        loop.accumulated_since,
        loop.added,
        loop.added_since + earlier,
        loop.unscaled,
        loop.unscaled_since + earlier,
        loss_scale.of_backward(one.watch.scaler) if loop.unscaled else 1.0,
        loop.repeated,
        loop.repeated_since,
        loop.cleared,
        loop.cleared_since,
        loop.scaled_clips,
        loop.used_clips,
        double,
        loop.part_clips,
        loop.part,
        "" if clip is None else str(clip),
        loop.clip_place,
        {"double": 1} | {name: step + earlier for name, step in loop.since.items()},
    )


def symptoms_at_end(one: GuardedOptimizer) -> list[Symptom]:
    """Judge the end: a clip that acts always or never, a last step that did harm."""
    none, single = np.zeros(0), np.zeros(0, np.float32)
    empty = Rows(np.zeros(0, np.int64), none, np.zeros((0, 0), np.float32), single, single, none)
    found: list[Symptom] = []
    pending = one.state.pending_update
    # Steps that came after it, read or not, were judged as far as they go. And one step of an optimizer that evaluates its
    # closure several times (LBFGS) is as many updates: it may be large.
    if pending is not None and pending.step == one.step and one.watch.evaluations <= 1:
        found += updates.confirmed(one.state, empty, np.zeros((0, 1)), ending=True)
    found += clips.judge_habits(habits_of(one))
    watch, own = one.watch, one.clipper
    misfits = []
    if watch.last_clip is not None:
        misfits.append(
            clips.judge_clip(
                str(watch.last_clip),
                watch.clip_steps,
                watch.clip_acted,
                watch.turns.cosines,
                one.step,
                watch.loop.clip_place,
            )
        )
    if own is not None:
        misfits.append(clips.judge_clip(str(own.clip), own.steps, own.acted, own.turns, one.step))
    return found + [one for one in misfits if one is not None]


def clip_counts(optimizers: Sequence[GuardedOptimizer]) -> tuple[int, int]:
    """Steps with a clip, and those on which it acted; the guard's own clip counts before the program's."""
    steps = acted = 0
    for one in optimizers:
        if one.clipper is not None:
            steps, acted = steps + one.clipper.steps, acted + one.clipper.acted
        elif one.watch.clip_steps or one.watch.clip_acted:
            steps, acted = steps + one.step, acted + one.watch.clip_acted
    return steps, acted
