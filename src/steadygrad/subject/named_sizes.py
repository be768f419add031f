"""Sizes that a model names itself: ``image_size=32``, ``config.block_size``, in its attributes, its configuration or the
arguments that it was constructed with.

Reads names and whole numbers; guesses nothing. May rely on what the constructions noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from steadygrad.source.spans import arguments_of

Size = tuple[int, ...]

_IMAGE = [
    "image_size",
    "img_size",
    "im_size",
    "input_resolution",
    "resolution",
    "image_dim",
    "img_dim",
    "input_size",
    "size",
]
_CHANNELS = ["in_channels", "in_chans", "input_channels", "num_channels", "n_channels", "in_ch", "channels", "nc"]
_LENGTH = [
    "block_size",
    "context_length",
    "context_size",
    "context_window",
    "seq_len",
    "seq_length",
    "sequence_length",
    "max_seq_len",
    "max_seq_length",
    "max_len",
    "max_length",
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "ctx_len",
    "window_size",
]
_FEATURES = [
    "in_features",
    "input_dim",
    "in_dim",
    "input_size",
    "n_features",
    "num_features",
    "feature_dim",
    "input_features",
    "n_inputs",
    "num_inputs",
    "d_in",
    "obs_dim",
    "state_dim",
    "in_size",
]
_CONFIGS = ("config", "cfg", "conf", "args", "hparams", "hp", "opt", "params")

LARGEST = 1024
"""A greater number is no side of an image and no length worth a try."""


@dataclass(frozen=True)
class Sizes:
    """The size of one sample of the input, as far as the model gives it, and the names that give it, in words."""

    image: Size = ()
    channels: int | None = None
    length: int | None = None
    features: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def sizes_of(model: nn.Module) -> Sizes:
    """Read the sizes from the model itself and, where it says nothing, from its children."""
    named: dict[str, Size] = {}
    for module in (model, *model.children()):
        for key, value in _named(module):
            named.setdefault(key, value)
    image, by_image = _first(named, _IMAGE)
    channels, by_channels = _first(named, _CHANNELS)
    length, by_length = _first(named, _LENGTH)
    features, by_features = _first(named, _FEATURES)
    names = {"image": by_image, "channels": by_channels, "length": by_length, "features": by_features}
    numbers = [one[0] if one else None for one in (channels, length, features)]
    return Sizes(image, numbers[0], numbers[1], numbers[2], names)


def _named(module: nn.Module) -> Iterator[tuple[str, Size]]:
    """Names and sizes, the surest first; a module of torch's names its layers' sizes, not the input's."""
    if type(module).__module__.startswith("torch."):
        return
    own = vars(module)
    for values in (own, *(_values(own.get(name)) for name in _CONFIGS), arguments_of(module)):
        for key, value in values.items():
            size = _size(value)
            if size:
                yield key, size


def _values(config: Any) -> Mapping[str, Any]:
    if isinstance(config, Mapping):
        return {key: value for key, value in config.items() if isinstance(key, str)}
    if config is None or isinstance(config, (nn.Module, int, float, str, tuple, list)):
        return {}
    of_class = {key: value for key, value in vars(type(config)).items() if not key.startswith("_")}
    return {**of_class, **getattr(config, "__dict__", {})}


def _size(value: Any) -> Size:
    parts = tuple(value) if isinstance(value, (tuple, list)) and 0 < len(value) <= 3 else (value,)
    good = all(isinstance(part, int) and not isinstance(part, bool) and 0 < part <= LARGEST for part in parts)
    return parts if good else ()


def _first(named: Mapping[str, Size], words: list[str]) -> tuple[Size, str]:
    return next(((named[word], word) for word in words if word in named), ((), ""))
