"""What the policy speaks of: the columns of a row, and a symptom, something wrong at one step."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from steadygrad.record import Severity


@dataclass(frozen=True)
class Columns:
    """What the columns of a row are, in the order of depth: from the input to the output."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    weights: tuple[bool, ...]
    """Whether it is a matrix or a kernel; biases and norms' scales move too freely to judge by."""
    halves: tuple[float, ...] = ()
    """Smallest positive number of the gradient's format where that is a 16-bit one, 0 elsewhere."""

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(weight, bias) of the layers that have both, in the order of depth."""
        return _pairs(self.names, self.weights)


@dataclass(frozen=True)
class Symptom:
    """Something wrong at one step."""

    code: str
    severity: Severity
    step: int
    column: int | None
    """The parameter by which it shows first; None = the whole model."""
    message: str
    columns: tuple[int, ...] = ()
    """All that show it."""
    last_step: int = 0
    norm: float = float("nan")
    """The gradient norm of that parameter, at the last step."""
    cause: str = ""
    """What brought it about, where the numbers tell."""
    slack: int = 0
    """Steps by which it may have begun before ``step``, where that is told by more than the interval."""
    lasting: bool = False
    """Whether it is a state that goes on, and not one step's doing."""


@functools.lru_cache(maxsize=64)
def _pairs(names: tuple[str, ...], weights: tuple[bool, ...]) -> tuple[tuple[int, int], ...]:
    places = {name: at for at, name in enumerate(names)}
    found = []
    for at, (name, weight) in enumerate(zip(names, weights, strict=True)):
        stem, dot, last = name.rpartition(".")
        bias = places.get(f"{stem}{dot}{last.replace('weight', 'bias')}") if last.startswith("weight") else None
        if weight and bias is not None and not weights[bias]:
            found.append((at, bias))
    return tuple(found)


def times(factor: float) -> str:
    """A factor in words."""
    return f"{factor:.3g}×" if factor < 1000 else f"{factor:.1e}×"
