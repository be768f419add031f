"""The place in depth where a change of norms begins, as the weights and biases of the same layer show it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from steadygrad.detect.symptoms import times
from steadygrad.record.rows import Array, Columns


class Origin(NamedTuple):
    """The weight at which a change begins, in words why, and where: "input", "output", "back" or "loss"."""

    column: int | None
    cause: str = ""
    place: str = ""


CUT = 0.5
"""Decades between neighbours in depth that show the place of a change."""
ALONE = 0.3
"""Decades that the bias of a layer may move whose weight's gradient alone has changed. An input that grew would reach the layers
behind, or shrink the bias where a norm takes it back."""
ALIKE = 0.4
"""Of their median: layers whose growth, in decades, differs by less grow alike."""


def began_at(columns: Columns, change: Array, sign: int) -> Origin:
    """The weight at which a change of norms (decades; ``sign`` 1 = rise, -1 = fall) begins, what changed there, and where.

    The gradient of a bias is the gradient that reaches its layer; that of its weight is the same times the layer's input. So
    where weights rise more than their biases, an input has risen: the layer in front of the first such one is at fault, or
    the input of the model. Else the change begins at the last layer whose gradient changed. None where too few layers have
    both, or no place is clear.
    """
    pairs = [(w, b) for w, b in columns.pairs if np.isfinite(change[w]) and np.isfinite(change[b])]
    if len(pairs) < 3:
        return Origin(None)
    back = sign * np.array([change[b] for _, b in pairs])
    into = sign * np.array([change[w] for w, _ in pairs]) - back
    clear = max(CUT, 0.4 * float(max(back.max(), into.max())))
    steps = np.diff(into, prepend=0.0)
    if (steps >= clear).any():
        at = int(np.argmax(steps >= clear))
        change_in_words = times(10.0 ** (sign * float(steps[at])))
        if abs(float(back[at])) < ALONE and 0 < at < len(into) - 1 and (into[at + 1 :] < clear / 2).all():
            return Origin(
                pairs[at][0], f"its gradient alone is {change_in_words} its usual size: a hook or a write changed it"
            )
        if at == 0:
            return Origin(pairs[0][0], f"the input of the model is {change_in_words} its usual size", "input")
        return Origin(pairs[at - 1][0], f"its output is {change_in_words} its usual size", "output")
    if sign > 0 and float(back.min()) >= clear and float(np.ptp(back)) < ALIKE * float(np.median(back)):
        change_in_words = times(10.0 ** float(np.median(back)))
        return Origin(
            None,
            f"the gradients of all layers grow by the same factor: the gradient of the loss is {change_in_words} its usual size",
            "loss",
        )
    cuts = back[:-1] - back[1:]
    at = int(np.argmax(cuts))
    if cuts[at] < clear:
        return Origin(None)
    change_in_words = times(10.0 ** (sign * float(cuts[at])))
    behind = columns.names[pairs[at + 1][0]]
    words = f"the gradient that reaches it is {change_in_words} its usual size; that of {behind} is unchanged"
    return Origin(pairs[at][0], words, "back")
