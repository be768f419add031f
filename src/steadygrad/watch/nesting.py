"""A test for a step inside of another one of the same optimizer, as where a class calls its parent's ``step``."""

from __future__ import annotations

from types import FrameType
from typing import Any


def is_nested(optimizer: Any, step: FrameType) -> bool:
    """Return whether this call of torch's wrapper of ``step`` was made by another one of the same optimizer."""
    frame = step.f_back
    while frame is not None:
        if frame.f_code is step.f_code and frame.f_locals.get("self") is optimizer:
            return True
        frame = frame.f_back
    return False
