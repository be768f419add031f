"""The nets of ``bench.transfer``: as people build them, at torch's own initialisation, each a function of its size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORDS, TOKENS, CLASSES, FEATURES, HEADS = 32, 16, 10, 32, 4


class Mlp(nn.Sequential):
    """Three hidden layers of ReLU."""

    def __init__(self, width: int) -> None:
        layers = [module for _ in range(2) for module in (nn.Linear(width, width), nn.ReLU())]
        super().__init__(nn.Linear(FEATURES, width), nn.ReLU(), *layers, nn.Linear(width, CLASSES))


class Conv(nn.Module):
    """Three convolutions, then the mean of each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1, stride=2)
        self.third = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.third(F.relu(self.second(F.relu(self.first(x))))))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class ResidualMlp(nn.Module):
    """Blocks of a norm and two layers, each added to the stream."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """A pre-norm block with causal attention, its logits divided by √d."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm2 = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        heads = (layer(y).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.feed(self.norm2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A language model; a tied head begins as one that is not, at ``base`` wide, by a factor on its logits."""

    def __init__(self, width: int, layers: int = 2, *, words: int = WORDS, tied: bool = False, base: int = 1) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.place = nn.Parameter(torch.randn(TOKENS, width))
        self.blocks = nn.Sequential(*(Block(width) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)
        self.factor = base**-0.5 if tied else 1.0
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, words: Tensor) -> Tensor:
        x = self.blocks(self.embed(words) + self.place)
        return self.head(self.norm(x)) * self.factor  # type: ignore[no-any-return]


class Recurrent(nn.Module):
    """A language model of one LSTM."""

    def __init__(self, width: int, words: int = WORDS) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, words)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.lstm(self.embed(words))[0])  # type: ignore[no-any-return]
