"""The place in the program where a step is taken or a clip called, found by walking the frames only when asked for.

May rely on frames and on what ``source.spans`` knows of files. Must not be called on every step.
"""

from __future__ import annotations

import sys
from types import FrameType

from steadygrad.record import Location
from steadygrad.source.spans import is_user_file, location_of

_INSTALLED = ("site-packages", "dist-packages")
_STEP = "torch/optim/optimizer.py"
"""The function that calls the hooks of a step."""


def place_of_call() -> Location | None:
    """The user's own expression that we are called from, outside of what is installed: of a trainer the line that calls it."""
    frame = _own(sys._getframe(1))
    return None if frame is None else location_of(frame)


def place_of_step() -> Location | None:
    """Return the same for the step that we are called from; None where we are called from none."""
    frame: FrameType | None = sys._getframe(1)
    own = _own(frame)
    while frame is not own and frame is not None:
        if frame.f_code.co_filename.endswith(_STEP):
            return None if own is None else location_of(own)
        frame = frame.f_back
    return None


def _own(frame: FrameType | None) -> FrameType | None:
    while frame is not None:
        path = frame.f_code.co_filename
        if is_user_file(path) and not any(folder in path for folder in _INSTALLED):
            return frame
        frame = frame.f_back
    return None
