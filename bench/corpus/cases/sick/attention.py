"""Attention that looks at one position only, or at all alike, so that choosing or telling apart cannot be learned.

The task of the saturated ones is to find, among many positions, those that carry a small class signal; of the collapsed
ones, scikit-learn's digits read row by row.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import sick_case
from bench.corpus.cases.parts import Data, adam, assemble, rows


@cache
def faint() -> Data:
    """Sequences (3000, 64, 32) of noise with a faint class mean at every position: only an even look finds it."""
    noise = torch.Generator().manual_seed(17)
    y = torch.randint(2, (3000,), generator=noise)
    x = torch.randn(3000, 64, 32, generator=noise)
    return x + 0.05 * torch.randn(2, 32, generator=noise)[y][:, None], y


class Pooling(nn.Module):
    """One learned look over the sequence, softmax written by hand."""

    def __init__(self, scale, initialise=nn.init.xavier_normal_):
        super().__init__()
        self.query, self.key, self.head = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 2)
        for fc in (self.query, self.key):
            initialise(fc.weight)
        self.scale = scale

    def forward(self, x):
        logits = self.query(x[:, :1]) @ self.key(x).mT * self.scale
        weights = torch.softmax(logits, dim=-1)
        return self.head((weights @ x).squeeze(1))


class Fused(nn.Module):
    """The same through the fused function."""

    def __init__(self, scale):
        super().__init__()
        self.query, self.key, self.head = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 2)
        self.scale = scale

    def forward(self, x):
        q, k = self.query(x[:, :1]), self.key(x)
        seen = F.scaled_dot_product_attention(q, k, x, scale=self.scale)
        return self.head(seen.squeeze(1))


class Additive(nn.Module):
    """Scores from a small net (Bahdanau et al. 2015), divided by a temperature."""

    def __init__(self, temperature):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
        self.head = nn.Linear(32, 2)
        self.temperature = temperature

    def forward(self, x):
        weights = F.softmax(self.score(x) / self.temperature, dim=1)
        return self.head((weights * x).sum(1))


class Heads(nn.Module):
    """``nn.MultiheadAttention`` with its input projection enlarged."""

    def __init__(self, factor):
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        with torch.no_grad():
            self.attention.in_proj_weight[:64] *= factor
        self.head = nn.Linear(32, 2)

    def forward(self, x):
        seen, _ = self.attention(x[:, :1], x, x)
        return self.head(seen.squeeze(1))


class Encoder(nn.Module):
    """Digits row by row through blocks of attention and feed-forward; ``skip`` scales the way around."""

    def __init__(self, depth, skip, *, mix=True, feed=True):
        super().__init__()
        self.stem = nn.Linear(8, 32)
        self.place = nn.Parameter(torch.randn(8, 32) * 0.5)
        self.mixers = nn.ModuleList(nn.MultiheadAttention(32, 4, batch_first=True) for _ in range(depth))
        self.feeds = nn.ModuleList(nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(depth))
        self.head = nn.Linear(32, 10)
        self.skip, self.mix, self.feed = skip, mix, feed

    def forward(self, x):
        x = self.stem(x) + self.place
        for mixer, feed, norm in zip(self.mixers, self.feeds, self.norms, strict=True):
            if self.mix:
                x = self.skip * x + mixer(norm(x), norm(x), norm(x), need_weights=False)[0]
            if self.feed:
                x = self.skip * x + feed(norm(x))
        return self.head(x.mean(1))


class PostNorm(nn.Module):
    """Vaswani's order of things, at a depth that it does not bear, or pre-norm."""

    def __init__(self, first, depth=40):
        super().__init__()
        self.stem = nn.Linear(8, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=first)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.encoder(self.stem(x)).mean(1))


SMALL = adam(3e-3)
ROOT = 32**-0.5

CASES = (
    sick_case("query-and-key-normal", "attention", 0.2628, "SG305", line="torch.softmax(logits, dim=-1)")(
        lambda sick: assemble(Pooling(ROOT, nn.init.normal_ if sick else nn.init.xavier_normal_), faint(), SMALL)
    ),
    sick_case("logits-times-the-root", "attention", 0.2628, "SG305", line="torch.softmax(logits, dim=-1)")(
        lambda sick: assemble(Pooling(32**1.5 if sick else ROOT), faint(), SMALL)
    ),
    sick_case(
        "fused-attention-scale",
        "attention",
        0.331,
        "SG305",
        line="F.scaled_dot_product_attention(q, k, x, scale=self.scale)",
    )(lambda sick: assemble(Fused(100.0 if sick else None), faint(), SMALL)),
    sick_case(
        "temperature-too-low", "attention", 0.422, "SG305", line="F.softmax(self.score(x) / self.temperature, dim=1)"
    )(lambda sick: assemble(Additive(0.002 if sick else 1.0), faint(), SMALL)),
    sick_case("heads-enlarged", "attention", 0.6959, "SG305", line="self.attention(x[:, :1], x, x)")(
        lambda sick: assemble(Heads(15.0 if sick else 1.0), faint(), SMALL)
    ),
    sick_case("attention-without-skips", "attention", 0.9445, "SG105", "SG101")(
        lambda sick: assemble(Encoder(16, 0.0 if sick else 1.0), rows(), SMALL)
    ),
    sick_case("attention-alone", "attention", 0.9609, "SG105", "SG101")(
        lambda sick: assemble(Encoder(20, 0.0 if sick else 1.0, feed=False), rows(), SMALL)
    ),
    sick_case("feed-forward-without-skips", "attention", 0.9527, "SG105", "SG101")(
        lambda sick: assemble(Encoder(24, 0.0 if sick else 1.0, mix=False), rows(), SMALL)
    ),
    sick_case("post-norm-40", "attention", 0.714, "SG101", "SG105", "SG106", "SG204")(
        lambda sick: assemble(PostNorm(not sick), rows(), SMALL)
    ),
)
