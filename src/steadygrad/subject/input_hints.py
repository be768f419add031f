"""Guesses at an input that take their size from what the model names itself: ``image_size``, ``block_size``, ``seq_len``.

They come before the guesses that only know the first layer. Must not run anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from steadygrad.subject.inputs import TensorSpec
from steadygrad.subject.named_sizes import Sizes
from steadygrad.torch_internals.held import Convolution, TransposedConvolution

TOKENS = 32
"""Enough to be a sentence; a model that has room for more costs less so."""

LONGEST = 512

_TARGETS = frozenset(["target", "targets", "label", "labels", "y"])
_AMBIGUOUS = frozenset(["input_size", "size"])
"""Words that mean the side of an image where a convolution comes first, and else the features of one step."""

Hint = tuple[tuple[TensorSpec, ...], str]


def hinted(sizes: Sizes, names: Sequence[str], layers: Sequence[nn.Module], sequential: bool) -> Iterator[Hint]:
    """Inputs for a ``forward`` of these argument names, with the words that say where they come from."""
    first = layers[0] if layers else None
    if isinstance(first, nn.Embedding):
        wanted = len(names) if set(names[1:]) <= _TARGETS else 0
        yield from ((inputs * wanted, source) for inputs, source in _tokens(sizes, layers) if wanted)
    elif len(names) == 1:
        yield from _image(sizes, first)
        yield from _sequence(sizes, first, sequential)
        if first is None and sizes.features:
            yield (TensorSpec((1, sizes.features)),), f"made from {sizes.names['features']}"


def _tokens(sizes: Sizes, layers: Sequence[nn.Module]) -> Iterator[Hint]:
    tables = [layer for layer in layers if isinstance(layer, nn.Embedding)]
    # A table with a row for each position is not the one of the words.
    words = next((table for table in tables if table.num_embeddings != sizes.length), tables[0])
    rows = f"the first layer (Embedding, {words.num_embeddings:,} rows)"
    if sizes.length:
        source = f"made from {sizes.names['length']} = {sizes.length} and {rows}"
        for length in dict.fromkeys((min(TOKENS, sizes.length), sizes.length)):
            yield (TensorSpec((1, length), torch.int64, 0, words.num_embeddings),), source
    else:
        yield (TensorSpec((1, TOKENS), torch.int64, 0, words.num_embeddings),), f"made from {rows}"


def _image(sizes: Sizes, first: nn.Module | None) -> Iterator[Hint]:
    image, name = sizes.image, sizes.names["image"]
    conv = (
        isinstance(first, Convolution) and not isinstance(first, TransposedConvolution) and len(first.kernel_size) == 2
    )
    if not image or (not conv and (name in _AMBIGUOUS or isinstance(first, (nn.RNNBase, Convolution)))):
        return
    said = f"{name} = {'×'.join(map(str, image))}"
    if len(image) == 3:
        yield (TensorSpec((1, *image), _dtype(first)),), f"made from {said}"
        return
    height, width = image if len(image) == 2 else image * 2
    known = first.in_channels if conv else sizes.channels  # type: ignore[union-attr]
    for channels in (known,) if known else (3, 1):
        assert isinstance(channels, int)
        if conv:
            source = f"made from {said} and the first layer ({type(first).__name__}, {channels} channels)"
        else:
            source = f"made from {said}" + (f" and {sizes.names['channels']} = {channels}" if sizes.channels else "")
        yield (TensorSpec((1, channels, height, width), _dtype(first)),), source


def _sequence(sizes: Sizes, first: nn.Module | None, sequential: bool) -> Iterator[Hint]:
    length = sizes.length
    if not length or length > LONGEST:
        return
    source = f"made from {sizes.names['length']} = {length} and the first layer ({type(first).__name__})"
    kind = _dtype(first)
    if isinstance(first, nn.Conv1d):
        yield (TensorSpec((1, first.in_channels, length), kind),), source
    elif isinstance(first, nn.RNNBase) and first.batch_first:
        yield (TensorSpec((1, length, first.input_size), kind),), source
    elif isinstance(first, nn.Linear) and sequential:
        yield (TensorSpec((1, length, first.in_features), kind),), source


def _dtype(first: Any) -> torch.dtype:
    weights = first.parameters() if isinstance(first, nn.Module) else ()
    return next(
        (p.dtype for p in weights if p.dtype.is_floating_point or p.dtype.is_complex), torch.get_default_dtype()
    )
