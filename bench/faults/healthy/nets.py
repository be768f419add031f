"""Healthy runs by what the net is: norms, branches that begin at zero, recurrences, attention, rare parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.faults.healthy.shared import (
    STEPS,
    Conv,
    Losses,
    Reader,
    Tokens,
    adding,
    batches,
    copying,
    drawn,
    fit,
    in_turns,
    warm,
)
from bench.faults.training import CLASSES, FEATURES, Net, Watch, classes


def dropout(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net(dropout=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def resnet(watch: Watch, seed: int, factor: float) -> Losses:
    model = Conv()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * factor, momentum=0.9, weight_decay=5e-4, nesterov=True)
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [300, 450], 0.1)
    return fit(model, optimizer, batches(seed, 600, noise=0.7), schedule)


def _recurrent(kind: type[nn.Module], watch: Watch, seed: int, rate: float) -> Losses:
    model = Reader(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    watch(model, [optimizer])
    return fit(model, optimizer, (adding(s, seed) for s in range(STEPS)), loss_of=F.mse_loss)


def lstm(watch: Watch, seed: int, factor: float) -> Losses:
    return _recurrent(nn.LSTM, watch, seed, 5e-3 * factor)


def rnn(watch: Watch, seed: int, factor: float) -> Losses:
    return _recurrent(nn.RNN, watch, seed, 2e-3 * factor)


def transformer(watch: Watch, seed: int, factor: float) -> Losses:
    model = Tokens()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    return fit(model, optimizer, (copying(s, seed) for s in range(500)), warm(optimizer, 50))


def post_norm(watch: Watch, seed: int, factor: float) -> Losses:
    """Attention with norms behind the sums, which needs its warm-up."""
    model = Tokens(norm_first=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor, betas=(0.9, 0.98))
    watch(model, [optimizer])
    return fit(model, optimizer, (in_turns(s, seed) for s in range(500)), warm(optimizer, 200))


def dropout_half(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net(depth=3, width=64, dropout=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def batch_norm_of_four(watch: Watch, seed: int, factor: float) -> Losses:
    """Statistics of four samples are rough, and so are the gradients."""
    model = Conv()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 800, size=4, noise=0.5))


def zero_head(watch: Watch, seed: int, factor: float) -> Losses:
    """The last layer begins at zero: in the first step it alone has a gradient."""
    model = Net()
    nn.init.zeros_(model.layers[-1].weight)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def zero_branches(watch: Watch, seed: int, factor: float) -> Losses:
    """The last norm's scale of each residual branch begins at zero."""
    model = Conv(zero=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 * factor, momentum=0.9)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 500, noise=0.7))


class _Scaled(nn.Module):
    """Residual perceptron whose branches are scaled by a learnt number for each unit, small or zero at first."""

    def __init__(self, begin: float, blocks: int = 6, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Linear(FEATURES, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.ups = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(blocks))
        self.downs = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(blocks))
        self.scales = nn.ParameterList(nn.Parameter(torch.full((width,), begin)) for _ in range(blocks))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, up, down, scale in zip(self.norms, self.ups, self.downs, self.scales, strict=True):
            x = x + scale * down(F.gelu(up(norm(x))))
        return self.head(x)


def _layer_scale(begin: float, watch: Watch, seed: int, factor: float) -> Losses:
    model = _Scaled(begin)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 500))


def layer_scale(watch: Watch, seed: int, factor: float) -> Losses:
    return _layer_scale(1e-5, watch, seed, factor)


def gates_at_zero(watch: Watch, seed: int, factor: float) -> Losses:
    """Branches begin shut: their gradients are exactly zero in the first step."""
    return _layer_scale(0.0, watch, seed, factor)


def zero_down(watch: Watch, seed: int, factor: float) -> Losses:
    """The last matrix of each branch begins at zero."""
    model = _Scaled(1.0)
    for down in model.downs:
        nn.init.zeros_(down.weight)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 500))


class _Bags(nn.Module):
    """Words that are rarely seen, summed up."""

    def __init__(self, words: int = 2000, sparse: bool = True) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(words, 16, sparse=sparse, mode="sum")
        self.head = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.words(x))


def _texts(step: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = drawn(seed, step)
    y = torch.randint(CLASSES, (32,), generator=generator)
    rare = (torch.rand(32, 8, generator=generator) ** 3 * 190).long()
    words = torch.where(torch.rand(32, 8, generator=generator) < 0.6, y[:, None] * 190 + rare, rare + 1800)
    return words.clamp(max=1999), y


def sparse_embedding(watch: Watch, seed: int, factor: float) -> Losses:
    """Sparse gradients in the embedding, and the optimizer for them on all."""
    model = _Bags()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, (_texts(s, seed) for s in range(STEPS)))


def rare_words(watch: Watch, seed: int, factor: float) -> Losses:
    """The same with dense gradients and Adam: most rows are zero at each step."""
    model = _Bags(sparse=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, (_texts(s, seed) for s in range(STEPS)))


class _Experts(nn.Module):
    """Each sample goes to the expert that a learnt gate likes best; one of them is asked for once in fifty batches."""

    def __init__(self, count: int = 4, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Linear(FEATURES, width)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(count)
        )
        self.gate = nn.Linear(width, count - 1)
        self.head = nn.Linear(width, CLASSES)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        h = torch.relu(self.stem(x))
        weights = self.gate(h).softmax(1)
        best = weights.argmax(1)
        out = h
        for at in range(weights.shape[1]):
            mine = best == at
            if mine.any():
                out = out.index_add(0, mine.nonzero()[:, 0], weights[mine, at, None] * self.experts[at](h[mine]))
        if self.calls % 50 == 0:
            out = out + self.experts[-1](h)
        return self.head(out)


def experts(watch: Watch, seed: int, factor: float) -> Losses:
    model = _Experts()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def deep_residual(watch: Watch, seed: int, factor: float) -> Losses:
    """Thirty blocks, each branch scaled by the root of their number."""
    model = _Scaled(30**-0.5, blocks=30, width=24)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 300), warm(optimizer, 30))


def deep_sigmoid_batch_norm(watch: Watch, seed: int, factor: float) -> Losses:
    """Saturating units that batch norm keeps alive."""
    sizes = [FEATURES, *[32] * 8]
    parts: list[nn.Module] = []
    for at in range(8):
        parts += [nn.Linear(sizes[at], sizes[at + 1]), nn.BatchNorm1d(sizes[at + 1]), nn.Sigmoid()]
    model = nn.Sequential(*parts, nn.Linear(32, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, (classes(s, 64, seed=seed) for s in range(500)))


RUNS = (
    dropout,
    resnet,
    lstm,
    rnn,
    transformer,
    post_norm,
    dropout_half,
    batch_norm_of_four,
    zero_head,
    zero_branches,
    layer_scale,
    gates_at_zero,
    zero_down,
    sparse_embedding,
    rare_words,
    experts,
    deep_residual,
    deep_sigmoid_batch_norm,
)
