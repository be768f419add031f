"""Families of models to scale: small nets of the shapes that people build, each a function of its width.

Attention divides by the size of a head where ``power`` is 1, as muP asks, by its root where it is 0.5, as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.transfer_nets import Recurrent

WORDS, TOKENS, HEADS = 40, 12, 4


@dataclass(frozen=True, eq=False)
class Family:
    """How to build a member, and what it is stepped on."""

    build: Callable[..., nn.Module]
    batch: Any
    loss: Callable[..., Tensor]
    hidden: str
    """A weight whose inputs and outputs grow, to plant flaws in."""
    head: str = "head.weight"
    sizes: tuple[int, ...] = (64, 128, 256)

    def member(self, width: int, **options: Any) -> nn.Module:
        """Build one; biases begin at zero, as in theory: torch draws them smaller the wider a layer is."""
        model = self.build(width, **options)
        for name, parameter in model.named_parameters():
            if "bias" in name.rpartition(".")[2]:
                nn.init.zeros_(parameter)
        return model


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(16, width)
        self.middle = nn.Linear(width, width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        x = F.relu(self.middle(x))
        return self.head(x)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Config:
    hidden: int = 64
    layers: int = 2


class Configured(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.first = nn.Linear(16, config.hidden)
        self.layers = nn.ModuleList(nn.Linear(config.hidden, config.hidden) for _ in range(config.layers))
        self.head = nn.Linear(config.hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)  # type: ignore[no-any-return]


class Conv(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        x = F.relu(self.middle(x))
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        branch = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(branch)))


class ResNet(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(ResidualBlock(width), ResidualBlock(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.first(x)).mean((2, 3)))  # type: ignore[no-any-return]


class Attention(nn.Module):
    def __init__(self, width: int, groups: int, power: float) -> None:
        super().__init__()
        self.size, self.power = width // HEADS, power
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, groups * self.size)
        self.value = nn.Linear(width, groups * self.size)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (-1, self.size)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        key, value = (one.repeat_interleave(HEADS // one.shape[1], 1) for one in (key, value))
        scale = 16 ** (self.power - 0.5) / self.size**self.power
        mixed = F.scaled_dot_product_attention(query, key, value, scale=scale)
        return self.out(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))  # type: ignore[no-any-return]


class Experts(nn.Module):
    """Each token goes to one of four."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, 4)
        self.experts = nn.ModuleList(FeedForward(width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        weights, chosen = self.router(x).softmax(-1).max(-1)
        mixed = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            mixed[chosen == number] = expert(x[chosen == number])
        return mixed * weights[..., None]


class Block(nn.Module):
    def __init__(self, width: int, groups: int, power: float, experts: bool, post: bool) -> None:
        super().__init__()
        self.post = post
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, groups, power)
        self.norm2 = nn.LayerNorm(width)
        self.feed = Experts(width) if experts else FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        if self.post:
            x = self.norm1(x + self.attention(x))
            return self.norm2(x + self.feed(x))  # type: ignore[no-any-return]
        x = x + self.attention(self.norm1(x))
        return x + self.feed(self.norm2(x))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    def __init__(
        self,
        width: int,
        *,
        layers: int = 2,
        power: float = 1.0,
        groups: int = HEADS,
        experts: bool = False,
        post: bool = False,
        tied: bool = False,
        multiplied: bool = True,
    ) -> None:
        super().__init__()
        self.multiplier = 64 / width if tied and multiplied else 1.0
        self.embed = nn.Embedding(WORDS, width)
        self.place = nn.Parameter(torch.randn(TOKENS, width))
        self.blocks = nn.ModuleList(Block(width, groups, power, experts, post) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, WORDS, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, words: Tensor) -> Tensor:
        x = self.embed(words) + self.place
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)) * self.multiplier  # type: ignore[no-any-return]


class Vision(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(torch.randn(17, width))
        self.blocks = nn.Sequential(*(Block(width, HEADS, 1.0, experts=False, post=False) for _ in range(2)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.place
        return self.head(self.norm(self.blocks(x))[:, 0])  # type: ignore[no-any-return]


class UNet(nn.Module):
    """Down and up once, with a skip; where ``timed``, a diffusion model's, which is told the time."""

    def __init__(self, width: int, timed: bool = False) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, width), nn.SiLU(), nn.Linear(width, width)) if timed else None
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.join = nn.Conv2d(2 * width, width, 3, padding=1)
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        first = F.silu(self.first(x))
        if self.time is not None and time is not None:
            waves = time[:, None] * torch.arange(1, 9)
            first = first + self.time(waves.sin())[:, :, None, None]
        low = F.silu(self.down(first))
        return self.head(F.silu(self.join(torch.cat([first, self.up(low)], 1))))  # type: ignore[no-any-return]


def words_loss(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def _noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


_LINES = torch.randint(WORDS, (16, TOKENS + 1), generator=torch.Generator().manual_seed(0))
TEXT = _LINES[:, :-1], _LINES[:, 1:]
VECTORS = _noise(32, 16), torch.arange(32) % 10
IMAGES = _noise(16, 3, 16, 16), torch.arange(16) % 10
SMALL = _noise(16, 3, 8, 8)
CLASSES = torch.arange(16) % 10


class Denoiser(UNet):
    """The diffusion model with its time of each sample."""

    def __init__(self, width: int) -> None:
        super().__init__(width, timed=True)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        return super().forward(x, torch.linspace(0, 1, len(x)))


def _transformer(hidden: str = "blocks.0.feed.up.weight", **options: Any) -> Family:
    return Family(lambda width, **flaw: Transformer(width, **{**options, **flaw}), TEXT, words_loss, hidden)


FAMILIES = {
    "mlp": Family(Mlp, VECTORS, F.cross_entropy, "middle.weight", sizes=(128, 256, 512)),
    "config": Family(
        lambda width: Configured(Config(hidden=width)),
        VECTORS,
        F.cross_entropy,
        "layers.1.weight",
        sizes=(128, 256, 512),
    ),
    "conv": Family(Conv, (SMALL, CLASSES), F.cross_entropy, "middle.weight"),
    "resnet": Family(ResNet, (SMALL, CLASSES), F.cross_entropy, "blocks.1.conv1.weight", sizes=(64, 128, 256)),
    "pre-norm": _transformer(),
    "post-norm": _transformer(post=True),
    "tied": _transformer(tied=True),
    "gqa": _transformer("blocks.1.attention.value.weight", groups=2),
    "moe": _transformer("blocks.0.attention.out.weight", experts=True),
    "lstm": Family(partial(Recurrent, words=WORDS), TEXT, words_loss, "lstm.weight_ih_l0"),
    "u-net": Family(UNet, (SMALL, SMALL.flip(0)), F.mse_loss, "down.weight", sizes=(64, 128, 256)),
    "vit": Family(Vision, IMAGES, F.cross_entropy, "blocks.1.feed.down.weight"),
    "diffusion": Family(
        Denoiser, (SMALL, _noise(16, 3, 8, 8).roll(1)), F.mse_loss, "join.weight", sizes=(64, 128, 256)
    ),
}
