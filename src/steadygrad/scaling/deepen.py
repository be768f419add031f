"""The cure over depth as numbers: the ends of residual branches follow the number of layers.

A branch of L is to add 1/L of what one adds (CompleteP, Dey et al. 2025, arXiv:2505.01618, with Adam), or 1/√L (Bordelon et al.
2024, arXiv:2309.16620, with SGD). The factor of a branch goes into the weights at its end: into their start, and into their rate,
once where a step is as large whatever the gradient, twice where it goes with the gradient. Relative to the least depth.
"""

from __future__ import annotations

from steadygrad.record.depth import DepthRecord
from steadygrad.scaling.judge_depth import POWER
from steadygrad.scaling.layers import matches


def powers(found: DepthRecord, name: str) -> tuple[float, float]:
    """The powers of depth ÷ least depth for the start and for the rate of one parameter."""
    if not any(one.ends_branch and matches(one.pattern, name) for one in found.layers):
        return 0.0, 0.0
    branch = -power(found)
    return branch, branch if found.adaptive else 2 * branch


def power(found: DepthRecord) -> float:
    """The power of depth by which the branches of this family are to shrink still."""
    if not found.residual or found.change.kind != "power" or found.change.value < POWER:
        return 0.0
    return round(2 * found.change.value) / 2 if found.adaptive else 0.5
