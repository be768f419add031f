"""The words of a run that every form of it shares: expectations, verdicts, descriptions for who cannot see.

Knows nothing of terminals, pages or pictures.
"""

from __future__ import annotations

import math

from steadygrad.lab.outcome import REFUTED, SUPPORTED, Curve, Diagram, Panel, Ran, Reading
from steadygrad.lab.parameters import shown
from steadygrad.numerals import number
from steadygrad.report.words import clean

STYLES = {SUPPORTED: "healthy", REFUTED: "will not train"}
"""The meaning of a verdict as the terminal paints it; anything else is "at risk"."""


def measured(reading: Reading) -> str:
    """``−0.38 (−0.41 to −0.35) decades``."""
    interval = f" ({number(reading.low)} to {number(reading.high)})" if reading.low < reading.high else ""
    return clean(f"{number(reading.value)}{interval} {reading.unit}".rstrip())


def needed(reading: Reading) -> str:
    """``at most −0.3``."""
    if math.isinf(reading.least):
        return f"at most {number(reading.greatest)}"
    if math.isinf(reading.greatest):
        return f"at least {number(reading.least)}"
    return f"{number(reading.least)} to {number(reading.greatest)}"


def settings(ran: Ran) -> str:
    """``depth 50, nets 200, seed 0, quick``."""
    told = [f"{name} {shown(value)}" for name, value in ran.parameters.items()]
    return clean(", ".join([*told, f"seed {ran.seed}", *(["quick"] if ran.quick else [])]))


def alt(figure: Panel | Diagram) -> str:
    """The figure in a sentence or two: its title, its axes, and where each curve begins and ends."""
    if isinstance(figure, Diagram):
        return clean(figure.alt)
    curves = "; ".join(filter(None, map(_course, figure.curves)))
    return clean(f"{figure.title}. {figure.y_label} against {figure.x_label}. {curves}.")


def _course(curve: Curve) -> str:
    points = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return ""
    (x0, y0), (x1, y1) = points[0], points[-1]
    if len(points) == 1:
        return f"{curve.name}: {number(y0)} at {number(x0)}"
    return f"{curve.name}: from {number(y0)} at {number(x0)} to {number(y1)} at {number(x1)}"
