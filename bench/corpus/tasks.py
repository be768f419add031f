"""What the set-ups are trained on: small public tables and generated data, the last fifth held out.

A task says how a result is counted: accuracy over the share of the commonest answer, or the share of the targets'
variance explained, each relative to the best known. ``best`` is the greatest held-out result of three seeds of a
reference net trained at length (``python -m bench.corpus.best`` measures it again).
"""

from __future__ import annotations

import pydoc_data.topics
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from sklearn import datasets
from torch import Tensor

from bench.corpus import data

Data = tuple[Any, Tensor]
"""Inputs and targets, the samples in the first dimension."""

HIDDEN = -100
"""Target that no loss counts: ``ignore_index`` of ``cross_entropy``."""


@dataclass(frozen=True)
class Task:
    """Data, how a result on it is counted, and how long is long enough."""

    name: str
    data: Callable[[], Data]
    inputs: int
    """Features, channels or size of the vocabulary: what a builder needs to know of the input."""
    outputs: int
    """Classes, or numbers to predict."""
    metric: str
    """ "accuracy" (share of right answers), "explained" (share of the targets' variance) or "samples" (of a generator)."""
    steps: int
    """Optimizer steps of a training at batch 32."""
    best: float
    """Best known held-out result, in units of the metric."""
    loss: str = "cross-entropy"
    learnable: float = 1.0
    """Best known share of the constant answer's training loss that is gone."""
    raw: Callable[[], Data] | None = None
    """The same data as measured, where it has such a form."""
    whole: bool = False
    """Every batch is the whole set: a graph is not cut in pieces."""


def _noise(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _shuffled(x: Tensor, y: Tensor) -> Data:
    rows = torch.randperm(len(x), generator=_noise(7))
    return x[rows], y[rows]


@cache
def digits(*, shape: tuple[int, ...] = (64,), raw: bool = False) -> Data:
    """scikit-learn's handwritten digits, (1797, *shape); standardised over the whole set, or grey levels 0 to 16."""
    x, y = datasets.load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32)
    x = x if raw else (x - x.mean()) / x.std()
    return _shuffled(x.view(-1, *shape), torch.tensor(y))


@cache
def table(name: str, *, raw: bool = False, regression: bool = False) -> Data:
    """A table that ships with scikit-learn, standardised by feature, or as measured."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32)
    x = x if raw else (x - x.mean(0)) / x.std(0)
    y = torch.tensor(y)
    if regression:
        y = y.float()[:, None]
        y = (y - y.mean()) / y.std()
    return _shuffled(x, y)


@cache
def circles() -> Data:
    x, y = datasets.make_circles(1200, noise=0.08, factor=0.5, random_state=1)
    return _standard(x), torch.tensor(y)


@cache
def moons() -> Data:
    x, y = datasets.make_moons(1200, noise=0.1, random_state=2)
    return _standard(x), torch.tensor(y)


@cache
def blobs() -> Data:
    x, y = datasets.make_blobs(1500, n_features=16, centers=8, cluster_std=3.0, random_state=3)
    return _standard(x), torch.tensor(y)


@cache
def friedman() -> Data:
    """Friedman's first function of ten variables (1991), five of which matter."""
    x, y = datasets.make_friedman1(1500, noise=0.5, random_state=4)
    return _standard(x), _standard(y[:, None])


def _standard(x: Any) -> Tensor:
    x = torch.tensor(x, dtype=torch.float32)
    return (x - x.mean(0)) / x.std(0)


@cache
def parity() -> Data:
    """The sign of a product of three of eight signs, with noise: nothing linear helps."""
    x = torch.randn(2000, 8, generator=_noise(5)).sign()
    y = (x[:, 0] * x[:, 1] * x[:, 2] > 0).long()
    return x + 0.1 * torch.randn(x.shape, generator=_noise(6)), y


@cache
def recall(length: int = 30, *, samples: int = 1200) -> Data:
    """Sequences (samples, length, 5): the first step shows one of four classes, the rest is noise; which was it?"""
    noise = _noise(11)
    y = torch.randint(4, (samples,), generator=noise)
    x = 0.1 * torch.randn(samples, length, 5, generator=noise)
    x[:, 0, :4] += 2.0 * F.one_hot(y, 4)
    x[:, 0, 4] += 1.0
    return x, y


@cache
def adding(length: int = 20) -> Data:
    """The adding problem (Hochreiter & Schmidhuber 1997): (2000, length, 2), the sum of the two marked numbers."""
    noise = _noise(12)
    numbers = torch.rand(2000, length, generator=noise)
    marks = torch.zeros(2000, length)
    first = torch.randint(length // 2, (2000, 1), generator=noise)
    second = torch.randint(length // 2, length, (2000, 1), generator=noise)
    marks.scatter_(1, first, 1.0).scatter_(1, second, 1.0)
    y = (numbers * marks).sum(1, keepdim=True)
    return torch.stack([numbers, marks], -1), (y - y.mean()) / y.std()


@cache
def copying(gap: int = 6) -> Data:
    """The copy task (Hochreiter & Schmidhuber 1997): three tokens, a gap, then the same three; (1500, 6 + gap)."""
    words = torch.randint(1, 7, (1500, 3), generator=_noise(13))
    x = torch.zeros(1500, 6 + gap, dtype=torch.long)
    x[:, :3] = words
    x[:, 3 + gap] = 7
    y = torch.full_like(x, HIDDEN)
    y[:, -3:] = words
    return x, y


@cache
def reversal() -> Data:
    """Sequence to sequence: ((source, target so far), target) of five tokens, to be given back in reverse order."""
    source = torch.randint(1, 9, (2000, 5), generator=_noise(14))
    target = source.flip(1)
    before = torch.cat([torch.zeros(2000, 1, dtype=torch.long), target[:, :-1]], 1)
    return torch.stack([source, before], 1), target


@cache
def characters(length: int = 16) -> Data:
    """Next character in the texts of Python's own manual (``pydoc_data.topics``), 28 kinds; (1500, length)."""
    text = " ".join(" ".join(pydoc_data.topics.topics[name].lower().split()) for name in ("assert", "while", "strings"))
    codes = torch.tensor([ord(c) - 96 if "a" <= c <= "z" else 0 if c == " " else 27 for c in text])
    starts = torch.randint(len(codes) - length - 1, (1500,), generator=_noise(15))
    windows = codes[starts[:, None] + torch.arange(length + 1)]
    return windows[:, :-1], windows[:, 1:].contiguous()


@cache
def ring() -> Data:
    """Points on a noisy ring, (2000, 2), for generators; nothing to predict."""
    angle = 6.2832 * torch.rand(2000, generator=_noise(16))
    x = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(2000, 2, generator=_noise(17))
    return 1.4 * x, torch.zeros(2000)


@cache
def clusters() -> Data:
    """Points in three clusters, (2000, 2), for generators."""
    which = torch.randint(3, (2000,), generator=_noise(18))
    centres = torch.tensor([[1.4, 0.0], [-0.7, 1.2], [-0.7, -1.2]])
    return centres[which] + 0.3 * torch.randn(2000, 2, generator=_noise(19)), torch.zeros(2000)


NODES = 240


@cache
def blocks() -> Data:
    """Nodes of a stochastic block model, (240, 8) faint features; three groups to tell by their neighbours."""
    y = torch.randint(3, (NODES,), generator=_noise(20))
    x = torch.randn(NODES, 8, generator=_noise(21))
    x[:, :3] += 0.7 * F.one_hot(y, 3)
    return x, y


@cache
def block_adjacency() -> Tensor:
    """Symmetrically normalised adjacency with self-loops (Kipf & Welling 2017) of ``blocks``."""
    _, y = blocks()
    likely = torch.where(y[:, None] == y[None], 0.15, 0.02)
    upper = torch.triu(torch.rand(NODES, NODES, generator=_noise(22)) < likely, 1).float()
    joined = upper + upper.T + torch.eye(NODES)
    scale = joined.sum(1).rsqrt()
    return scale[:, None] * joined * scale[None]


@cache
def spreads() -> Data:
    """Sets of twelve points in the plane, (1500, 12, 2), drawn with one of three spreads: which?"""
    y = torch.randint(3, (1500,), generator=_noise(23))
    x = torch.randn(1500, 12, 2, generator=_noise(24)) * torch.tensor([0.4, 1.0, 2.0])[y][:, None, None]
    return x + torch.randn(1500, 1, 2, generator=_noise(25)), y


@cache
def extremes() -> Data:
    """Sets of ten numbers, (1500, 10, 1): how far their greatest lies above their least (standardised)."""
    x = torch.randn(1500, 10, 1, generator=_noise(26))
    y = x.amax(1) - x.amin(1)
    return x, (y - y.mean()) / y.std()


@cache
def documents() -> Data:
    """Bags of 20 of 400 words, (1500, 20), about one of five topics."""
    y = torch.randint(5, (1500,), generator=_noise(27))
    about = torch.softmax(1.5 * torch.randn(5, 400, generator=_noise(28)), 1)
    return torch.multinomial(about[y], 20, replacement=True, generator=_noise(29)), y


@cache
def discs() -> Data:
    """Noisy images (800, 1, 12, 12) with a bright disc; for every pixel, whether it lies in the disc: (800, 12, 12)."""
    place = torch.rand(800, 2, generator=_noise(30)) * 6 + 3
    radius = torch.rand(800, generator=_noise(31)) * 1.5 + 1.8
    grid = torch.arange(12.0)
    far = (grid[None, :, None] - place[:, 0, None, None]) ** 2 + (grid[None, None] - place[:, 1, None, None]) ** 2
    inside = far < radius[:, None, None] ** 2
    x = inside.float() + 0.4 * torch.randn(inside.shape, generator=_noise(32))
    return ((x - x.mean()) / x.std())[:, None], inside.long()


@cache
def shapes() -> Data:
    """Noisy images (1200, 1, 10, 10) of a bar that lies, stands, or leans either way: which?"""
    y = torch.randint(4, (1200,), generator=_noise(33))
    grid = torch.arange(10.0) - 4.5
    row, column = grid[:, None].expand(10, 10), grid[None].expand(10, 10)
    lines = torch.stack([row, column, (row - column) / 1.414, (row + column) / 1.414])
    shift = 2 * torch.randn(1200, generator=_noise(34)).clamp(-1, 1)
    x = ((lines[y] - shift[:, None, None]).abs() < 1.0).float()
    x = x + 0.5 * torch.randn(x.shape, generator=_noise(35))
    return ((x - x.mean()) / x.std())[:, None], y


def _itself(data: Callable[[], Data]) -> Data:
    x, _ = data()
    return x, x


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("digits", digits, 64, 10, "accuracy", 300, 0.98, raw=partial(digits, raw=True)),
        Task("wine", partial(table, "wine"), 13, 3, "accuracy", 300, 1.0, raw=partial(table, "wine", raw=True)),
        Task(
            *("cancer", partial(table, "breast_cancer"), 30, 2, "accuracy", 300, 0.99),
            raw=partial(table, "breast_cancer", raw=True),
        ),
        Task("circles", circles, 2, 2, "accuracy", 500, 1.0),
        Task("moons", moons, 2, 2, "accuracy", 500, 1.0),
        Task("blobs", blobs, 16, 8, "accuracy", 300, 1.0),
        Task("parity", parity, 8, 2, "accuracy", 600, 1.0),
        Task(
            "diabetes",
            partial(table, "diabetes", regression=True),
            10,
            1,
            "explained",
            150,
            0.31,
            "mse",
            learnable=0.77,
        ),
        Task("friedman", friedman, 10, 1, "explained", 500, 0.97, "mse"),
        Task("images", partial(digits, shape=(1, 8, 8)), 1, 10, "accuracy", 300, 1.0),
        Task("shapes", shapes, 1, 4, "accuracy", 300, 1.0),
        Task("rows", partial(digits, shape=(8, 8)), 8, 10, "accuracy", 400, 0.99),
        Task("recall", recall, 5, 4, "accuracy", 400, 1.0),
        Task("recall-60", partial(recall, 60), 5, 4, "accuracy", 400, 1.0),
        Task("recall-100", partial(recall, 100), 5, 4, "accuracy", 400, 1.0),
        Task("adding", adding, 2, 1, "explained", 500, 1.0, "mse"),
        Task("copying", copying, 8, 8, "accuracy", 600, 1.0),
        Task("reversal", reversal, 9, 9, "accuracy", 300, 1.0),
        Task("characters", characters, 28, 28, "accuracy", 400, 0.68, learnable=0.64),
        Task("reconstruction", partial(_itself, digits), 64, 64, "explained", 400, 0.84, "mse", learnable=0.85),
        Task(
            "cancer-itself",
            partial(_itself, partial(table, "breast_cancer")),
            30,
            30,
            "explained",
            400,
            0.96,
            "mse",
            learnable=0.98,
        ),
        Task("ring", ring, 2, 2, "samples", 1000, 0.99, "own"),
        Task("clusters", clusters, 2, 2, "samples", 1000, 0.96, "own"),
        Task("latent", partial(_itself, digits), 64, 64, "explained", 400, 0.84, "own"),
        Task("blocks", blocks, 8, 3, "accuracy", 200, 1.0, whole=True),
        Task("spreads", spreads, 2, 3, "accuracy", 400, 0.97, learnable=0.97),
        Task("extremes", extremes, 1, 1, "explained", 500, 1.0, "mse"),
        Task("documents", documents, 400, 5, "accuracy", 400, 1.0),
        Task("discs", discs, 1, 2, "accuracy", 250, 0.99, learnable=0.92),
    )
}

TASKS |= {
    task.name: task
    for task in (
        Task("oscillator", data.oscillator, 1, 1, "explained", 250, 1.0, "mse"),
        Task("heat", data.heat, 2, 1, "explained", 200, 1.0, "mse"),
        Task("signal", data.signal, 1, 1, "explained", 250, 1.0, "mse"),
        Task("picture", data.picture, 2, 1, "explained", 250, 0.99, "mse"),
        Task("triplets", data.triplets, 64, 2, "accuracy", 200, 0.98, "margin"),
        Task("pairs", data.pairs, 64, 2, "accuracy", 250, 0.92, learnable=0.83),
        Task("views", data.views, 64, 200, "accuracy", 250, 0.72, "own"),
        Task("denoising", data.noisy_digits, 64, 64, "explained", 250, 0.69, "mse", 0.76),
        Task("distilled", data.distilled, 64, 10, "explained", 250, 0.93, "distillation"),
        Task("blots", data.blots, 1, 2, "accuracy", 200, 1.0, "dice", 0.97),
        Task("bell", data.bell, 2, 2, "samples", 500, 0.93, "own"),
        Task("transitions", data.transitions, 16, 1, "explained", 300, 0.99, "mse"),
        Task("prices", data.prices, 8, 1, "explained", 250, 0.97, "mse", 0.98),
        Task("tags", data.tags, 12, 5, "explained", 250, 0.84, "bce", 0.91),
        Task("odds", data.odds, 30, 1, "explained", 200, 0.92, "bce"),
        Task("waves", data.waves, 1, 1, "explained", 250, 0.99, "mse", 0.99),
        Task("letters", partial(characters, 8), 28, 28, "accuracy", 300, 0.57, learnable=0.62),
        Task("sorting", data.sorting, 9, 9, "accuracy", 250, 1.0),
        Task("wine-itself", partial(_itself, partial(table, "wine")), 13, 13, "explained", 250, 0.82, "mse", 0.94),
        Task("wine-latent", partial(_itself, partial(table, "wine")), 13, 13, "explained", 250, 0.92, "own"),
        Task("cancer-latent", partial(_itself, partial(table, "breast_cancer")), 30, 30, "explained", 250, 0.94, "own"),
    )
}
