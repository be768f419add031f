"""Where numbers that have become too large were made so: of all calls on the way there the one that grew them most.

May rely on records. Judges nothing.
"""

from __future__ import annotations

import math

from steadygrad.record import Operation, Trace

MORE = 0.5
"""Decades by which a call must have grown its input more than the one that was found too large, to be named in its place."""


def grown_at(trace: Trace, found: Operation) -> Operation:
    """The call among ``found`` and what it was computed from that grew its input most; ``found`` where none stands out."""
    seen, todo = {found.index}, [found.index]
    growths = {}
    while todo:
        operation = trace.operations[todo.pop()]
        growths[operation.index] = _growth(trace, operation)
        for parent in operation.parents:
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    best = max(growths, key=lambda index: (growths[index], -index))
    return trace.operations[best] if growths[best] >= growths[found.index] + MORE else found


def _growth(trace: Trace, operation: Operation) -> float:
    """Decades between the size of its output and that of the greatest of its inputs; 0 where either is not known."""
    given = [size for parent in operation.parents if (size := _size(trace.operations[parent])) is not None]
    own = _size(operation)
    if own is None or not given or not 0.0 < max(given) < math.inf or not 0.0 < own < math.inf:
        return 0.0
    return math.log10(own / max(given))


def _size(operation: Operation) -> float | None:
    seen = operation.output
    if seen is None:
        return None
    size = max(seen.std, abs(seen.mean))
    return size if math.isfinite(size) else seen.largest  # Squares overflow before the numbers do.
