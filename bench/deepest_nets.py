"""The nets of ``bench.deepest``, as people write them, with torch's own initialisation."""

from __future__ import annotations

from torch import nn

from bench.rivals.nets import CHANNELS, CLASSES, WIDTH, Transformer, block


def mlp(activation: type[nn.Module], depth: int) -> nn.Module:
    """Linear layers of one width, each with its activation, and a head."""
    body = [part for i in range(depth) for part in (nn.Linear(WIDTH if i else 64, WIDTH), activation())]
    return nn.Sequential(*body, nn.Linear(WIDTH, CLASSES))


def conv(activation: type[nn.Module], depth: int) -> nn.Module:
    """Convolutions of 3 × 3; the first one halves the picture."""
    first = nn.Conv2d(1, CHANNELS, 3, stride=2, padding=1)
    layers = [first, *(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(depth - 1))]
    body = [part for layer in layers for part in (layer, activation())]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(CHANNELS * 16, CLASSES))


def transformer(depth: int, *, norm_first: bool) -> nn.Module:
    """Torch's own encoder layers."""
    return Transformer([block(norm_first=norm_first) for _ in range(depth)])
