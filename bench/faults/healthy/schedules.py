"""Healthy runs of plain nets by optimizer and schedule."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bench.faults.healthy.shared import STEPS, Losses, batches, drawn, fit, perceptron, warm
from bench.faults.training import FEATURES, Net, Watch


def warm_up(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed), warm(optimizer, 200))


def no_warm_up(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def cosine(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net(act=torch.tanh, gain=1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS))


def one_cycle(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2 * factor, total_steps=STEPS)
    return fit(model, optimizer, batches(seed), schedule)


def warm_restarts(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9)
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 100, 2)
    return fit(model, optimizer, batches(seed), schedule)


def sgd_momentum(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9, weight_decay=1e-4)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def large_rate(watch: Watch, seed: int, factor: float) -> Losses:
    """Bounces, and still learns."""
    model = Net(depth=4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def weight_decay(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3 * factor, weight_decay=0.3)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 2000))


def step_decay(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02 * factor, momentum=0.9)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, 900), torch.optim.lr_scheduler.StepLR(optimizer, 300, 0.1))


def cyclic(watch: Watch, seed: int, factor: float) -> Losses:
    """A rate that goes up and down by a factor of ten, again and again."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.CyclicLR(optimizer, 2e-3 * factor, 2e-2 * factor, step_size_up=100)
    return fit(model, optimizer, batches(seed), schedule)


def long_warm_up(watch: Watch, seed: int, factor: float) -> Losses:
    """From a thousandth of the rate, with the exponential moving averages of Adam at long memory."""
    model = Net(act=torch.tanh, gain=1.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3 * factor, betas=(0.9, 0.98))
    watch(model, [optimizer])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min((s + 1) / 1000, (1000 / (s + 1)) ** 0.5))
    return fit(model, optimizer, batches(seed, 1400), schedule)


def adagrad(watch: Watch, seed: int, factor: float) -> Losses:
    """Its first step is the greatest of all."""
    model = Net()
    optimizer = torch.optim.Adagrad(model.parameters(), lr=1e-2 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def rms_prop(watch: Watch, seed: int, factor: float) -> Losses:
    """Ten times the rate in its first step, where the average of squares is not corrected."""
    model = Net()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed))


def lbfgs(watch: Watch, seed: int, factor: float) -> Losses:
    """Several evaluations in a step, on one batch."""
    model = perceptron(FEATURES, 24, 1, act=nn.Tanh)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5 * factor, max_iter=5, line_search_fn="strong_wolfe")
    watch(model, [optimizer])
    x = torch.randn(128, FEATURES, generator=drawn(seed, 0))
    y = x[:, :3].sum(1, keepdim=True).sin()
    losses = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    for _ in range(200):
        losses.append(float(optimizer.step(closure)))
    return losses


def ema(watch: Watch, seed: int, factor: float) -> Losses:
    """An average of the weights is kept beside them."""
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.99))
    return fit(model, optimizer, batches(seed, 600), after=lambda: averaged.update_parameters(model))


def swa(watch: Watch, seed: int, factor: float) -> Losses:
    """Weights are averaged from step 500 on, at a constant rate that a schedule of its own brings about."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.015 * factor, momentum=0.9)
    watch(model, [optimizer])
    losses = fit(model, optimizer, batches(seed, 500))
    averaged = torch.optim.swa_utils.AveragedModel(model)
    schedule = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.02 * factor, anneal_epochs=5)

    def after() -> None:
        if len(optimizer.state) and not schedule.last_epoch % 10:
            averaged.update_parameters(model)

    return losses + fit(model, optimizer, batches(seed, 400), schedule, after=after)


def large_first_loss(watch: Watch, seed: int, factor: float) -> Losses:
    """Targets of a thousand: the loss begins at 1e6 and falls by decades."""
    model = perceptron(FEATURES, 32, 32, 1, act=nn.ReLU)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2 * factor)
    watch(model, [optimizer])

    def own() -> object:
        for step in range(1000):
            x = torch.randn(64, FEATURES, generator=drawn(seed, step))
            yield x, 1000 + 100 * x[:, :1]

    return fit(model, optimizer, own(), loss_of=F.mse_loss)


def linear_regression(watch: Watch, seed: int, factor: float) -> Losses:
    """One layer, plain descent: gradients fall by decades from the first step."""
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1 * factor)
    watch(model, [optimizer])

    def own() -> object:
        for step in range(300):
            x = torch.randn(64, 8, generator=drawn(seed, step))
            yield x, x.sum(1, keepdim=True) + 3 + 0.1 * torch.randn(64, 1, generator=drawn(seed + 50, step))

    return fit(model, optimizer, own(), loss_of=F.mse_loss)


RUNS = (
    warm_up,
    no_warm_up,
    cosine,
    one_cycle,
    warm_restarts,
    sgd_momentum,
    large_rate,
    weight_decay,
    step_decay,
    cyclic,
    long_warm_up,
    adagrad,
    rms_prop,
    lbfgs,
    ema,
    swa,
    large_first_loss,
    linear_regression,
)
