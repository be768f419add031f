"""The nets of ``bench.rivals`` and their data: deep, small, sick as torch initialises them, and in parts that a rival can use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

WIDTH, CHANNELS, CLASSES, BATCH = 32, 16, 10, 64
WORDS, TOKENS, HEADS, STRETCH = 17, 16, 4, 64
"""Of the transformer: grey values 0 to 16, squares of 2 x 2 pixels; of the recurrence: pixels."""

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "gelu": nn.GELU}


@dataclass(frozen=True)
class Net:
    """One net of the table."""

    title: str
    kind: str
    """"mlp", "conv", "recurrent" or "transformer"."""
    activation: str
    depth: int
    """Layers with weights before the head; blocks of a transformer, steps of a recurrence."""
    steps: int
    """Optimizer steps of a training."""

    @property
    def layered(self) -> bool:
        """Whether it is layer after layer: such a net can be cut into blocks."""
        return self.kind in ("mlp", "conv")


NETS = (
    Net("tanh MLP x31", "mlp", "tanh", 31, 300),
    Net("sigmoid MLP x31", "mlp", "sigmoid", 31, 300),
    Net("ReLU MLP x31", "mlp", "relu", 31, 300),
    Net("tanh RNN, 64 steps", "recurrent", "tanh", STRETCH, 300),
    Net("ReLU conv x21", "conv", "relu", 21, 150),
    Net("post-norm transformer x12", "transformer", "relu", 12, 150),
    Net("GELU MLP x31", "mlp", "gelu", 31, 300),
)


def activation(net: Net) -> nn.Module:
    """A fresh one of the net's own."""
    return ACTIVATIONS[net.activation]()


def layers(net: Net) -> list[nn.Module]:
    """The layers of a layered net at torch's initialisation; the first one changes the shape, the others keep it."""
    if net.kind == "mlp":
        return [nn.Linear(WIDTH if i else 64, WIDTH) for i in range(net.depth)]
    first = nn.Conv2d(1, CHANNELS, 3, stride=2, padding=1)
    return [first, *(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(net.depth - 1))]


def head(net: Net) -> list[nn.Module]:
    """From the last layer's output to the classes."""
    return [nn.Linear(WIDTH, CLASSES)] if net.kind == "mlp" else [nn.Flatten(), nn.Linear(CHANNELS * 16, CLASSES)]


class Recurrent(nn.Module):
    """A recurrence of tanh over the digit, a pixel a step; the last state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(1, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """An encoder over the tokens of a digit, whose mean is read."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.embed = nn.Embedding(WORDS, WIDTH)
        self.place = nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, words: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(words) + self.place).mean(1))  # type: ignore[no-any-return]


def block(*, norm_first: bool = False) -> nn.TransformerEncoderLayer:
    """Torch's own, which has its norms after the sums; without dropout."""
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, batch_first=True, norm_first=norm_first)


def plain(net: Net) -> nn.Module:
    """The net as people write it."""
    if net.kind == "recurrent":
        return Recurrent()
    if net.kind == "transformer":
        return Transformer([block() for _ in range(net.depth)])
    return nn.Sequential(*(part for layer in layers(net) for part in (layer, activation(net))), *head(net))


@dataclass(frozen=True)
class Data:
    """Digits, of which a fifth is held out."""

    x: Tensor
    y: Tensor
    held_x: Tensor
    held_y: Tensor

    def batches(self, seed: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Those of one training: epochs, each in an order of its own."""
        generator = torch.Generator().manual_seed(1000 + seed)
        whole = len(self.x) // BATCH
        for step in range(steps):
            if step % whole == 0:
                order = torch.randperm(len(self.x), generator=generator)
            rows = order[step % whole * BATCH :][:BATCH]
            yield self.x[rows], self.y[rows]


@cache
def digits(kind: str) -> Data:
    """The digits of scikit-learn as this kind of net takes them: standardised as a whole, or as tokens."""
    found = load_digits()
    grey = torch.tensor(found.data, dtype=torch.float32)
    scaled = (grey - grey.mean()) / grey.std()
    shaped: dict[str, Callable[[], Tensor]] = {
        "mlp": lambda: scaled,
        "conv": lambda: scaled.view(-1, 1, 8, 8),
        "recurrent": lambda: scaled.view(-1, STRETCH, 1),
        "transformer": lambda: nn.functional.avg_pool2d(grey.view(-1, 1, 8, 8), 2).flatten(1).round().long(),
    }
    order = torch.randperm(len(grey), generator=torch.Generator().manual_seed(0))
    x, y = shaped[kind]()[order], torch.tensor(found.target)[order]
    held = len(x) // 5
    return Data(x[held:], y[held:], x[:held], y[:held])
