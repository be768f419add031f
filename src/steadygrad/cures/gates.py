"""Gates that begin half open: the bias in front of a shut gate gives its input mean 0.

## What it does

Raises the bias in front of a shut gate. A shut gate is a sigmoid that multiplies something and is near 0 on most of the
batch. The bias of the layer in front rises by the distance of the gate's mean input below 0. The weights stay, and so do
the operations between layer and gate.

## Mathematics

A gate σ(z) passes the share σ(z) of its partner and has the slope σ(z) (1 − σ(z)). At z = −16 both are 1e-7, and neither
side of the product gets a gradient. At z = 0 they are 1/2 and 1/4.

## What it changes

Biases only: the same modules, the same state_dict keys.

## When it is wrong

Some gates are shut on purpose, so that their branch begins at zero. The cure leaves a gate as it is if its layer has no
bias, or more outputs than the gate has inputs.

## References

- Gers et al. 2000 (a forget gate's bias); Srivastava et al. 2015, arXiv:1505.00387 (biases of a transform gate).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from steadygrad import numerals
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.layers import Net
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Operation

GROUP = "numbers"
SAFETY = "safe"
PHASE = 1
FINDINGS = ("SG101", "SG102", "SG105", "SG106")
CANDIDATES = {
    "open-gates": ("numbers", "safe"),
}
ORDER = -1
"""Biases alone come before anything that draws weights again."""

GATES = ("sigmoid", "hardsigmoid")

SHUT = 0.6
"""Share of a gate's elements with less than 5 % of its greatest slope: SG102's SATURATED."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """One candidate, for all gates that are shut and have a bias in front."""
    layers = [layer for layer, _ in shut(copy.net) if _bias(copy, layer) is not None]
    if layers:
        edit = Edit("gates", "half open", tuple(copy.net.site(layer) for layer in layers))
        yield Candidate("open-gates", "gates that begin half open", GROUP, SAFETY, (edit,))


def shut(net: Net) -> list[tuple[Operation, float]]:
    """The layers in front of shut gates, each with the mean of what its gate takes; a layer that is used again once."""
    found: dict[str, tuple[Operation, float]] = {}
    for gate in net.trace.operations:
        seen = gate.saturation
        if gate.name.strip("_") not in GATES or seen is None or not net.gates(gate):
            continue
        if seen.saturated_share < SHUT or seen.input_mean >= 0.0:
            continue
        layer = _in_front(net, gate)
        if layer is not None:
            found.setdefault(layer.weight, (layer, seen.input_mean))
    return list(found.values())


def _in_front(net: Net, gate: Operation) -> Operation | None:
    """The layer whose result the gate takes, unit by unit: through sums, what is subtracted, and shapes of its width."""
    open_ = list(gate.parents)
    while open_:
        operation = net.operations.get(open_.pop(0))
        if operation is None or operation.output_shape[-1:] != gate.output_shape[-1:]:
            continue
        if operation.name == "linear" and operation.weight:
            return operation
        if operation.name.strip("_") in ("add", "radd", "iadd") or operation.kind == "shape":
            open_ += operation.parents
        elif operation.name.strip("_") in ("sub", "isub"):
            open_ += operation.parents[:1]
    return None


def _bias(copy: EditableCopy, layer: Operation) -> torch.nn.Parameter | None:
    """The bias beside the layer's weight, unless it is frozen."""
    module, _, name = layer.weight.rpartition(".")
    if name != "weight":
        return None
    bias = copy.model.get_submodule(module).bias
    return bias if isinstance(bias, torch.nn.Parameter) and bias.requires_grad else None


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Raise the biases, in place. Raises ``CannotCureError`` where there is none to raise."""
    done = 0
    with torch.no_grad():
        for layer, mean in shut(copy.net):
            bias = _bias(copy, layer)
            if bias is not None and copy.net.site(layer) in edit.sites:
                bias.sub_(mean)
                done += 1
    if not done:
        raise CannotCureError("no shut gate here has a bias of its own in front")
    return copy.numbers_changed(f"the biases in front of {numerals.count(done, 'gate')}")
