"""Calibration, test or held-out: by the family of a set-up alone, never by row.

The rule, fixed before anything was trained: the first two hexadecimal digits of SHA-256 of the family's name, as a number
below 256; under 115 (45 %) calibration, under 166 (20 %) test, the rest (35 %) held-out. A family that is added later
moves no other. Families of the cases, on which the rules were written, are calibration whatever their digits.
"""

from __future__ import annotations

import hashlib

PARTS = ("calibration", "test", "held-out")

CALIBRATION_BELOW, TEST_BELOW = 115, 166
"""Of 256."""

CASES = "suite"
"""Model name under which the cases stand: a part of their keys."""


def part_of(family: str) -> str:
    """The part of the split that a family belongs to."""
    if family.startswith(f"{CASES}/"):
        return "calibration"
    digits = int(hashlib.sha256(family.encode()).hexdigest()[:2], 16)
    return PARTS[0] if digits < CALIBRATION_BELOW else PARTS[1] if digits < TEST_BELOW else PARTS[2]
