"""Inputs for models of the ``transformers`` library, read from their configuration.

Looks only at attributes (``config``, ``main_input_name``); the library is never imported here. Must not run a model.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from steadygrad.subject.inputs import TensorSpec

TOKENS = 32
AUDIO_SAMPLES = 16_000
"""One second at the 16 kHz that the library's speech models take."""

_IDS = ("input_ids", "decoder_input_ids")


def is_pretrained(model: nn.Module) -> bool:
    """Return whether it is one of the library's models: it has a configuration and names its main input."""
    return hasattr(model, "config") and isinstance(getattr(model, "main_input_name", None), str)


def pretrained_guesses(model: nn.Module) -> Iterator[dict[str, TensorSpec]]:
    """Keyword arguments of ``forward``: the main input, with what an encoder–decoder or a pair of towers needs."""
    main: str = model.main_input_name  # type: ignore[assignment]
    takes = list(inspect.signature(model.forward).parameters)
    specs = {
        name: list(_specs(model, name)) for name in ("input_ids", "pixel_values", "input_values", "input_features")
    }
    for spec in specs.get(main, []):
        yield {main: spec}
        if "decoder_input_ids" in takes:
            yield from ({main: spec, "decoder_input_ids": ids} for ids in specs["input_ids"])
        for other in specs:
            if other != main and other in takes:
                yield from ({main: spec, other: also} for also in specs[other])


def _specs(model: nn.Module, name: str) -> Iterator[TensorSpec]:
    config: Any = model.config
    kind = next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), torch.float32)
    if name == "input_ids":
        rows = _find(config, "vocab_size")
        for tokens in (min(TOKENS, _find(config, "max_position_embeddings", "n_positions") or TOKENS), 8):
            if rows:
                yield TensorSpec((1, tokens), torch.int64, 0, rows)
    elif name == "pixel_values":
        channels = _find(config, "num_channels") or 3
        side = _find(config, "image_size")
        for pixels in (side,) if side else (224, 64, 32):
            yield TensorSpec((1, channels, pixels, pixels), kind)
            frames = _find(config, "num_frames")
            if frames:
                yield TensorSpec((1, frames, channels, pixels, pixels), kind)
    elif name == "input_values":
        yield TensorSpec((1, AUDIO_SAMPLES), kind)
        bins, length = _find(config, "num_mel_bins"), _find(config, "max_length")
        if bins and length:
            yield TensorSpec((1, length, bins), kind)
    elif name == "input_features":
        bins, positions = _find(config, "num_mel_bins"), _find(config, "max_source_positions")
        if bins and positions:
            yield TensorSpec((1, bins, 2 * positions), kind)
        for features in filter(
            None, (_find(config, "feature_size", "input_dim", "feature_projection_input_dim"), bins)
        ):
            yield TensorSpec((1, 128, features), kind)


def _find(config: Any, *names: str) -> int | None:
    """A number of the configuration or of one it holds (``text_config``, ``vision_config``, ``encoder``)."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, (list, tuple)) and value:
            value = value[0]
        if isinstance(value, int):
            return value
    for part in vars(config).values():
        if hasattr(part, "to_dict") and (found := _find(part, *names)) is not None:
            return found
    return None
