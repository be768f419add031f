"""Where in depth a change of norms begins, told by how weights and biases of the same layer changed."""

from __future__ import annotations

import numpy as np

from steadygrad.detect.symptoms import times
from steadygrad.record.rows import Array, Columns

CUT = 0.5
"""Decades between neighbours in depth by which the place of a change is told."""


def began_at(columns: Columns, change: Array, sign: int) -> tuple[int | None, str]:
    """The weight at which a change of norms (decades; ``sign`` 1 = rise, -1 = fall) begins, and in words what changed there.

    A bias's gradient is what comes back to its layer; its weight's is that times what went into the layer. So where weights
    rise more than their biases, what goes in has risen: the layer in front of the first such one is at fault, or what the
    model was given. Else it is the layer behind which what comes back no longer has changed. None where there are too few
    layers with both, or no clear place.
    """
    pairs = [(w, b) for w, b in columns.pairs if np.isfinite(change[w]) and np.isfinite(change[b])]
    if len(pairs) < 3:
        return None, ""
    back = sign * np.array([change[b] for _, b in pairs])
    into = sign * np.array([change[w] for w, _ in pairs]) - back
    clear = max(CUT, 0.4 * float(max(back.max(), into.max())))
    steps = np.diff(into, prepend=0.0)
    if (steps >= clear).any():
        at = int(np.argmax(steps >= clear))
        change_in_words = times(10.0 ** (sign * float(steps[at])))
        if at == 0:
            return pairs[0][0], f"the input of the model is {change_in_words} its usual size"
        return pairs[at - 1][0], f"its output is {change_in_words} its usual size"
    cuts = back[:-1] - back[1:]
    at = int(np.argmax(cuts))
    if cuts[at] < clear:
        return None, ""
    change_in_words = times(10.0 ** (sign * float(cuts[at])))
    behind = columns.names[pairs[at + 1][0]]
    return pairs[at][
        0
    ], f"the gradient that reaches it is {change_in_words} its usual size; that of {behind} is not changed"
