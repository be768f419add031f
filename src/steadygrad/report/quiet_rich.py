"""Imports rich's styles, which draw from Python's random generator as they are imported, and puts the generator back.

A program that draws with ``random`` gets the numbers it would have without us. Imported before all else of this room.
"""

from __future__ import annotations

import random

_before = random.getstate()

import rich.style  # noqa: E402, F401

random.setstate(_before)
