"""Folded initialisation: it keeps the size of signal and gradient in a plain net of any depth.

## What it does

Sets the weights and biases of every plain layer so that its pre-activations have the scale α and the mean β. At this working
point the activation behind the layer keeps a net of this depth trainable. Weights are orthogonal (delta-orthogonal in
convolutions). One pass over the batch sets them layer by layer. It scales each layer so that its pre-activations have
standard deviation α, and sets each unit's bias so that its mean is β. The learning rate then comes from the step test; it
falls about as 1 ÷ depth.

## Mathematics

Let u = α z + β with z ~ N(0, 1), and let v be the variance of φ(u). A map moves the correlation of two samples from layer
to layer. Its slope at 1 is C′(1) = α² E[φ′(u)²] ÷ v. The cure chooses α and β so that C′(1)^L = 1.5 over L layers and errors
of the variance shrink (Q′(1) ≤ 1). `steadygrad activations` prints α and β.

## What it changes

Numbers only: the same modules, the same activations, the same state_dict keys. Safe before training. It discards the
weights of a trained model.

## When it is wrong

Layers need biases where β or the mean of the activation is not 0. At great depth the net begins nearly linear, and is
trainable because of it; it bends as it learns. Blocks with skips, norms and recurrences do not need this cure.

## References

- Martens et al. 2021, arXiv:2110.01765 (deep kernel shaping).
- Zhang et al. 2022, arXiv:2203.08120 (tailored activation transformation).
- Xiao et al. 2018, arXiv:1806.05393 (delta-orthogonal).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from steadygrad import numerals
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.initialise import drawn_again, mostly_plain, orthogonal
from steadygrad.cures.surgery.weights import Held, visit
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit
from steadygrad.theory.activations import find
from steadygrad.theory.folding import Folding, fold

GROUP = "numbers"
SAFETY = "safe"
PHASE = 3
FINDINGS = ("SG101", "SG102", "SG103", "SG105", "SG106", "SG201", "SG203", "SG204", "SG205", "SG301")
CANDIDATES = {
    "folded-initialisation": ("numbers", "safe"),
}

HEAD_SCALE = 1.0
"""Standard deviation over the batch of a head's output, centred: enough to learn from, no confident wrong answer."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """One candidate, for nets with plain layers whose activations are known."""
    layers = drawn_again(copy.net)
    if (
        layers
        and mostly_plain(copy.net)
        and all(layer.activation is None or find(layer.activation.name) for layer in layers)
    ):
        sites = tuple(copy.net.site(layer.operation) for layer in layers)
        edit = Edit("fold", "folded", sites, value=float(len(layers)))
        yield Candidate("folded-initialisation", "folded initialisation", GROUP, SAFETY, (edit,))


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Fold every plain layer, in place. Raises ``CannotCureError`` where a layer has no bias to shift."""
    plain = {layer.weight: layer for layer in drawn_again(copy.net)}
    heads = {layer.weight for layer in copy.net.layers if layer.activation is None and not layer.normalised}
    depth = len(plain)
    generator = torch.Generator().manual_seed(copy.subject.seed)
    done = 0
    folded = False

    def visitor(held: Held) -> None:
        nonlocal done, folded
        if held.frozen:
            return
        if held.name in plain:
            activation = plain[held.name].activation
            phi = find(activation.name) if activation is not None else None
            if phi is None:
                raise CannotCureError(f"the activation behind {held.name} is not known")
            point = fold(phi, depth)
            if point is None:
                raise CannotCureError(f"{phi.name} has no working point at {depth} layers")
            _fold(held, point, generator)
            folded = True
            done += 1
        elif folded and held.name in heads:
            # The output of the last folded layer is small and has a mean; the head sees neither.
            _settle(held, HEAD_SCALE, 0.0)
            folded = False

    visit(copy.model, copy.run, visitor)
    if not done:
        raise CannotCureError("no weight here can be folded: they are frozen")
    return copy.numbers_changed(f"{numerals.count(done, 'layer')} folded")


def _fold(held: Held, point: Folding, generator: torch.Generator) -> None:
    if held.bias is None and abs(point.shift) + abs(point.output_mean) > 1e-9:
        raise CannotCureError(f"{held.name} has no bias to shift; build its layer with bias=True")
    convolution = held.kind in ("convolution", "transposed")
    held.write(orthogonal(held.matrices().shape, generator, delta=convolution).to(held.weight))
    _settle(held, point.scale, point.shift)


def _settle(held: Held, scale: float, shift: float) -> None:
    """Scale the weight so that the result's deviation is ``scale``, set the bias so that each unit's mean is ``shift``."""
    held.write_bias(0.0)
    result = held.call(held.weight).double()
    others = [d for d in range(result.dim()) if d != held.unit_dimension % result.dim()]
    mean = result.mean(others, keepdim=True)
    spread = float((result - mean).square().mean().sqrt())
    if not math.isfinite(spread) or spread <= 0.0:
        return
    factor = scale / spread
    held.write(held.matrices() * factor)
    held.write_bias((shift - mean * factor).flatten())
