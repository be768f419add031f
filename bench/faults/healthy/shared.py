"""What healthy runs are made of: a loop, data by the step, and small nets. No fault, and nothing of the guard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.faults.training import CLASSES, Watch, classes

Losses = list[float]
Run = Callable[[Watch, int, float], Losses]
STEPS = 800


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Any, Tensor]],
    schedule: Any = None,
    loss_of: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    between: Callable[[], Any] | None = None,
    after: Callable[[], Any] | None = None,
) -> Losses:
    """The usual loop. ``between`` is called after each backward pass, ``after`` after each step."""
    losses = []
    for x, y in batches:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        if between is not None:
            between()
        optimizer.step()
        if after is not None:
            after()
        if schedule is not None:
            schedule.step()
        losses.append(loss.item())
    return losses


def batches(seed: int, steps: int = STEPS, **options: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Labelled clouds, a new sample each step."""
    return (classes(step, seed=seed, **options) for step in range(steps))


def drawn(seed: int, step: int) -> torch.Generator:
    """The source of one step's sample."""
    return torch.Generator().manual_seed(1_000_003 * seed + step)


def warm(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Linear warm-up, then constant."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))


def perceptron(*sizes: int, act: type[nn.Module] = nn.GELU) -> nn.Sequential:
    """With torch's own initialisation."""
    parts: list[nn.Module] = []
    for at in range(len(sizes) - 1):
        parts += [nn.Linear(sizes[at], sizes[at + 1]), act()]
    return nn.Sequential(*parts[:-1])


class Conv(nn.Module):
    """Three residual blocks with batch norm. ``zero``: the last norm of each branch begins at zero."""

    def __init__(self, zero: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(6))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(6))
        self.head = nn.Linear(8, CLASSES)
        for norm in list(self.norms)[1::2] if zero else ():
            nn.init.zeros_(norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.unflatten(1, (1, 4, 8)))
        for at in range(0, 6, 2):
            inner = torch.relu(self.norms[at](self.convs[at](x)))
            x = torch.relu(x + self.norms[at + 1](self.convs[at + 1](inner)))
        return self.head(x.mean((2, 3)))


class Reader(nn.Module):
    """Adds up marked numbers of a sequence, by a recurrent layer."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.inner = kind(2, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x)[0][:, -1])[:, 0]


def adding(step: int, seed: int, length: int = 16, size: int = 32) -> tuple[Tensor, Tensor]:
    """Numbers, two of them marked; the target is their sum."""
    generator = drawn(seed, step)
    values = torch.rand(size, length, generator=generator)
    marks = torch.zeros(size, length).scatter_(1, torch.randint(length, (size, 2), generator=generator), 1.0)
    return torch.stack([values, marks], -1), (values * marks).sum(1)


class Tokens(nn.Module):
    """A small transformer that repeats what it has read."""

    def __init__(self, layers: int = 3, width: int = 32, words: int = 16, norm_first: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.place = nn.Parameter(torch.randn(64, width) * 0.1)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 64, 0.0, batch_first=True, norm_first=norm_first)
            for _ in range(layers)
        )
        self.head = nn.Linear(width, words)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.place[: tokens.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        return self.head(x).transpose(1, 2)


def copying(step: int, seed: int, half: int = 8, size: int = 16) -> tuple[Tensor, Tensor]:
    """A text that is said twice; the target is the next token."""
    text = torch.randint(16, (size, half), generator=drawn(seed, step))
    text = torch.cat([text, text], 1)
    return text[:, :-1], text[:, 1:]


def in_turns(step: int, seed: int, length: int = 16) -> tuple[Tensor, Tensor]:
    """Texts of two words in turns, 256 words a batch; the target is the next one."""
    words = torch.randint(16, (256 // length, 2), generator=drawn(seed, step)).repeat(1, length // 2)
    return words[:, :-1], words[:, 1:]
