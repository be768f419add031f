"""A skip through time: it adds the old state of a loop to the new one, so that the state keeps its past.

## What it does

Finds the state that a loop in the user's code carries from step to step. The new state becomes the old state plus the scaled
output of the loop: h ← h + s · f(h, x). The skip goes around every operation of the loop on its state: a sigmoid, a factor in
the code, a matrix that shrinks.

## Mathematics

One step back multiplies the gradient by 1 + s f′(h) in place of f′(h), so no gradient is lost. s is 1 ÷ √steps: the variances
of the steps then add up to that of one. s is smaller where the measured gain f′ would make the gradient grow by more than one
decade over the sequence.

## What it changes

The function of the model. state_dict keys and shapes stay. The cured model reroutes the calls as they happen. It finds the
loop again by its line in the source, so the loop may run for more steps or fewer. The model reports a line that has moved.

## When it is wrong

Some states are to forget. The state grows with steps that all push the same way. The cure assumes that the first step starts
from a state of 0. If one loop carries several states, the last to be computed gets the skip.

## References

- He et al. 2016, arXiv:1512.03385 (the same skip through depth); Chang et al. 2019, arXiv:1902.09689 (h + ε f through time).
- Kusupati et al. 2018, arXiv:1901.02358 (FastRNN: a scaled step and a skip through time, both learned).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.layers import Net
from steadygrad.cures.modules import Plus
from steadygrad.cures.surgery import Wire
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Operation, Recurrence

GROUP = "residual"
SAFETY = "unsafe"
PHASE = 0
FINDINGS = ("SG104",)
CANDIDATES = {
    "skip-through-time": ("residual", "unsafe"),
}


GROWS = 1.0
"""Decades that the gradient may gain over the sequence. A sigmoid and a leak of 0.6 over 40 and 50 steps, Adam 1e-3: with
1 ÷ √steps (0.5 and 1.8 decades) they come to 0.97 and 1.00, with 1 ÷ (steps · f′) (0.4 decades) to 0.77 and 0.91."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """One candidate, for the state of the first loop that forgets."""
    for recurrence in copy.net.trace.recurrences:
        chain = state(copy.net, recurrence) if recurrence.kind == "loop" and recurrence.decades < 0.0 else []
        if chain:
            sites = (copy.net.site(chain[0]),)
            edit = Edit("through_time", "skip", sites, value=_scale(len(chain), recurrence))
            yield Candidate("skip-through-time", "skip through time, scaled", GROUP, SAFETY, (edit,))
            return


def _scale(steps: int, recurrence: Recurrence) -> float:
    """1 ÷ √steps, or what lets the gradient gain ``GROWS`` decades."""
    gain = math.pow(10.0, recurrence.decades_per_step)
    return min(1.0 / math.sqrt(steps), (math.pow(10.0, GROWS / steps) - 1.0) / gain)


def state(net: Net, recurrence: Recurrence) -> list[Operation]:
    """The operations, step by step, that make the new state of a loop: once a step, each from the one before, and the
    last to run of those that do. Empty where there are none."""
    places: dict[object, list[Operation]] = {}
    for operation in net.trace.operations:
        if operation.call is not None and operation.kind != "shape":
            places.setdefault((operation.module, operation.name, operation.call), []).append(operation)
    known = next((ones for ones in places.values() if ones[0].location == recurrence.location), [])
    chains = [ones for ones in places.values() if _in_step(ones, known) and _chained(net, ones)]
    return max(chains, key=lambda ones: ones[-1].index, default=[])


def _in_step(ones: Sequence[Operation], known: Sequence[Operation]) -> bool:
    """Whether the two take turns, and the first always gives the same shape."""
    if len(ones) < 2 or abs(len(ones) - len(known)) > 1 or len({one.output_shape for one in ones}) > 1:
        return False
    turns = sorted([(one.index, 0) for one in ones] + [(one.index, 1) for one in known])
    return ones is known or all(a[1] != b[1] for a, b in pairwise(turns))


def _chained(net: Net, ones: Sequence[Operation]) -> bool:
    """Whether each is computed from the one before."""
    return all(_leads(net, before.index, after) for before, after in pairwise(ones))


def _leads(net: Net, before: int, after: Operation) -> bool:
    open_, seen = list(after.parents), set(after.parents)
    while open_:
        index = open_.pop()
        if index == before:
            return True
        for parent in net.operations[index].parents if index > before else ():
            if parent not in seen:
                seen.add(parent)
                open_.append(parent)
    return False


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Put the step in. Raises ``CannotCureError`` where the loop is not to be found."""
    if not edit.sites or edit.value is None or edit.sites[0].call is None:
        raise CannotCureError("no loop here carries a state that could be found")
    copy.wires.append(Wire("carry", edit.sites[0], Plus(edit.value)))
    added = "the state of a loop is added to the next"
    return Change(f"{added}, what the loop computes × {edit.value:.3g}", added)
