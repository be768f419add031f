"""Rivals made for transformers: another place of the norm, or none; the attention and the feed-forward layer are torch's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.rivals.nets import HEADS, WIDTH, Net, Transformer, block


class Block(nn.TransformerEncoderLayer):
    """Torch's block, summed as norm(α x + gate · branch(x)); gate and norms may be left out."""

    def __init__(self, *, alpha: float = 1.0, gated: bool = False, norm: bool = True) -> None:
        super().__init__(WIDTH, HEADS, 2 * WIDTH, 0.0, batch_first=True)
        self.alpha = alpha
        self.gate = nn.Parameter(torch.zeros(())) if gated else 1.0
        if not norm:
            self.norm1 = self.norm2 = nn.Identity()  # type: ignore[assignment]

    def forward(self, src: Tensor, *_: object, **__: object) -> Tensor:
        x = self.norm1(self.alpha * src + self.gate * self.self_attn(src, src, src, need_weights=False)[0])
        fed = self.linear2(self.linear1(x).relu())
        return self.norm2(self.alpha * x + self.gate * fed)  # type: ignore[no-any-return]


def _scaled_(encoder: nn.TransformerEncoderLayer, scale: float) -> None:
    """Xavier; the value, output and feed-forward weights times ``scale``."""
    attention = encoder.self_attn
    for part, gain in zip(attention.in_proj_weight.chunk(3), (1.0, 1.0, scale), strict=True):
        nn.init.xavier_normal_(part, gain)
    for layer in (attention.out_proj, encoder.linear1, encoder.linear2):
        nn.init.xavier_normal_(layer.weight, scale)


def pre_norm(net: Net, _: Tensor) -> nn.Module:
    """Xiong et al. 2020, table 1: x + branch(norm(x)), and a norm before the head."""
    return Transformer([*(block(norm_first=True) for _ in range(net.depth)), nn.LayerNorm(WIDTH)])


def deepnorm(net: Net, _: Tensor) -> nn.Module:
    """Wang et al. 2022, figure 2, encoder: norm(α x + branch(x)), α = (2N)^(1/4); v, out and feed-forward × β = (8N)^(−1/4)."""
    blocks = [Block(alpha=(2 * net.depth) ** 0.25) for _ in range(net.depth)]
    for one in blocks:
        _scaled_(one, (8 * net.depth) ** -0.25)
    return Transformer(list(blocks))


def t_fixup(net: Net, _: Tensor) -> nn.Module:
    """Huang et al. 2020 (ICML), encoder: no norms; v, out, feed-forward and embeddings (variance 1/d) × 0.67 N^(−1/4)."""
    scale = 0.67 * net.depth**-0.25
    blocks = [Block(norm=False) for _ in range(net.depth)]
    for one in blocks:
        _scaled_(one, scale)
    model = Transformer(list(blocks))
    with torch.no_grad():
        for table in (model.embed.weight, model.place):
            table.normal_(0, WIDTH**-0.5).mul_(scale)
    return model


def rezero(net: Net, _: Tensor) -> nn.Module:
    """In a transformer: no norms, x + α branch(x) with one α a block, 0 at first."""
    return Transformer([Block(gated=True, norm=False) for _ in range(net.depth)])
