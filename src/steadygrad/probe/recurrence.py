"""Recurrences: the same weights or expression, step after step, and the gradient from the last step back through them.

The loss may look at every step, and then hides what happens between distant ones. So a unit gradient is laid on the
last step alone and followed back; its norm by step gives the gain of one step, whatever the loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from steadygrad.probe.backward import log10_norm
from steadygrad.probe.operation_kinds import SUMS
from steadygrad.probe.tape import Tape
from steadygrad.probe.taped import Reuse, SequenceCall, Taped
from steadygrad.record import Recurrence
from steadygrad.torch_internals.tensors import sequence_number

FEWEST_STEPS = 8
"""Below this many steps no slope is fitted: a recurrence that short is judged by the trunk."""

FLOOR = -30.0
"""log10 norm below which float32 gradients turn denormal and no longer show a slope."""


def recurrences(tape: Tape) -> tuple[Recurrence, ...]:
    """Gain per step of every recurrence on the tape. Runs extra backward passes; the graph is kept."""
    found = [_fused(tape, call) for call in tape.sequences]
    found += [_looped(tape, reuse) for reuse in tape.reuse.values() if len(reuse.nodes) >= FEWEST_STEPS]
    known = [recurrence for recurrence in found if recurrence is not None]
    if not known:
        known = [one for chain in _states(tape) if (one := _carried(tape, chain)) is not None]
    return tuple(_one_per_place(known))


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
    last, parameter = reuse.last, reuse.parameter
    norms = _arriving(
        reuse.nodes,
        lambda: torch.autograd.grad(last, parameter, _unit(last), retain_graph=True, allow_unused=True),
    )
    if len(norms) < FEWEST_STEPS:
        return None
    return _described(tape, reuse.operations[0], reuse.name, norms)


def _states(tape: Tape) -> list[list[Taped]]:
    """Sums that one expression makes again and again, each from the one before, with the same weights every time."""
    places: dict[object, list[Taped]] = {}
    for taped in tape.operations:
        if taped.name in SUMS and taped.call is not None and len(taped.parents) > 1:
            places.setdefault(taped.call, []).append(taped)
    return [
        chain
        for chain in places.values()
        if len(chain) >= FEWEST_STEPS and _same_weights(tape, chain) and _chained(chain)
    ]


def _same_weights(tape: Tape, chain: Sequence[Taped]) -> bool:
    used = [
        {taped.weight for taped in tape.operations[before.index + 1 : after.index]} - {""}
        for before, after in pairwise(chain[1:])
    ]
    return all(weights == used[0] for weights in used)


def _chained(chain: Sequence[Taped]) -> bool:
    first, last = chain[0].node, chain[-1].node
    return first is not None and last is not None and _leads_back(last, first)


def _carried(tape: Tape, chain: Sequence[Taped]) -> Recurrence | None:
    """Gain of one step of a state that an expression carries along, whatever makes the new from the old."""
    nodes = [taped.node for taped in chain if taped.node is not None]
    last = chain[-1]
    cotangent = _unit(
        torch.empty(last.shape, dtype=last.dtype, device=None if last.sample is None else last.sample.device)
    )
    ends = GradientEdge(nodes[-1], 0), GradientEdge(nodes[0], 0)
    norms = _arriving(
        nodes, lambda: torch.autograd.grad(ends[:1], ends[1:], (cotangent,), retain_graph=True, allow_unused=True)
    )
    return None if len(norms) < FEWEST_STEPS else _described(tape, chain[0].index, chain[0].name, norms)


def _arriving(nodes: Sequence[Node], run: Callable[[], object]) -> list[float]:
    """log10 norm of the gradient that arrives at each node while ``run`` runs, last node first."""
    arrived: dict[int, float] = {}
    handles = [
        node.register_prehook(lambda gradients, step=step: arrived.__setitem__(step, log10_norm(gradients)))
        for step, node in enumerate(nodes)
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return [arrived[step] for step in sorted(arrived, reverse=True)]


def _leads_back(start: Node, end: Node) -> bool:
    todo, seen, oldest = [start], {start}, sequence_number(end)
    while todo:
        node = todo.pop()
        if node is end:
            return True
        for target, _ in node.next_functions:
            if (
                target is not None
                and target not in seen
                and oldest <= sequence_number(target) <= sequence_number(start)
            ):
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
    """Several weights of one cell belong to one recurrence: the one whose gradient changes most stands for it."""
    places: dict[str, Recurrence] = {}
    for recurrence in found:
        known = places.get(recurrence.name)
        if known is None or abs(recurrence.decades) > abs(known.decades):
            places[recurrence.name] = recurrence
    return list(places.values())
