"""Healthy training runs of different build: all of them learn, and none has anything that is worth an alarm.

Each is a function of what watches it, a seed, and a factor on its usual learning rate; it gives the losses. The factors that
are tried are 1/3, 1 and 2, of which each run still learns.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from bench.faults.training import CLASSES, FEATURES, Net, Watch, classes

Losses = list[float]
Run = Callable[[Watch, int, float], Losses]
STEPS = 800


def _fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[Any, Tensor]],
    schedule: Any = None,
    loss_of: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> Losses:
    losses = []
    for x, y in batches:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(loss.item())
    return losses


def _batches(seed: int, steps: int = STEPS, **options: Any) -> Iterator[tuple[Tensor, Tensor]]:
    return (classes(step, seed=seed, **options) for step in range(steps))


def _warm(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / steps))


def warm_up(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed), _warm(optimizer, 200))


def no_warm_up(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed))


def cosine(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net(act=torch.tanh, gain=1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS))


def one_cycle(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2 * factor, total_steps=STEPS)
    return _fit(model, optimizer, _batches(seed), schedule)


def warm_restarts(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9)
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 100, 2)
    return _fit(model, optimizer, _batches(seed), schedule)


def sgd_momentum(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9, weight_decay=1e-4)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed))


def large_rate(watch: Watch, seed: int, factor: float) -> Losses:
    """Bounces, and still learns."""
    model = Net(depth=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3 * factor)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed))


def weight_decay(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor, weight_decay=0.3)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed, 2000))


def dropout(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net(dropout=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed))


def label_noise(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed, wrong=0.3))


def small_batch(watch: Watch, seed: int, factor: float) -> Losses:
    """Four samples a step: single gradients differ by decades once most samples are learnt."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return _fit(model, optimizer, _batches(seed, 1500, size=4))


def batch_size_changes(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    sizes = (128, 16, 64, 8)
    return _fit(model, optimizer, (classes(s, sizes[s // 200], seed=seed) for s in range(STEPS)))


def overfitting(watch: Watch, seed: int, factor: float) -> Losses:
    """One batch until its loss is zero: all gradients fall by decades, and that is what training is for."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    one = classes(0, 64, seed=seed)
    return _fit(model, optimizer, (one for _ in range(1500)))


def epochs_to_zero(watch: Watch, seed: int, factor: float) -> Losses:
    """A few hundred samples, epoch after epoch, until each is learnt: single samples stand out at the end."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    x, y = classes(0, 320, noise=1.8, seed=seed)
    order = torch.Generator().manual_seed(seed)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(150):
            for chosen in torch.randperm(len(x), generator=order).split(32):
                yield x[chosen], y[chosen]

    return _fit(model, optimizer, batches())


def accumulation(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        for part in range(4):
            x, y = classes(4 * step + part, 8, seed=seed)
            loss = F.cross_entropy(model(x), y) / 4
            loss.backward()
        optimizer.step()
        losses.append(4 * loss.item())
    return losses


def autocast_bf16(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    losses = []
    for x, y in _batches(seed, 500):
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def grad_scaler(watch: Watch, seed: int, factor: float) -> Losses:
    """The loss scale grows until it overflows, again and again, as it should."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    scaler = torch.amp.GradScaler("cpu", growth_interval=40)
    losses = []
    for x, y in _batches(seed, 400):
        with torch.autocast("cpu", torch.float16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


class _Conv(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(6))
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(6))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.unflatten(1, (1, 4, 8)))
        for at in range(0, 6, 2):
            inner = torch.relu(self.norms[at](self.convs[at](x)))
            x = torch.relu(x + self.norms[at + 1](self.convs[at + 1](inner)))
        return self.head(x.mean((2, 3)))


def resnet(watch: Watch, seed: int, factor: float) -> Losses:
    model = _Conv()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * factor, momentum=0.9, weight_decay=5e-4, nesterov=True)
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [300, 450], 0.1)
    return _fit(model, optimizer, _batches(seed, 600, noise=0.7), schedule)


class _Sequence(nn.Module):
    """Adds up marked numbers of a sequence, by a recurrent layer."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.inner = kind(2, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x)[0][:, -1])[:, 0]


def _adding(step: int, seed: int, length: int = 16, size: int = 32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1_000_003 * seed + step)
    values = torch.rand(size, length, generator=generator)
    marks = torch.zeros(size, length).scatter_(1, torch.randint(length, (size, 2), generator=generator), 1.0)
    return torch.stack([values, marks], -1), (values * marks).sum(1)


def _recurrent(kind: type[nn.Module], watch: Watch, seed: int, rate: float) -> Losses:
    model = _Sequence(kind)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    watch(model, [optimizer])
    return _fit(model, optimizer, (_adding(s, seed) for s in range(STEPS)), loss_of=F.mse_loss)


def lstm(watch: Watch, seed: int, factor: float) -> Losses:
    return _recurrent(nn.LSTM, watch, seed, 5e-3 * factor)


def rnn(watch: Watch, seed: int, factor: float) -> Losses:
    return _recurrent(nn.RNN, watch, seed, 2e-3 * factor)


class _Tokens(nn.Module):
    """A small transformer that repeats what it has read."""

    def __init__(self, layers: int = 3, width: int = 32, words: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.place = nn.Parameter(torch.randn(16, width) * 0.1)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 64, 0.0, batch_first=True, norm_first=True) for _ in range(layers)
        )
        self.head = nn.Linear(width, words)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.place[: tokens.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        return self.head(x).transpose(1, 2)


def transformer(watch: Watch, seed: int, factor: float) -> Losses:
    model = _Tokens()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(500):
            generator = torch.Generator().manual_seed(1_000_003 * seed + step)
            half = torch.randint(16, (16, 8), generator=generator)
            text = torch.cat([half, half], 1)
            yield text[:, :-1], text[:, 1:]

    return _fit(model, optimizer, batches(), _warm(optimizer, 50))


def gan(watch: Watch, seed: int, factor: float) -> Losses:
    """Two nets that each make the other's loss: neither settles."""

    def net(*sizes: int) -> nn.Sequential:
        parts: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            parts += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        return nn.Sequential(*parts[:-1])

    maker, judge = net(8, 32, 32, 2), net(2, 32, 32, 1)
    makes = torch.optim.Adam(maker.parameters(), lr=5e-4 * factor, betas=(0.5, 0.99))
    judges = torch.optim.Adam(judge.parameters(), lr=5e-4 * factor, betas=(0.5, 0.99))
    watch(nn.ModuleList([maker, judge]), [makes, judges])
    noise = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(1500):
        angle = torch.randint(8, (64,), generator=noise) * (2 * math.pi / 8)
        real = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(64, 2, generator=noise)
        fake = maker(torch.randn(64, 8, generator=noise))
        told = F.softplus(-judge(real)).mean() + F.softplus(judge(fake.detach())).mean()
        judges.zero_grad()
        told.backward()
        judges.step()
        made = F.softplus(-judge(fake)).mean()
        makes.zero_grad()
        made.backward()
        makes.step()
        losses.append(float((fake.norm(dim=1) - 1).abs().mean()))
    return losses


def resumed(watch: Watch, seed: int, factor: float) -> Losses:
    """Watched only after a checkpoint was loaded: it begins where others end."""
    before = Net()
    first = torch.optim.AdamW(before.parameters(), lr=3e-3 * factor)
    losses = _fit(before, first, _batches(seed))
    kept = copy.deepcopy((before.state_dict(), first.state_dict()))
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.load_state_dict(kept[0])
    optimizer.load_state_dict(kept[1])
    watch(model, [optimizer])
    return losses + _fit(model, optimizer, (classes(STEPS + s, seed=seed) for s in range(STEPS)))


def resumed_in_place(watch: Watch, seed: int, factor: float) -> Losses:
    """Watched from the start, and the checkpoint loaded meanwhile, as scripts do that build first and load then."""
    before = Net()
    first = torch.optim.AdamW(before.parameters(), lr=3e-3 * factor)
    losses = _fit(before, first, _batches(seed))
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    losses += _fit(model, optimizer, _batches(seed, 1))
    model.load_state_dict(before.state_dict())
    optimizer.load_state_dict(first.state_dict())
    return losses + _fit(model, optimizer, (classes(STEPS + s, seed=seed) for s in range(STEPS)))


def unfrozen(watch: Watch, seed: int, factor: float) -> Losses:
    """A trained body on new labels: the head alone, then the layers from the last to the first."""
    model = Net()
    _fit(model, torch.optim.Adam(model.parameters(), lr=2e-3), _batches(seed, 400))
    nn.init.normal_(model.layers[-1].weight, std=0.02)
    for layer in model.layers[:-1]:
        layer.requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(1000):
            if step and step % 200 == 0:
                model.layers[-1 - step // 200].requires_grad_(True)
            x, y = classes(step, seed=seed + 10)
            yield x, (y * 3 + 1) % CLASSES

    return _fit(model, optimizer, batches())


def frozen_midway(watch: Watch, seed: int, factor: float) -> Losses:
    """The first half of the layers frozen on purpose, and let go again."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(STEPS):
            if step in (300, 500):
                for layer in model.layers[:3]:
                    layer.requires_grad_(step == 500)
            yield classes(step, seed=seed)

    return _fit(model, optimizer, batches())


def regression(watch: Watch, seed: int, factor: float) -> Losses:
    """Targets with rare large values: heavy tails in the gradient, as in real measurements."""
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(STEPS):
            generator = torch.Generator().manual_seed(1_000_003 * seed + step)
            x = torch.randn(32, FEATURES, generator=generator)
            tail = torch.randn(32, 1, generator=generator) / torch.rand(32, 1, generator=generator).clamp(min=0.05)
            yield x, x[:, :4].sum(1, keepdim=True).sin() + 0.1 * tail

    return _fit(model, optimizer, batches(), loss_of=F.mse_loss)


RUNS: dict[str, Run] = {
    one.__name__: one
    for one in (
        warm_up,
        no_warm_up,
        cosine,
        one_cycle,
        warm_restarts,
        sgd_momentum,
        large_rate,
        weight_decay,
        dropout,
        label_noise,
        small_batch,
        batch_size_changes,
        overfitting,
        epochs_to_zero,
        accumulation,
        autocast_bf16,
        grad_scaler,
        resnet,
        lstm,
        rnn,
        transformer,
        gan,
        resumed,
        resumed_in_place,
        unfrozen,
        frozen_midway,
        regression,
    )
}
"""By name. ``RUNS[name](watch, seed, factor)``; seed torch first."""


FACTORS = (1.0, 2.0, 1 / 3)
SEEDS = (0, 1, 2)


def alarms_of(name: str, seed: int, factor: float) -> list[str]:
    """What the guard says of one healthy run; information alone is not counted."""
    torch.manual_seed(seed)
    guards: list[Any] = []

    def watch(model: nn.Module, optimizers: Any) -> None:
        guards.append(steadygrad.guard(model, list(optimizers), every=1, say=lambda line: None))

    losses = RUNS[name](watch, seed, factor)
    (guard,) = guards
    guard.detach()
    told = [f"{a.code} at {a.step} in {a.parameter}: {a.message}" for a in guard.alarms if a.severity != "info"]
    tenth = max(1, len(losses) // 10)
    if not sum(losses[-tenth:]) < sum(losses[:tenth]):
        told.append("did not learn: no healthy run")
    return told


def _job(job: tuple[str, int, float]) -> list[str]:
    torch.set_num_threads(1)
    return alarms_of(*job)


def show(names: Sequence[str]) -> int:
    """Each run with three seeds, the first of them at three learning rates; gives the number of alarms."""
    jobs = [(n, s, f) for n in names for s in SEEDS for f in FACTORS if s == 0 or f == 1.0]
    print(f"{'run':20s} {'seed':>4s} {'rate':>6s}  alarms")
    count = 0
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        for (name, seed, factor), told in zip(jobs, pool.map(_job, jobs), strict=True):
            count += len(told)
            print(f"{name:20s} {seed:4d} ×{factor:5.2f}  {'; '.join(told) or '-'}", flush=True)
    print(f"{count} alarms in {len(jobs)} runs of {len(names)} kinds")
    return count
