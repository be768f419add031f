"""Healthy runs by what the loop does: batches, accumulation, clips, number formats, two backward passes a step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.faults.healthy.shared import STEPS, Losses, Reader, adding, batches, fit
from bench.faults.training import Net, Watch, classes


def small_batch(watch: Watch, seed: int, factor: float) -> Losses:
    """Four samples a step: single gradients differ by decades once most samples are learnt."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 1500, size=4))


def batch_size_changes(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    sizes = (128, 16, 64, 8)
    return fit(model, optimizer, (classes(s, sizes[s // 200], seed=seed) for s in range(STEPS)))


def overfitting(watch: Watch, seed: int, factor: float) -> Losses:
    """One batch until its loss is zero: all gradients fall by decades, and that is what training is for."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    one = classes(0, 64, seed=seed)
    return fit(model, optimizer, (one for _ in range(1500)))


def epochs_to_zero(watch: Watch, seed: int, factor: float) -> Losses:
    """A few hundred samples, epoch after epoch, until each is learnt: single samples stand out at the end."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    x, y = classes(0, 320, noise=1.8, seed=seed)
    order = torch.Generator().manual_seed(seed)

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(150):
            for chosen in torch.randperm(len(x), generator=order).split(32):
                yield x[chosen], y[chosen]

    return fit(model, optimizer, own())


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
    for x, y in batches(seed, 500):
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
    for x, y in batches(seed, 400):
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


def accumulated_sum(watch: Watch, seed: int, factor: float) -> Losses:
    """Four backward passes a step whose losses are not divided by four."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=5e-3 * factor, momentum=0.9)
    watch(model, [optimizer])
    losses = []
    for step in range(600):
        optimizer.zero_grad()
        for part in range(4):
            x, y = classes(4 * step + part, 8, seed=seed)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def single_samples(watch: Watch, seed: int, factor: float) -> Losses:
    """One sample a step."""
    model = Net(depth=4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 1500, size=1))


def clip_norm(watch: Watch, seed: int, factor: float) -> Losses:
    """A clip that acts on most steps, and is meant to."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * factor, momentum=0.9)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed), between=lambda: nn.utils.clip_grad_norm_(model.parameters(), 0.3))


def clip_value(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed), between=lambda: nn.utils.clip_grad_value_(model.parameters(), 0.01))


def clip_rarely(watch: Watch, seed: int, factor: float) -> Losses:
    """A clip at what only the first steps reach."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed), between=lambda: nn.utils.clip_grad_norm_(model.parameters(), 2.0))


def lstm_clipped(watch: Watch, seed: int, factor: float) -> Losses:
    model = Reader(nn.LSTM)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3 * factor)
    watch(model, [optimizer])
    return fit(
        model,
        optimizer,
        (adding(s, seed, 24) for s in range(500)),
        loss_of=F.mse_loss,
        between=lambda: nn.utils.clip_grad_norm_(model.parameters(), 0.25),
    )


def sharpness_aware(watch: Watch, seed: int, factor: float) -> Losses:
    """Two backward passes a step: the second at weights moved up the slope, which are put back before the step."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9)
    watch(model, [optimizer])
    losses = []
    for x, y in batches(seed, 500):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        with torch.no_grad():
            gradients = [p.grad.clone() for p in model.parameters()]
            length = torch.stack(torch._foreach_norm(gradients)).norm() + 1e-12
            moves = [0.05 * g / length for g in gradients]
            torch._foreach_add_(list(model.parameters()), moves)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            torch._foreach_sub_(list(model.parameters()), moves)
        optimizer.step()
        losses.append(loss.item())
    return losses


def half_weights(watch: Watch, seed: int, factor: float) -> Losses:
    """Weights in bfloat16, and plain descent."""
    model = Net().bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in batches(seed, 500):
            yield x.bfloat16(), y

    return fit(model, optimizer, own(), loss_of=lambda out, y: F.cross_entropy(out.float(), y))


def scaler_small(watch: Watch, seed: int, factor: float) -> Losses:
    """float16 with a loss scale that grows all along, unscaled by the step itself."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03 * factor, momentum=0.9)
    watch(model, [optimizer])
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=100)
    losses = []
    for x, y in batches(seed, 400):
        with torch.autocast("cpu", torch.float16):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return losses


RUNS = (
    small_batch,
    batch_size_changes,
    overfitting,
    epochs_to_zero,
    accumulation,
    autocast_bf16,
    grad_scaler,
    accumulated_sum,
    single_samples,
    clip_norm,
    clip_value,
    clip_rarely,
    lstm_clipped,
    sharpness_aware,
    half_weights,
    scaler_small,
)
