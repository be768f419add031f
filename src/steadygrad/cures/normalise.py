"""A norm at every hidden activation: its input (or output) has mean 0 and variance 1 at any depth.

## What it does

Puts batch, layer, RMS or group norm before every hidden activation, or batch norm behind it. It uses batch norm only where
the batch has enough samples. A bias in front of the norm becomes idle; it stays, so that old checkpoints load.

## Mathematics

Batch norm gives each unit's pre-activations mean 0 and variance 1 over the batch. Sigmoid and tanh have nearly their
greatest slope there, and the scale of the weights in front no longer matters. The backward pass divides the gradient by the
scale that the norm removes, so shrunken layers do not shrink the gradient. Layer, RMS and group norm use the units of one
sample. They work for any batch, but samples grow alike in deep plain nets.

## What it changes

The function of the model. The norms' weights, biases and statistics are new state_dict keys; all old keys stay.

## When it is wrong

Batch norm needs some 16 samples a batch and differs between training and evaluation. In plain nets of more than about 50
layers batch norm makes the gradient explode, by a factor of about 1.2 a layer with ReLU: add skips too.

## References

- Ioffe and Szegedy 2015, arXiv:1502.03167; Ba et al. 2016, arXiv:1607.06450; Zhang and Sennrich 2019, arXiv:1910.07467.
- Wu and He 2018, arXiv:1803.08494; Yang et al. 2019, arXiv:1902.08129 (batch norm without skips explodes).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from steadygrad import numerals
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.layers import Net
from steadygrad.cures.modules import ChannelNorm, RowsBatchNorm
from steadygrad.cures.surgery import Wire
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Operation, Site

GROUP = "normalisation"
SAFETY = "unsafe"
PHASE = 0
FINDINGS = ("SG101", "SG102", "SG103", "SG105", "SG106", "SG201", "SG203", "SG204", "SG205", "SG301", "SG304")
CANDIDATES = {
    "batch-norm-before": ("normalisation", "unsafe"),
    "batch-norm-behind": ("normalisation", "unsafe"),
    "layer-norm-before": ("normalisation", "unsafe"),
    "rms-norm-before": ("normalisation", "unsafe"),
    "group-norm-before": ("normalisation", "unsafe"),
}

SMALLEST_BATCH = 16
"""Samples (times positions, in a convolution) under which batch statistics are noise: Wu and He 2018, figure 1, see
batch norm's error rise below 16."""

DEEP_PLAIN = 50
"""Layers without skips from which batch norm's own explosion is warned of: 1.2^50 is four decades."""

TITLES = {"batch": "batch norm", "layer": "layer norm", "rms": "RMS norm", "group": "group norm"}


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """Batch norm before and behind the activation, then layer, RMS and group norm before it."""
    hidden = normalisable(copy.net)
    if not hidden:
        return
    sites = tuple(copy.net.site(operation) for operation in hidden)
    names = {operation.name.strip("_") for operation in hidden}
    what = names.pop() if len(names) == 1 else "activations"
    samples = min(_samples(operation) for operation in hidden)
    if samples >= SMALLEST_BATCH:
        for side in ("before", "behind"):
            yield _candidate("batch", side, what, sites)
    for kind in ("layer", "rms", "group"):
        yield _candidate(kind, "before", what, sites)


def _candidate(kind: str, side: str, what: str, sites: tuple[Site, ...]) -> Candidate:
    edit = Edit("normalise", f"{kind} {side}", sites)
    return Candidate(f"{kind}-norm-{side}", f"{TITLES[kind]} {side} {what}", GROUP, SAFETY, (edit,))


def normalisable(net: Net) -> list[Operation]:
    """Hidden activations that have no norm in front already."""
    normed = {layer.activation.index for layer in net.layers if layer.activation is not None and layer.normalised}
    return [operation for operation in net.hidden if operation.index not in normed]


def _samples(operation: Operation) -> int:
    shape = operation.output_shape
    count = 1
    for size in shape[2:] if len(shape) > 3 else shape[1:-1]:
        count *= size
    return (shape[0] if shape else 1) * count if shape and shape[0] > 1 else 0


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Put norms in. Raises ``CannotCureError`` for batch norm on a batch too small for it."""
    kind, _, side = edit.to.partition(" ")
    operations = {copy.net.site(operation): operation for operation in copy.net.trace.operations}
    if kind == "batch" and any(_samples(operations[site]) < SMALLEST_BATCH for site in edit.sites):
        raise CannotCureError(
            f"batch norm needs {SMALLEST_BATCH} samples or more; use layer, RMS or group norm, or a larger batch"
        )
    example = next(p for p in copy.model.parameters() if p.is_floating_point())
    wires = [
        Wire("before" if side == "before" else "after", site, norm(kind, operations[site].output_shape).to(example))
        for site in edit.sites
    ]
    copy.wires.extend(wires)
    warnings: tuple[str, ...] = ()
    if kind == "batch" and len(wires) >= DEEP_PLAIN and not copy.net.skips:
        warnings = (f"batch norm in {len(wires)} layers without skips makes the gradient explode; add skips too",)
    adds = f"adds {numerals.count(len(wires), TITLES[kind])}"
    return Change(adds, adds, warnings=warnings)


def width_of(shape: tuple[int, ...]) -> int:
    """Features of rows (batch, ..., features), channels of images (batch, channels, height, width[, depth])."""
    return shape[1] if len(shape) > 3 else shape[-1]


def groups_of(channels: int) -> int:
    """The most groups, 32 at most, that leave two channels or more in each."""
    return next(g for g in (32, 16, 8, 4, 2, 1) if (channels % g == 0 and channels // g >= 2) or g == 1)


def norm(kind: str, shape: tuple[int, ...]) -> nn.Module:
    """A norm for outputs of this shape: rows (batch, ..., features) or images (batch, channels, height, width[, depth])."""
    image = len(shape) > 3
    channels = width_of(shape)
    if kind == "batch":
        if image:
            return nn.BatchNorm2d(channels) if len(shape) == 4 else nn.BatchNorm3d(channels)
        return nn.BatchNorm1d(channels) if len(shape) == 2 else RowsBatchNorm(nn.BatchNorm1d(channels))
    if kind == "group":
        groups = groups_of(channels)
        if not image and len(shape) > 2:
            return ChannelNorm(nn.GroupNorm(groups, channels))
        return nn.GroupNorm(groups, channels)
    made = nn.LayerNorm(channels) if kind == "layer" else nn.RMSNorm(channels)
    return ChannelNorm(made) if image else made
