"""Skips: they add the input of a layer to its output, or to the output of a later layer.

## What it does

Adds the input of a layer to its output (span 1), or to the output of the second or third layer (span 2, 3). It scales
branches by 1 ÷ √blocks, or by a gate that is trained and begins at 0. Where shapes differ, it pads the skip with zeros
(channels) and averages it (strides). A block whose shapes cannot be matched gets no skip.

## Mathematics

h + f(h) has the derivative 1 + f′(h): the 1 passes the gradient on unchanged, whatever f does. Unscaled branches double the
variance block by block. With 1 ÷ √blocks the variance grows by a constant factor over all blocks. With gates of 0 the model
is its skips alone: each gain is exactly 1 at any depth, and every gate gets a gradient from the first step on. The branches
follow as the gates open.

## What it changes

The function of the model. state_dict keys and shapes stay; gates are new parameters.

## When it is wrong

Some layers are to forget their input, as in a bottleneck. Skips without a branch scale explode under SGD.

## References

- He et al. 2016, arXiv:1512.03385 and arXiv:1603.05027; Balduzzi et al. 2017, arXiv:1702.08591 (branch scale).
- Bachlechner et al. 2021, arXiv:2003.04887 (gates that begin at 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steadygrad import numerals
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.layers import Layer, Net
from steadygrad.cures.modules import Gated, Plus, Resize
from steadygrad.cures.surgery import Wire
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Operation

GROUP = "residual"
SAFETY = "unsafe"
PHASE = 0
FINDINGS = ("SG101", "SG102", "SG103", "SG105", "SG106", "SG201", "SG203", "SG204", "SG205", "SG301", "SG302")
CANDIDATES = {
    "residual-span-2": ("residual", "unsafe"),
    "residual-span-1": ("residual", "unsafe"),
    "residual-span-3": ("residual", "unsafe"),
    "residual-gates": ("residual", "unsafe"),
}

GATED = "gated"
"""What an edit says whose branches are multiplied by trained gates."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """Span 2, 1 and 3 with scaled branches, then a gate around each layer, for the plain layers of the trunk."""
    plain = plain_layers(copy.net)
    for span, gated in ((2, False), (1, False), (3, False), (1, True)):
        blocks = spans(copy.net, plain, span)
        if blocks:
            sites = tuple(copy.net.site(o) for first, last in blocks for o in (first, last))
            if gated:
                edit = Edit("residual", GATED, sites, value=0.0)
                yield Candidate("residual-gates", "residual, gates that begin at 0", GROUP, SAFETY, (edit,))
            else:
                edit = Edit("residual", "scaled", sites, value=1.0 / math.sqrt(len(blocks)), span=span)
                yield Candidate(f"residual-span-{span}", f"residual, span {span}, scaled", GROUP, SAFETY, (edit,))


def plain_layers(net: Net) -> list[tuple[Layer, Operation]]:
    """Layers with their activations, in order, that a skip can go around: each feeds the next."""
    hidden = {operation.index for operation in net.hidden}
    return [
        (layer, layer.activation)
        for layer in net.layers
        if layer.activation is not None and layer.activation.index in hidden and layer.activation.name != "softmax"
    ]


def spans(net: Net, plain: Sequence[tuple[Layer, Operation]], span: int) -> list[tuple[Operation, Operation]]:
    """Pairs (first layer, last activation) of blocks of ``span`` layers, one behind the other.

    The first layer of a net that changes the width takes no part, so that blocks lie between equals where they can.
    """
    found, start = [], 0
    while start + span <= len(plain):
        first, last = plain[start][0].operation, plain[start + span - 1][1]
        if _resize(net, first, last) is None:
            start += 1
            continue
        found.append((first, last))
        start += span
    return found


def _resize(net: Net, first: Operation, last: Operation) -> tuple[int, ...] | None:
    """What the skip needs to fit: () nothing, (channels, stride, dimension) padding; None where it cannot."""
    shape = _input_shape(net, first)
    if shape is None:
        return None
    target = last.output_shape
    if shape == target:
        return ()
    if len(shape) != len(target):
        return None
    if len(shape) in (2, 3) and first.name == "linear":
        return (target[-1], 1, -1) if shape[:-1] == target[:-1] else None
    strides = {math.ceil(a / b) for a, b in zip(shape[2:], target[2:], strict=True)}
    if len(strides) != 1:
        return None
    stride = strides.pop()
    if len(shape) > 4 or [math.ceil(size / stride) for size in shape[2:]] != list(target[2:]):
        return None
    return (target[1], stride, 1)


def _input_shape(net: Net, operation: Operation) -> tuple[int, ...] | None:
    source = net.operations.get(operation.parents[0]) if operation.parents else None
    return source.output_shape if source is not None else None


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Add the skips. Raises ``CannotCureError`` where a pair of sites is not to be found in the trace."""
    operations = {copy.net.site(operation): operation for operation in copy.net.trace.operations}
    pairs = list(zip(edit.sites[::2], edit.sites[1::2], strict=True))
    example = next(p for p in copy.model.parameters() if p.is_floating_point())
    wires = []
    for source, site in pairs:
        need = _resize(copy.net, operations[source], operations[site])
        if need is None:
            raise CannotCureError(f"the skip around {source.module or source.name} cannot be brought into shape")
        resize = Resize(need[0], need[1], channel_dimension=need[2]) if need else None
        joint = Gated(resize).to(example) if edit.to == GATED else Plus(edit.value or 1.0, resize)
        wires.append(Wire("join", site, joint, source))
    if not wires:
        raise CannotCureError("there is no layer that a skip can go around")
    copy.wires.extend(wires)
    adds = f"adds {numerals.count(len(wires), 'addition')}"
    branches = "each branch × a gate that begins at 0" if edit.to == GATED else f"each branch × {edit.value or 1.0:.3g}"
    return Change(f"{adds}, {branches}", adds)
