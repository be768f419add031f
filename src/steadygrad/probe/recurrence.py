"""Recurrences: the same weights applied step after step, and the gradient from the last step back through them.

The loss may look at every step, and then hides what happens between distant ones. So a unit gradient is laid on the
last step alone and followed back; its norm by step gives the gain of one step, whatever the loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import Node

from steadygrad.probe.backward import log10_norm
from steadygrad.probe.tape import Reuse, SequenceCall, Tape
from steadygrad.record import Recurrence

FEWEST_STEPS = 8
"""Below this many steps no slope is fitted: a recurrence that short is judged by the trunk."""

FLOOR = -30.0
"""log10 norm below which float32 gradients turn denormal and no longer tell a slope."""


def recurrences(tape: Tape) -> tuple[Recurrence, ...]:
    """Gain per step of every recurrence on the tape. Runs extra backward passes; the graph is kept."""
    found = [_fused(tape, call) for call in tape.sequences]
    found += [_looped(tape, reuse) for reuse in tape.reuse.values() if len(reuse.nodes) >= FEWEST_STEPS]
    return tuple(_one_per_place([recurrence for recurrence in found if recurrence is not None]))


def _fused(tape: Tape, call: SequenceCall) -> Recurrence | None:
    time = 1 if call.batch_first else 0
    steps = call.sequence.shape[time]
    if steps < FEWEST_STEPS:
        return None
    cotangent = torch.zeros_like(call.output)
    last = cotangent.select(time, steps - 1)
    hidden = call.output.shape[-1] // call.directions
    last[..., :hidden] = _unit(last[..., :hidden])
    (gradient,) = torch.autograd.grad(call.output, call.sequence, cotangent, retain_graph=True, allow_unused=True)
    if gradient is None:
        return None
    norms = [log10_norm([gradient.select(time, step)]) for step in range(steps - 1, -1, -1)]
    return _described(tape, call.operation, tape.operations[call.operation].name, norms)


def _looped(tape: Tape, reuse: Reuse) -> Recurrence | None:
    if reuse.last is None or not reuse.last.requires_grad or not _leads_back(reuse.nodes[-1], reuse.nodes[0]):
        return None
    arrived: dict[int, float] = {}
    handles = [
        node.register_prehook(lambda gradients, step=step: arrived.__setitem__(step, log10_norm(gradients)))
        for step, node in enumerate(reuse.nodes)
    ]
    try:
        torch.autograd.grad(reuse.last, reuse.parameter, _unit(reuse.last), retain_graph=True, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    norms = [arrived[step] for step in sorted(arrived, reverse=True)]
    if len(norms) < FEWEST_STEPS:
        return None
    return _described(tape, reuse.operations[0], reuse.name, norms)


def _leads_back(start: Node, end: Node) -> bool:
    todo, seen, oldest = [start], {start}, end._sequence_nr()
    while todo:
        node = todo.pop()
        if node is end:
            return True
        for target, _ in node.next_functions:
            if target is not None and target not in seen and oldest <= target._sequence_nr() <= start._sequence_nr():
                seen.add(target)
                todo.append(target)
    return False


def _unit(like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(like.shape, generator=generator, dtype=torch.float32).to(like.device, like.dtype)
    unit: Tensor = direction / torch.linalg.vector_norm(direction.float()).to(direction.dtype)
    return unit


def _described(tape: Tape, operation: int, name: str, norms: Sequence[float]) -> Recurrence | None:
    taped = tape.operations[operation]
    slope = _slope(norms)
    if slope is None:
        return None
    return Recurrence(
        name=taped.module or name,
        kind=taped.name if taped.kind == "recurrent" else "loop",
        steps=len(norms),
        decades_per_step=slope,
        decades=slope * (len(norms) - 1),
        location=taped.location,
    )


def _slope(norms: Sequence[float]) -> float | None:
    """Least-squares slope of log10 norm over steps back, on the steps that the number format can still hold."""
    if any(math.isnan(norm) for norm in norms):
        return None
    held = [(step, norm) for step, norm in enumerate(norms) if norm > FLOOR]
    if len(held) < 3:
        return FLOOR / max(1, len(held)) if held else None
    middle = sum(step for step, _ in held) / len(held)
    level = sum(norm for _, norm in held) / len(held)
    return sum((s - middle) * (n - level) for s, n in held) / sum((s - middle) ** 2 for s, _ in held)


def _one_per_place(found: Sequence[Recurrence]) -> list[Recurrence]:
    """Several weights of one cell tell of one recurrence: the one whose gradient changes most stands for it."""
    places: dict[str, Recurrence] = {}
    for recurrence in found:
        known = places.get(recurrence.name)
        if known is None or abs(recurrence.decades) > abs(known.decades):
            places[recurrence.name] = recurrence
    return list(places.values())
