"""Weights drawn again: each layer gets the scale that the activation behind it needs.

## What it does

Draws the weights of the layers again so that forward signals and gradients keep their size. The schemes are He, Xavier and
LeCun (by fan-in), orthogonal (at the activation's critical scale), and data-driven (on a batch, layer by layer). Residual
branches, the head, and the layers in front of factors exp(·) can begin at zero. Biases begin at 0. Layers with a norm behind
them, heads (unless they are to begin at zero) and frozen weights keep their values.

## Mathematics

A layer multiplies the squared gradient by χ = σ_w² E[φ′(u)²], where σ_w² is fan-in times the weights' variance. He has σ_w²
= 2, for ReLU, which passes half of the units. Xavier has the variance 2 ÷ (fan-in + fan-out). LeCun has σ_w² = 1, for SELU.
The critical line has χ = 1 for the layer's own activation, by quadrature. Orthogonal weights have equal singular values,
not only the right mean. Data-driven scales the pre-activation of each layer to variance 1 on the batch, one layer after the
other. A factor exp(s) of a coupling or a scale begins at exp(0) = 1: n random factors multiply to e^(sum of s), which leaves
the range of numbers within few layers.

## What it changes

Numbers only: the same modules, the same function class, the same state_dict keys. Safe before training. It discards the
weights of a trained model.

## When it is wrong

No scale saves a deep net of sigmoids without a shift: use folded-initialisation. No scale makes up for a factor in the code
that shrinks the signal. A layer that was initialised on purpose loses its purpose.

## References

- Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks.
- LeCun et al. 1998, Efficient BackProp; Klambauer et al. 2017, arXiv:1706.02515 (SELU).
- He et al. 2015, arXiv:1502.01852; Saxe et al. 2014, arXiv:1312.6120 (orthogonal).
- Mishkin and Matas 2016, arXiv:1511.06422 (data-driven); Xiao et al. 2018, arXiv:1806.05393 (delta-orthogonal).
- Zhang et al. 2019, arXiv:1901.09321 (branches that begin at zero).
- Kingma and Dhariwal 2018, arXiv:1807.03039, section 3.3 (couplings that begin as the identity).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from steadygrad import numerals
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.layers import Layer, Net
from steadygrad.cures.surgery.weights import Held, visit
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit
from steadygrad.theory import activations, meanfield

GROUP = "numbers"
SAFETY = "safe"
PHASE = 2
FINDINGS = ("SG101", "SG102", "SG103", "SG105", "SG106", "SG201", "SG203", "SG204", "SG205", "SG301")
CANDIDATES = {
    "he-initialisation": ("numbers", "safe"),
    "xavier-initialisation": ("numbers", "safe"),
    "lecun-initialisation": ("numbers", "safe"),
    "orthogonal-initialisation": ("numbers", "safe"),
    "data-driven-initialisation": ("numbers", "safe"),
    "zero-branches": ("numbers", "safe"),
    "unit-factors": ("numbers", "safe"),
    "zero-head": ("numbers", "safe"),
}
AT_FIRST = 4
"""Candidates that are tried where nobody asked for one by name: the schemes whose derivation names another activation are
not among them."""

WORKING_VARIANCE = 0.25
"""Variance of the pre-activations at which the critical scale is taken: small enough that tanh is nearly linear."""

SCHEMES = {
    "he": "He initialisation",
    "xavier": "Xavier initialisation",
    "lecun": "LeCun initialisation",
    "orthogonal": "orthogonal, on the critical line",
    "data-driven": "data-driven initialisation",
    "zero-branches": "residual branches that begin at zero",
    "unit-factors": "factors exp(·) that begin at 1",
    "zero-head": "a head that begins at zero",
}

_DRAWN = ("he", "xavier", "lecun")

SUITED = {"tanh": "xavier", "softsign": "xavier", "hardtanh": "xavier", "sigmoid": "xavier", "selu": "lecun"}
"""The scheme whose derivation names the activation; He's for every other."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """Zero branches where there are skips, unit factors where an exp(·) multiplies; the scheme that suits the most frequent
    activation, orthogonal, data-driven, a zero head; then the schemes derived for other activations."""
    net = copy.net
    if net.skips:
        yield _candidate("zero-branches", net)
    if behind_factors(net):
        yield _candidate("unit-factors", net)
    layers = drawn_again(net)
    if not layers or not mostly_plain(net):
        return
    names = [layer.activation.name.strip("_") for layer in layers if layer.activation is not None]
    common = max(set(names), key=names.count)
    for scheme in dict.fromkeys((SUITED.get(common, "he"), "orthogonal", "data-driven", "zero-head", *_DRAWN)):
        yield _candidate(scheme, net)


def _candidate(scheme: str, net: Net) -> Candidate:
    sites = tuple(net.site(layer.operation) for layer in drawn_again(net))
    name = scheme if scheme in ZEROED else f"{scheme}-initialisation"
    return Candidate(name, SCHEMES[scheme], GROUP, SAFETY, (Edit("initialise", scheme, sites),))


def drawn_again(net: Net) -> list[Layer]:
    """Layers whose result goes into an activation without a norm between: the others' scale is not what is wrong."""
    return [layer for layer in net.layers if layer.activation is not None and not layer.normalised]


def mostly_plain(net: Net) -> bool:
    """Whether most of the layers stand on the trunk: inside blocks with skips the scale is not what decides."""
    layers = drawn_again(net)
    return not net.skips or 2 * sum(layer.on_trunk for layer in layers) > len(layers)


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Draw the weights again, in place, from the subject's seed. Raises ``CannotCureError`` where none can be drawn."""
    generator = torch.Generator().manual_seed(copy.subject.seed)
    zeroed = ZEROED.get(edit.to)
    count = _zero(copy, zeroed(copy.net)) if zeroed is not None else _draw(copy, edit.to, generator)
    if not count:
        raise CannotCureError("no weight here can be drawn again: they are frozen, or normalised behind")
    return copy.numbers_changed(f"{numerals.count(count, 'weight')} drawn again")


def _draw(copy: EditableCopy, scheme: str, generator: torch.Generator) -> int:
    activation = {layer.weight: layer.activation.name for layer in drawn_again(copy.net) if layer.activation}
    done = 0

    def visitor(held: Held) -> None:
        nonlocal done
        if held.name not in activation or held.frozen:
            return
        held.write(_weights(held, scheme, activation[held.name], generator))
        held.write_bias(0.0)
        if scheme == "data-driven":
            spread = float(held.call(held.weight).std())
            if math.isfinite(spread) and spread > 0:
                held.write(held.matrices() / spread)
        done += 1

    visit(copy.model, copy.run, visitor)
    return done


def _weights(held: Held, scheme: str, activation: str, generator: torch.Generator) -> Tensor:
    shape = held.matrices().shape
    phi = activations.find(activation)
    if scheme in ("orthogonal", "data-driven"):
        gain = 1.0
        if phi is not None and scheme == "orthogonal":
            gain = meanfield.critical_point(phi, WORKING_VARIANCE)[0]
        return gain * orthogonal(shape, generator, delta=held.kind in ("convolution", "transposed")).to(held.weight)
    deviation = {
        "he": math.sqrt(2.0 / held.fan_in),
        "xavier": math.sqrt(2.0 / (held.fan_in + held.fan_out)),
        "lecun": math.sqrt(1.0 / held.fan_in),
    }[scheme]
    return (deviation * torch.randn(shape, generator=generator)).to(held.weight)


def orthogonal(shape: torch.Size, generator: torch.Generator, *, delta: bool) -> Tensor:
    """(groups, units, channels, kernel...) with orthogonal matrices (groups, units, channels), scaled to keep the norm.

    A kernel gets the matrix at its middle and zeros beside it (delta-orthogonal, Xiao et al. 2018, section 3) where there
    are at least as many units as channels; a layer that widens from fewer channels than units draws over the whole
    kernel, so that no unit sees one pixel alone.
    """
    groups, units, channels, *kernel = shape
    size = math.prod(kernel)
    whole = not delta or size == 1 or channels < units
    flat = torch.stack([_orthogonal(units, channels * (size if whole else 1), generator) for _ in range(groups)])
    if whole:
        return flat.reshape(shape)
    weights = torch.zeros(groups, units, channels, size)
    weights[..., _middle(kernel)] = flat
    return weights.reshape(shape)


def _orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Haar-distributed, with rows or columns orthonormal, scaled so that white noise keeps its variance per unit."""
    tall = torch.randn(max(rows, columns), min(rows, columns), generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(tall)
    q = q * torch.sign(torch.diagonal(r))
    matrix = q if rows >= columns else q.T
    scaled: Tensor = matrix * math.sqrt(max(1.0, rows / columns))
    return scaled.float()


def _middle(kernel: list[int]) -> int:
    index = 0
    for size in kernel:
        index = index * size + size // 2
    return index


def _zero(copy: EditableCopy, layers: Iterable[int]) -> int:
    """The layers' weights and biases set to 0: a block begins as the identity, a head with the same answer for all."""
    operations = copy.net.operations
    names = {operations[index].weight or operations[index].module for index in layers}
    done = 0

    def visitor(held: Held) -> None:
        nonlocal done
        if held.name in names and not held.frozen:
            held.write(torch.zeros_like(held.matrices()))
            held.write_bias(0.0)
            done += 1

    visit(copy.model, copy.run, visitor)
    return done


def heads(net: Net) -> list[int]:
    """Layers whose result no other layer takes."""
    taken = _ancestors(net, *(layer.operation.index for layer in net.layers))
    return [layer.operation.index for layer in net.layers if layer.operation.index not in taken]


def last_of_branches(net: Net) -> list[int]:
    """Layers whose result an addition takes whose other side goes around them."""
    found = []
    for operation in net.trace.operations:
        if operation.name.strip("_") not in ("add", "iadd", "radd") or len(operation.parents) != 2:
            continue
        one, other = operation.parents
        for branch, around in ((one, other), (other, one)):
            layer = _last_layer(net, branch)
            if layer is not None and around in _ancestors(net, layer):
                found.append(layer)
                break
    return found


def behind_factors(net: Net) -> list[int]:
    """Layers whose result becomes a factor exp(·) of something, through shapes, a scale and what keeps 0 at 0."""
    found = []
    for operation in net.trace.operations:
        if operation.name.strip("_") != "exp" or not net.gates(operation):
            continue
        layer = _last_layer(net, operation.parents[0], through=_KEEPS_ZERO) if operation.parents else None
        if layer is not None and layer not in found:
            found.append(layer)
    return found


_KEEPS_ZERO = ("tanh", "softsign", "hardtanh", "clamp", "arctan")

ZEROED: dict[str, Callable[[Net], list[int]]] = {
    "zero-branches": last_of_branches,
    "unit-factors": behind_factors,
    "zero-head": heads,
}
"""The schemes that set weights and biases to 0, with the layers of which they do."""


def _last_layer(net: Net, index: int, through: tuple[str, ...] = ()) -> int | None:
    """The multiplication by a weight that the operation's result comes from, through shapes, dropout, scalings and the named."""
    layers = {layer.operation.index for layer in net.layers}
    operation = net.operations.get(index)
    while operation is not None:
        if operation.index in layers:
            return operation.index
        passes = operation.kind in ("shape", "dropout", "arithmetic") or operation.name.strip("_") in through
        if not passes or len(operation.parents) != 1:
            return None
        operation = net.operations.get(operation.parents[0])
    return None


def _ancestors(net: Net, *indices: int) -> set[int]:
    found: set[int] = set()
    open_ = list(indices)
    while open_:
        operation = net.operations.get(open_.pop())
        for parent in operation.parents if operation is not None else ():
            if parent not in found:
                found.add(parent)
                open_.append(parent)
    return found
