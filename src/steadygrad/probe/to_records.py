"""From what the tape and the watch hold to records: the last step of a probe, after both passes are over.

Everything here works on small samples; nothing touches the model again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.copies.nested import tensors_in
from steadygrad.probe import attention, positions, units
from steadygrad.probe.backward import Watch
from steadygrad.probe.calls import NUMBERS
from steadygrad.probe.graph import Graph
from steadygrad.probe.sampling import STACKED, statistics
from steadygrad.probe.tape import Tape
from steadygrad.probe.taped import Taped
from steadygrad.probe.trunk_path import TrunkPath
from steadygrad.record import BlindSpot, Operation, Saturation
from steadygrad.theory.activations import find

SATURATED = 0.05
"""A unit is saturated where its derivative is below 5 % of the greatest the activation has (the design's definition)."""


CLAMPS = frozenset(["clamp", "clip", "clamp_min"])
"""Their derivative is 1 within the bounds that the call gives, and 0 outside."""

_NUMBERS = frozenset(name.strip("_") for name in NUMBERS)


def operations(tape: Tape, graph: Graph | None, watch: Watch) -> tuple[Operation, ...]:
    """Every taped operation as a record."""
    outputs = statistics(
        [taped.sample for taped in tape.operations],
        [taped.layout is not None for taped in tape.operations],
        tape.batch_size,
    )
    apart = positions.apart([taped.positions for taped in tape.operations])
    saturations = _saturations(tape.operations)
    records = []
    for taped, output, distance in zip(tape.operations, outputs, apart, strict=True):
        entropy, logit_std = attention.entropy(taped.attention)
        position = graph.position.get(taped.node) if graph is not None and taped.node is not None else None
        records.append(
            Operation(
                index=taped.index,
                name=_name(taped),
                kind=taped.kind,
                module=taped.module,
                module_type=taped.module_type,
                location=taped.location,
                call=taped.call,
                construction=taped.construction,
                output_shape=taped.shape,
                dtype=str(taped.dtype).removeprefix("torch."),
                output=output,
                saturation=saturations.get(taped.index),
                log10_gradient=None if position is None else watch.log10_norm.get(position),
                weight=taped.weight,
                fan_in=taped.fan_in,
                attention_entropy=entropy,
                attention_logit_std=logit_std,
                parents=taped.parents,
                crossed=taped.crossed,
                target=taped.target,
                dropped=taped.dropped,
                likelihood=taped.likelihood,
                positions_apart=distance,
            )
        )
    return tuple(records)


def _name(taped: Taped) -> str:
    """Its own; a hard tanh that begins at 0 is the rectifier that ``nn.ReLU6`` calls so."""
    positional, named = taped.options
    low = named.get("min_val", positional[0] if positional else None)
    return "relu6" if taped.name == "hardtanh" and low == 0 else taped.name


def cuts(tape: Tape) -> tuple[Operation, ...]:
    """The operations that ended a gradient's path, as records."""
    return tuple(
        Operation(
            index=taped.index,
            name=taped.name,
            kind="cut",
            module=taped.module,
            module_type=taped.module_type,
            location=taped.location,
            call=taped.call,
            construction=taped.construction,
            output_shape=taped.shape,
            dtype=str(taped.dtype).removeprefix("torch."),
        )
        for taped in tape.cuts
    )


def _saturations(taped: Sequence[Taped]) -> dict[int, Saturation]:
    """Derivatives of each activation on the sampled inputs, by autograd, all calls of one kind together."""
    groups: dict[tuple[Any, ...], list[Taped]] = defaultdict(list)
    for one in taped:
        if one.inputs is not None and _greatest(one.name) is not None and _replayable(one):
            groups[one.name, repr(one.options), *one.inputs.alike].append(one)
    found: dict[int, Saturation] = {}
    for (name, *_), group in groups.items():
        greatest, options = _greatest(name), group[0].options
        assert greatest is not None
        most = max(1, STACKED // group[0].inputs.sample.numel())  # type: ignore[union-attr]
        for members in (group[i : i + most] for i in range(0, len(group), most)):
            inputs = [one.inputs for one in members if one.inputs is not None]
            stack = torch.stack([one.sample for one in inputs])
            derivative = _derivative(name, options, stack)
            if derivative is None:
                break
            dead = units.dead_shares(inputs, derivative, partial(_derivative, name, options))
            flat, values = derivative.flatten(1), stack.flatten(1)
            rms = flat.square().mean(1).sqrt().tolist()
            share = (flat.abs() < SATURATED * greatest).double().mean(1).tolist()
            means, stds = values.mean(1).tolist(), values.std(1, correction=0).tolist()
            for i, one in enumerate(members):
                found[one.index] = Saturation(rms[i], greatest, share[i], dead[i], means[i], stds[i])
    return found


def _greatest(name: str) -> float | None:
    """The greatest derivative that it has; None where that is not known."""
    known = find(name)
    return 1.0 if name in CLAMPS else None if known is None else known.greatest_derivative


def _replayable(taped: Taped) -> bool:
    positional, named = taped.options
    return not list(tensors_in(positional)) and not list(tensors_in(named))


def _derivative(name: str, options: tuple[tuple[Any, ...], dict[str, Any]], stack: Tensor) -> Tensor | None:
    function = getattr(F, name, None) or getattr(torch, name, None)
    if function is None:
        return None
    positional, named = options
    named = {key: value for key, value in named.items() if key not in ("inplace", "input", "out")}
    # F.relu(x, inplace) and kin pass the flag by position; a replay on a sample must not write into it.
    positional = tuple(False if isinstance(value, bool) else value for value in positional)
    leaf = stack.detach().clone().requires_grad_()
    with torch.enable_grad():
        (derivative,) = torch.autograd.grad(function(leaf, *positional, **named).sum(), leaf)
    return derivative.detach()


def underflow(watch: Watch, course: TrunkPath | None, graph: Graph | None, tape: Tape) -> tuple[float, int | None]:
    """Worst share, over the trunk, of float16 gradient elements that the format would have rounded to zero."""
    worst, where = 0.0, None
    if course is None or graph is None:
        return worst, where
    smallest = 2.0**-25
    for position, (elements, exponent) in watch.samples.items():
        held = elements[elements != 0].abs()
        if not len(held):
            continue
        share = float((torch.log2(held) - exponent < math.log2(smallest)).double().mean())
        if share > worst:
            worst, where = share, tape.owner_of(graph.nodes[position])
    return worst, where


def narrowest(tape: Tape, loss: Tensor) -> str:
    """The least precise floating-point dtype that any operation put out."""
    dtypes = {taped.dtype for taped in tape.operations if taped.dtype.is_floating_point} | {loss.dtype}
    return str(max(dtypes, key=lambda dtype: torch.finfo(dtype).tiny * 2.0**10 + torch.finfo(dtype).eps)).removeprefix(
        "torch."
    )


def inputs(tape: Tape, batch: Any) -> tuple[float | None, float | None]:
    """Mean and standard deviation of the model's first floating-point input."""
    seen = [value for _, value in tape.inputs_seen if value.is_floating_point() and value.numel()]
    given = [value for value in tensors_in(batch) if value.layout is torch.strided and not value.is_quantized]
    seen = seen or [value for value in given if value.is_floating_point() and value.dim() and value.numel()]
    if not seen:
        return None, None
    value = seen[0].detach().float()
    return float(value.mean()), float(value.std(correction=0))


def blind_spots(model: nn.Module, tape: Tape, graph: Graph | None) -> list[BlindSpot]:
    """List what could not be followed: custom autograd functions, detached parts, modules that never ran."""
    spots = []
    if graph is not None:
        custom: dict[str, int] = {}
        for node in graph.nodes:
            if tape.owner_of(node) is None and not hasattr(node, "variable"):
                custom[node.name()] = custom.get(node.name(), 0) + 1
        spots += [BlindSpot(f"its inside was not followed, {count} ×", name) for name, count in custom.items()]
    cuts = {(cut.name, cut.location): cut for cut in tape.cuts if cut.name not in _NUMBERS}
    for taped in list(cuts.values())[:20]:
        spots.append(BlindSpot(f"{taped.name} ends the gradient's path", taped.module or "the model", taped.location))
    idle = [path for path, module in model.named_modules() if path and _idle(path, module, tape)]
    spots += [BlindSpot("it never ran", path) for path in idle[:20]]
    if len(idle) > 20:
        spots.append(BlindSpot(f"{len(idle) - 20} more modules never ran", "the model"))
    return spots


def _idle(path: str, module: nn.Module, tape: Tape) -> bool:
    """A layer with weights that was neither called nor read by another."""
    names = [f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)]
    return bool(names) and id(module) not in tape.ran and not any(name in tape.taken for name in names)
