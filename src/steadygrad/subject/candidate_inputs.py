"""Candidate inputs of a model, guessed from its first layers and from the signature of its ``forward``.

Guesses come in the order in which they are worth a try; whether one is right, only running it says. May rely on torch's
modules; must not run anything.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import torch
from torch import nn

from steadygrad.subject.input_hints import hinted
from steadygrad.subject.inputs import TensorSpec
from steadygrad.subject.named_sizes import sizes_of
from steadygrad.subject.pretrained import is_pretrained, pretrained_guesses
from steadygrad.torch_internals.held import BatchNorm, Convolution, TransposedConvolution, child_table

TIME = 16
"""Steps of a made sequence: short enough that a healthy recurrence keeps its gradient."""
LENGTHS = (32, TIME, 64, 8, 128, 10, 20, 50, 100, 256, 512, 4)
SENTENCES = (LENGTHS[0], 24, 20, TIME, 12, 10, 8, 4)
"""Tokens: 32, or as many fewer as a table of positions allows, before a single id for each sample."""
IMAGES = (32, 64, 28, 224, 16, 8, 128, 256, 96, 48, 84, 299, 12, 10, 20, 24, 40, 112, 4, 14, 36, 50, 100, 512)
VOLUMES = (16, 32, 8, 64, 24, 48, 96)
SIGNALS = (128, 64, 256, 32, 1024, 100, 1000, 16, 4096, 16000, 512)
SEEDS_OF_IMAGES = (4, 1, 8, 7, 16, 32)

LAYERS_LOOKED_AT = 8
COMBINATIONS = 64

_SEQUENCE = (nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
_TIMES = ("t", "time", "times", "timestep", "timesteps", "noise_level", "sigma")


@dataclass(frozen=True)
class Guess:
    """Inputs of a forward, by position (tuple) or name (dict), each for one sample; and where the guess comes from."""

    inputs: Any
    source: str

    def of_size(self, samples: int) -> Guess:
        """The same for a batch of ``samples``."""
        if isinstance(self.inputs, dict):
            return replace(self, inputs={name: spec.of_size(samples) for name, spec in self.inputs.items()})
        return replace(self, inputs=tuple(spec.of_size(samples) for spec in self.inputs))

    @property
    def words(self) -> str:
        """ "64 × 20 of N(0, 1), made from the first layer (Linear, 20 features)"."""
        named = self.inputs.items() if isinstance(self.inputs, dict) else (("", spec) for spec in self.inputs)
        parts = [f"{name} {spec.words}".strip() for name, spec in named]
        return f"{', '.join(parts) or 'no input'}, {self.source}"


def guesses(model: nn.Module) -> Iterator[Guess]:
    """Everything worth a try, the most plausible first."""
    if is_pretrained(model):
        for inputs in pretrained_guesses(model):
            yield Guess(inputs, "made from the model's configuration")
    names = required_inputs(model)
    if not names:
        yield Guess((), "as forward takes none")
        return
    layers = list(islice(_typed_layers(model), LAYERS_LOOKED_AT))
    for specs_of, source in hinted(sizes_of(model), names, [layer for layer, _ in layers], _is_sequential(model)):
        yield Guess(specs_of, source)
    if len(names) == 1:
        for layer, specs in layers:
            yield from (Guess((spec,), _made_from(layer, spec)) for spec in specs)
    else:
        yield from _several(names, layers)
    if len(names) == 1:
        kind = _dtype(model)
        for shape in ((3, 224, 224), (3, 32, 32), (1, 28, 28), *_shapes_of_weights(model)):
            yield Guess((TensorSpec((1, *shape), kind),), "made from the shapes of its weights")


def required_inputs(model: nn.Module) -> list[str]:
    """Names of the arguments that ``forward`` must be given; one for ``*args`` alone."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except ValueError:
        return ["input"]
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p.name for p in parameters if p.kind in plain and p.default is p.empty]
    if required or not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return required
    return ["input"]


def _several(names: list[str], layers: list[tuple[nn.Module, list[TensorSpec]]]) -> Iterator[Guess]:
    """Inputs of a model that takes several: the first layers in turn, one layer for all, then every mixture."""
    wanted = len(names)
    if layers and isinstance(layers[0][0], nn.Bilinear) and wanted == 2:
        first = layers[0][0]
        pair = tuple(TensorSpec((1, size), first.weight.dtype) for size in (first.in1_features, first.in2_features))
        yield Guess(pair, "made from the first layer (Bilinear)")
    if layers and isinstance(layers[0][0], nn.RNNCellBase) and wanted == 2:
        cell = layers[0][0]
        pair = tuple(TensorSpec((1, size), cell.weight_hh.dtype) for size in (cell.input_size, cell.hidden_size))
        yield Guess(pair, f"made from the first layer ({type(cell).__name__})")
    timed = [name in _TIMES for name in names]
    untimed = wanted - sum(timed)
    if not any(isinstance(module, _SEQUENCE) for module, _ in layers):
        # Two tables side by side are users and items, one id each.
        layers = [(m, specs[1:] + specs[:1]) if isinstance(m, nn.Embedding) else (m, specs) for m, specs in layers]
    rows: list[tuple[TensorSpec, ...]] = []
    if len(layers) >= untimed:
        alternatives = max((len(specs) for _, specs in layers[:untimed]), default=0)
        rows += [tuple(specs[min(n, len(specs) - 1)] for _, specs in layers[:untimed]) for n in range(alternatives)]
    rows += [(spec,) * untimed for _, specs in layers for spec in specs[:3]]
    rows += islice(product([spec for _, specs in layers[:4] for spec in specs[:2]], repeat=untimed), COMBINATIONS)
    source = f"made from the first layers ({', '.join(dict.fromkeys(type(m).__name__ for m, _ in layers[:untimed]))})"
    for row in rows:
        for moment in (TensorSpec((1,)), TensorSpec((1,), torch.int64, 0, 10)) if any(timed) else (None,):
            rest = iter(row)
            yield Guess(tuple(moment if is_time and moment else next(rest) for is_time in timed), source)


def _typed_layers(model: nn.Module) -> Iterator[tuple[nn.Module, list[TensorSpec]]]:
    """Layers whose type says what goes in, in the order of registration, with the specs they allow."""
    sequential = _is_sequential(model)
    seen: set[tuple[TensorSpec, ...]] = set()

    def walk(module: nn.Module) -> Iterator[nn.Module]:
        yield module
        if not isinstance(module, (*_SEQUENCE, nn.Transformer)):
            for child in module.children():
                yield from walk(child)

    for module in (*walk(model), *(one for hidden in _hidden(model) for one in walk(hidden))):
        specs = _specs(module, sequential)
        if specs and tuple(specs) not in seen:
            seen.add(tuple(specs))
            yield module, specs


def _hidden(model: nn.Module) -> Iterator[nn.Module]:
    """Layers kept in plain lists and dicts, which the model does not know of, but may call first."""
    for module in model.modules():
        for value in vars(module).values():
            values = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
            if value is not child_table(module):
                yield from (one for one in values if isinstance(one, nn.Module))


def _is_sequential(model: nn.Module) -> bool:
    return any(isinstance(module, _SEQUENCE) for module in model.modules())


def _specs(module: nn.Module, sequential: bool) -> list[TensorSpec]:
    kind = _dtype(module)
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        longer = [(length,) for length in LENGTHS if length > LENGTHS[0]]
        shapes = [*((length,) for length in SENTENCES), (), *longer]
        return [TensorSpec((1, *shape), torch.int64, 0, module.num_embeddings) for shape in shapes]
    if isinstance(module, nn.RNNBase):
        time_first = TensorSpec((TIME, 1, module.input_size), kind, batch_dimension=1)
        specs = [TensorSpec((1, length, module.input_size), kind) for length in (TIME, *LENGTHS)]
        return specs if module.batch_first else [specs[0], time_first, *specs[1:]]
    return [TensorSpec((1, *shape), kind) for shape in _shapes(module, sequential)]


def _shapes(module: nn.Module, sequential: bool) -> list[tuple[int, ...]]:
    """Shapes of one sample that this layer takes, the most plausible first."""
    if isinstance(module, (nn.LazyLinear,)):
        return [(64,), (TIME, 64), (1, 28, 28), (3, 32, 32)]
    if isinstance(module, (nn.Linear, nn.Bilinear)):
        features = module.in_features if isinstance(module, nn.Linear) else module.in1_features
        flat, sequence = (features,), [(length, features) for length in (TIME, *LENGTHS)]
        images = [
            (c, s, s) for c in (1, 3) if features % c == 0 and (s := math.isqrt(features // c)) ** 2 * c == features
        ]
        images = images if features > 16 else []
        return (
            [sequence[0], flat, *images, *sequence[1:]]
            if sequential
            else [flat, *images, *sequence, (features, features)]
        )
    if isinstance(module, (TransposedConvolution, Convolution)):
        return _conv_shapes(module)
    if isinstance(module, BatchNorm):
        channels = module.num_features or 3
        space = {nn.BatchNorm2d: IMAGES, nn.BatchNorm3d: VOLUMES}.get(type(module))
        dimensions = 3 if isinstance(module, nn.BatchNorm3d) else 2
        return [(channels, *(size,) * dimensions) for size in space or ()] or [(channels,), (channels, TIME)]
    if isinstance(module, nn.GroupNorm):
        return [(module.num_channels, size, size) for size in IMAGES[:4]]
    if isinstance(module, nn.LayerNorm):
        shape = tuple(module.normalized_shape)
        return [(TIME, *shape), shape] if sequential else [shape, (TIME, *shape)]
    if isinstance(module, nn.MultiheadAttention):
        return [(length, module.embed_dim) for length in (TIME, *LENGTHS)]
    if isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
        return [(length, module.self_attn.embed_dim) for length in (TIME, *LENGTHS)]
    if isinstance(module, nn.Transformer):
        return [(TIME, module.d_model)]
    if isinstance(module, nn.RNNCellBase):
        return [(module.input_size,), (TIME, module.input_size)]
    return []


def _conv_shapes(module: Convolution) -> list[tuple[int, ...]]:
    dimensions = len(module.kernel_size)
    channels = module.in_channels or (3 if dimensions == 2 else 1)
    if isinstance(module, TransposedConvolution):
        return [(channels, *(size,) * dimensions) for size in SEEDS_OF_IMAGES]
    if dimensions == 1:
        return [(channels, size) for size in SIGNALS]
    if dimensions == 3:
        clips = [(8, size, size) for size in (32, 64, 112, 224)]
        return [(channels, *volume) for volume in (*((size,) * 3 for size in VOLUMES), *clips)]
    stride, kernel = int(module.stride[0]), int(module.kernel_size[0])
    # Digits have one channel and 28 pixels; a stem that shrinks at once was made for large images.
    first = (224,) if stride >= 4 or (stride >= 2 and kernel >= 6) else (28,) if channels == 1 else (32,)
    return [(channels, size, size) for size in dict.fromkeys((*first, *IMAGES))]


def _shapes_of_weights(model: nn.Module) -> list[tuple[int, ...]]:
    sizes = [p.shape for p in islice(model.parameters(), 6) if not isinstance(p, nn.UninitializedParameter) and p.dim()]
    return list(dict.fromkeys((int(size),) for shape in sizes for size in (*shape[1:2], shape[0])))


def _dtype(module: nn.Module) -> torch.dtype:
    kinds = (p.dtype for p in module.parameters() if p.dtype.is_floating_point or p.dtype.is_complex)
    return next(kinds, torch.get_default_dtype())


def _made_from(layer: nn.Module, spec: TensorSpec) -> str:
    name = type(layer).__name__
    if spec.high is not None:
        return f"made from the first layer ({name}, {spec.high:,} rows)"
    if isinstance(layer, nn.Linear) and layer.in_features:
        return f"made from the first layer ({name}, {layer.in_features} features)"
    if isinstance(layer, Convolution) and layer.in_channels:
        return f"made from the first layer ({name}, {layer.in_channels} channels)"
    return f"made from the first layer ({name})"
