"""The sorts of fault that the numbers of a run show by themselves. Standard library only."""

from __future__ import annotations

from enum import StrEnum


class FaultKind(StrEnum):
    """What sort of fault an alarm is of, where the numbers of the run show it: causes, incidents and advice go by it."""

    UNKNOWN = ""
    # The rate and the optimizer.
    RATE = "rate"
    MOMENTS = "moments"
    STALE_MOMENT = "stale moment"
    OPTIMIZER = "optimizer"
    UNMOVED = "unmoved"
    UNREAD = "unread"
    # The model and its loss.
    NO_GRADIENT = "no gradient"
    CONSTANT_ANSWER = "constant answer"
    FADED = "faded"
    LOGITS = "logits"
    GAIN = "gain"
    SWALLOWED = "swallowed"
    # The loop.
    RATE_IS_ZERO = "rate is zero"
    NOT_CLEARED = "not cleared"
    CLEARED = "cleared"
    SCALED = "scaled"
    NO_BACKWARD = "no backward"
    OTHER_COPY = "other copy"
    SCALED_CLIP = "scaled clip"
    LATE_CLIP = "late clip"
    TWO_CLIPS = "two clips"
    PART_CLIP = "clip of a part"
    TURNING_CLIP = "turning clip"
    CONSTANT_CLIP = "constant clip"
    IDLE_CLIP = "idle clip"
