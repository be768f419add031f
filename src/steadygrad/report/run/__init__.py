"""A training run as text: formats by name, each loaded when it is used, since pictures and tables want numpy.

May rely on the run's record (``record/run.py``) and on the room around; must not read a journal, nor import torch.
"""

from __future__ import annotations

import importlib
from typing import Any

FORMATS = ("text", "json", "html", "csv", "parquet")
"""Each is a file here of the name ``as_…`` with ``render(run, **options)``; parquet gives bytes, the others text."""


def render(run: Any, format_name: str = "text", **options: Any) -> str | bytes:
    """The run in a format of ``FORMATS``; the options are those of that format."""
    made: str | bytes = importlib.import_module(f"{__name__}.as_{format_name}").render(run, **options)
    return made
