"""The nets of ``bench.deepest``: those of ``bench.rivals``, of any depth and activation."""

from __future__ import annotations

from torch import nn

from bench.rivals import nets


def plain(kind: str, activation: type[nn.Module], depth: int) -> nn.Module:
    """Layers of a kind, "mlp" or "conv", each with its activation, and a head."""
    net = nets.Net("", kind, "", depth, 0)
    body = [part for layer in nets.layers(net) for part in (layer, activation())]
    return nn.Sequential(*body, *nets.head(net))


def transformer(depth: int, *, norm_first: bool) -> nn.Module:
    """Torch's own encoder layers."""
    return nets.Transformer([nets.block(norm_first=norm_first) for _ in range(depth)])
