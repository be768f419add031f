"""The name by which the user's code holds an object: a variable of a running function, of its file, or of its ``self``.

Knows frames; knows nothing of what the object is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from torch import nn

from steadygrad.source.spans import is_user_file
from steadygrad.torch_internals.held import child_table, is_constructed


def variable_of(value: object, frame: FrameType | None) -> str:
    """The name of the variable that holds ``value``, looked for from ``frame`` outwards; "" where there is none."""
    while frame is not None:
        ours = frame.f_globals.get("__name__", "").partition(".")[0] == "steadygrad"
        if is_user_file(frame.f_code.co_filename) and not ours:
            for names in _namespaces(frame):
                for name, held in list(names.items()):
                    if held is value and not name.startswith("_"):
                        return name
        frame = frame.f_back
    return ""


def _namespaces(frame: FrameType) -> Iterator[Mapping[str, Any]]:
    yield frame.f_locals
    holder = frame.f_locals.get("self")
    yield getattr(holder, "__dict__", {})
    if isinstance(holder, nn.Module) and is_constructed(holder):
        yield child_table(holder)  # Modules are kept apart from other attributes.
    yield frame.f_globals
