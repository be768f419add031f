"""The rules about clips, and about loops that use a gradient more than once. Counts in, symptoms out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from steadygrad.detect.symptoms import Symptom
from steadygrad.numerals import percent
from steadygrad.record import Location, Severity
from steadygrad.record.fault_kind import FaultKind

CLIP_ALWAYS = 0.99
CLIP_ALWAYS_STEPS = 200
CLIP_NEVER_STEPS = 5000
"""Shares of steps on which a clip acts that are worth a word, and the steps needed to measure them."""
CLIP_COSINE = 0.7
CLIP_TURNS = 5
"""Cosine of 45 degrees, over so many measured steps."""
REPEATS = 3
"""Times that a loop makes a mistake before it is an alarm: once may be meant, as in a step that is tried again."""
ADDED, ADDED_SHARE = 10, 0.25
"""Steps that add to the gradients of earlier ones, and their share since the first, which are a mistake though not in a row."""
PART_STEPS = 50
"""Steps on which clips leave out some parameters before that is an alarm."""


@dataclass(frozen=True)
class Habits:
    """Counts of what a loop did."""

    step: int
    accumulated: int
    accumulated_since: int
    added: int
    added_since: int
    unscaled: int
    unscaled_since: int
    scale: float
    """The loss scale of the last backward pass."""
    repeated: int
    repeated_since: int
    cleared: int
    cleared_since: int
    scaled_clips: int
    used_clips: int
    double_clips: int
    part_clips: int
    part: tuple[int, int]
    clip: str
    """The clip that was called last, as a person writes it."""
    clip_place: Location | None
    """Where the program clips."""
    since: dict[str, int]
    """The first step with a clip that is "scaled", "used", "double" or "part"."""


def judge_habits(habits: Habits) -> Iterator[Symptom]:
    """Mistakes of the loop itself."""
    step, since = habits.step, habits.since
    if habits.accumulated >= REPEATS:
        begun = habits.accumulated_since
        message = f"{habits.accumulated} steps in a row added their gradients to those of the steps before"
        cause = "nothing clears the gradients between the step and the next backward pass (zero_grad is missing)"
        yield _of_the_loop(FaultKind.NOT_CLEARED, "SG307", Severity.ERROR, begun, message, step, cause)
    elif habits.added >= ADDED and habits.added >= ADDED_SHARE * (step - habits.added_since + 1):
        begun = habits.added_since
        message = (
            f"{habits.added} of {step - begun + 1} steps so far added their gradients to those of the steps before"
        )
        cause = "zero_grad is not called between each step and the next backward pass"
        yield _of_the_loop(FaultKind.NOT_CLEARED, "SG307", Severity.ERROR, begun, message, step, cause)
    if habits.unscaled >= REPEATS and habits.scale != 1.0:
        begun = habits.unscaled_since
        message = f"{habits.unscaled} steps so far used gradients that still hold the loss scale (×{habits.scale:,.0f})"
        cause = "the program calls optimizer.step(); scaler.step(optimizer) would divide them by it"
        yield _of_the_loop(FaultKind.SCALED, "SG307", Severity.ERROR, begun, message, step, cause)
    if habits.repeated >= REPEATS:
        begun = habits.repeated_since
        message = (
            f"{habits.repeated} steps used the gradients of the step before again: no backward pass ran between them"
        )
        cause = "the optimizer steps without a new backward pass"
        yield _of_the_loop(FaultKind.NO_BACKWARD, "SG307", Severity.ERROR, begun, message, step, cause)
    if habits.cleared >= REPEATS:
        begun = habits.cleared_since
        message = f"{habits.cleared} steps in a row had no gradients: they were cleared after the backward pass"
        cause = "zero_grad runs between the backward pass and the step"
        yield _of_the_loop(FaultKind.CLEARED, "SG307", Severity.ERROR, begun, message, step, cause)
    if habits.scaled_clips >= REPEATS:
        message = (
            f"{habits.clip} acted on gradients that still hold the loss scale, on {habits.scaled_clips} steps so far"
        )
        cause = "the clip runs before scaler.unscale_(optimizer)"
        begun, place = since.get("scaled", step), habits.clip_place
        yield _of_the_loop(FaultKind.SCALED_CLIP, "SG306", Severity.WARNING, begun, message, step, cause, place=place)
    if habits.used_clips >= REPEATS:
        message = f"{habits.clip} ran after the step, {habits.used_clips} times so far: it changes nothing"
        cause = "the clip is called after optimizer.step()"
        begun, place = since.get("used", step), habits.clip_place
        yield _of_the_loop(FaultKind.LATE_CLIP, "SG306", Severity.WARNING, begun, message, step, cause, place=place)
    if habits.double_clips >= PART_STEPS:
        message = (
            f"two clips act on the same gradients, on {habits.double_clips} steps so far; the last is {habits.clip}"
        )
        begun, place = since.get("double", step), habits.clip_place
        yield _of_the_loop(FaultKind.TWO_CLIPS, "SG306", Severity.INFO, begun, message, step, place=place)
    elif habits.part_clips >= PART_STEPS:
        given, whole = habits.part
        message = (
            f"{habits.clip} gets {given} of {whole} gradients, on {habits.part_clips} steps so far: "
            "the others are not clipped"
        )
        begun, place = since.get("part", step), habits.clip_place
        yield _of_the_loop(FaultKind.PART_CLIP, "SG306", Severity.INFO, begun, message, step, place=place)


def judge_clip(
    clip: str, steps: int, acted: int, cosines: Sequence[float], step: int, place: Location | None = None
) -> Symptom | None:
    """Return whether a clip acts rarely, and then keeps the direction."""
    share = acted / steps if steps else 0.0
    if len(cosines) >= CLIP_TURNS and float(np.median(cosines)) < CLIP_COSINE:
        kind = FaultKind.TURNING_CLIP
        message = (
            f"{clip} changes the direction: the median cosine to the raw gradient is {float(np.median(cosines)):.2f}"
        )
    elif steps >= CLIP_ALWAYS_STEPS and share >= CLIP_ALWAYS:
        kind = FaultKind.CONSTANT_CLIP
        message = f"{clip} acted on {percent(share)} of {steps:,} steps: it sets the step size, as a learning rate does"
    elif steps >= CLIP_NEVER_STEPS and acted == 0:
        kind = FaultKind.IDLE_CLIP
        message = f"{clip} acted on none of {steps:,} steps: it bounds nothing"
    else:
        return None
    return _of_the_loop(kind, "SG306", Severity.INFO, step, message, step, place=place)


def _of_the_loop(
    kind: FaultKind,
    code: str,
    severity: Severity,
    begun: int,
    message: str,
    step: int,
    cause: str = "",
    place: Location | None = None,
) -> Symptom:
    """A symptom of the loop itself; one with a cause goes on until the loop is mended."""
    return Symptom(
        code,
        severity,
        begun,
        None,
        message,
        (),
        step,
        cause=cause,
        lasting=bool(cause),
        of_the_loop=True,
        kind=kind,
        location=place,
    )
