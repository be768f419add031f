"""Healthy runs by what is learnt: adversaries, codes, neighbours, heavy tails, several tasks at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.faults.healthy.shared import STEPS, Losses, batches, drawn, fit, perceptron
from bench.faults.training import CLASSES, FEATURES, Net, Watch, classes


def label_noise(watch: Watch, seed: int, factor: float) -> Losses:
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    return fit(model, optimizer, batches(seed, wrong=0.3))


def gan(watch: Watch, seed: int, factor: float) -> Losses:
    """Two nets that each make the other's loss: neither settles."""
    return _adversaries(watch, seed, factor, rates=(5e-4, 5e-4), beta2=0.99)


def gan_with_a_long_memory(watch: Watch, seed: int, factor: float) -> Losses:
    """A discriminator that is faster by far: the generator's gradient grows to many times its size, and bursts."""
    return _adversaries(watch, seed, factor, rates=(2e-4, 4e-3), beta2=0.999)


def _adversaries(watch: Watch, seed: int, factor: float, *, rates: tuple[float, float], beta2: float) -> Losses:
    def net(*sizes: int) -> nn.Sequential:
        parts: list[nn.Module] = []
        for a, b in itertools.pairwise(sizes):
            parts += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
        return nn.Sequential(*parts[:-1])

    maker, judge = net(8, 32, 32, 2), net(2, 32, 32, 1)
    makes = torch.optim.Adam(maker.parameters(), lr=rates[0] * factor, betas=(0.5, beta2))
    judges = torch.optim.Adam(judge.parameters(), lr=rates[1] * factor, betas=(0.5, beta2))
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


def regression(watch: Watch, seed: int, factor: float) -> Losses:
    """Targets with rare large values: heavy tails in the gradient, as in real measurements."""
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(STEPS):
            generator = torch.Generator().manual_seed(1_000_003 * seed + step)
            x = torch.randn(32, FEATURES, generator=generator)
            tail = torch.randn(32, 1, generator=generator) / torch.rand(32, 1, generator=generator).clamp(min=0.05)
            yield x, x[:, :4].sum(1, keepdim=True).sin() + 0.1 * tail

    return fit(model, optimizer, own(), loss_of=F.mse_loss)


def critic(watch: Watch, seed: int, factor: float) -> Losses:
    """A critic with a bounded slope (gradient penalty), five of its steps to one of the maker's; losses of either sign."""
    maker, judge = perceptron(4, 32, 2), perceptron(2, 32, 32, 1)
    makes = torch.optim.Adam(maker.parameters(), lr=6e-4 * factor, betas=(0.0, 0.9))
    judges = torch.optim.Adam(judge.parameters(), lr=6e-4 * factor, betas=(0.0, 0.9))
    watch(nn.ModuleList([maker, judge]), [makes, judges])
    noise = torch.Generator().manual_seed(seed)
    losses = []

    def real() -> Tensor:
        angle = torch.rand(64, generator=noise) * 2 * math.pi
        return 2 + torch.stack([angle.cos(), angle.sin()], 1)

    for _ in range(300):
        for _ in range(3):
            x, fake = real(), maker(torch.randn(64, 4, generator=noise)).detach()
            share = torch.rand(64, 1, generator=noise)
            between = (share * x + (1 - share) * fake).requires_grad_()
            slope = torch.autograd.grad(judge(between).sum(), between, create_graph=True)[0]
            steep = ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
            told = judge(fake).mean() - judge(x).mean() + 10 * steep
            judges.zero_grad()
            told.backward()
            judges.step()
        fake = maker(torch.randn(64, 4, generator=noise))
        makes.zero_grad()
        (-judge(fake).mean()).backward()
        makes.step()
        losses.append(float((fake - 2).norm(dim=1).sub(1).abs().mean()))
    return losses


def autoencoder(watch: Watch, seed: int, factor: float) -> Losses:
    """A variational one, with the divergence's weight rising over the first steps."""
    encode, decode = perceptron(FEATURES, 32, 16), perceptron(8, 32, FEATURES)
    model = nn.ModuleList([encode, decode])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    losses = []
    for step, (x, _) in enumerate(batches(seed, 600)):
        mean, spread = encode(x).chunk(2, 1)
        back = decode(mean + torch.randn(mean.shape, generator=drawn(seed, step)) * (0.5 * spread).exp())
        apart = -0.5 * (1 + spread - mean.square() - spread.exp()).sum(1).mean()
        wrong = (back - x).square().sum(1).mean()
        loss = wrong + min(1.0, step / 200) * 0.1 * apart
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(wrong.item())
    return losses


def contrastive(watch: Watch, seed: int, factor: float) -> Losses:
    """Two views of a sample are to be nearer than those of others; the temperature is learnt."""
    body, heat = perceptron(FEATURES, 32, 16), nn.ParameterList([nn.Parameter(torch.tensor([2.0]))])
    model = nn.ModuleList([body, heat])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    losses = []
    for step, (x, _) in enumerate(batches(seed, 500, size=48, noise=1.0)):
        noise = drawn(seed + 100, step)
        a, b = (F.normalize(body(x + 0.3 * torch.randn(x.shape, generator=noise))) for _ in range(2))
        logits = a @ b.T * heat[0].exp()
        same = torch.arange(len(x))
        loss = (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def triplet(watch: Watch, seed: int, factor: float) -> Losses:
    """A margin: most samples give no loss at the end, and whole batches sometimes none."""
    model = perceptron(FEATURES, 32, 16, act=nn.ReLU)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    losses = []
    for x, y in batches(seed, 600, size=48):
        out = model(x)
        near = torch.stack([(y == label).nonzero()[-1, 0] for label in y])
        far = torch.stack([(y != label).nonzero()[0, 0] for label in y])
        loss = F.triplet_margin_loss(out, out[near], out[far], margin=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def several_tasks(watch: Watch, seed: int, factor: float) -> Losses:
    """A second task joins at step 250 and a third at 500: the loss leaps up each time, and means to."""
    body, heads = perceptron(FEATURES, 32, 32), [nn.Linear(32, CLASSES), nn.Linear(32, 1), nn.Linear(32, FEATURES)]
    model = nn.ModuleList([body, *heads])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])
    losses = []
    for step, (x, y) in enumerate(batches(seed, 800)):
        h = F.gelu(body(x))
        first = F.cross_entropy(heads[0](h), y)
        loss = first
        if step >= 250:
            loss = loss + F.mse_loss(heads[1](h)[:, 0], (y - 4.5) / 2.9)
        if step >= 500:
            loss = loss + F.mse_loss(heads[2](h), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(first.item())
    return losses


def tasks_in_turns(watch: Watch, seed: int, factor: float) -> Losses:
    """Two heads that learn in turns, each with a loss of a size of its own."""
    body, heads = perceptron(FEATURES, 32, 32), [nn.Linear(32, CLASSES), nn.Linear(32, 1)]
    model = nn.ModuleList([body, *heads])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 * factor)
    watch(model, [optimizer])
    losses = []
    for step, (x, y) in enumerate(batches(seed, 800)):
        h = F.gelu(body(x))
        loss = F.mse_loss(heads[1](h)[:, 0], y / 2.0) if step % 2 else F.cross_entropy(heads[0](h), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def rare_positives(watch: Watch, seed: int, factor: float) -> Losses:
    """One label in twenty is positive, and weighs twenty times as much."""
    model = perceptron(FEATURES, 32, 1, act=nn.ReLU)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for x, y in batches(seed, 600, size=32):
            rare = torch.rand(len(x), generator=drawn(seed, int(y.sum()))) < 0.5
            yield x, ((y == 3) & rare).float()[:, None]

    weight = torch.tensor([20.0])
    return fit(
        model, optimizer, own(), loss_of=lambda out, y: F.binary_cross_entropy_with_logits(out, y, pos_weight=weight)
    )


def heavy_tails(watch: Watch, seed: int, factor: float) -> Losses:
    """Log-normal targets under a robust loss."""
    model = perceptron(FEATURES, 32, 32, 1, act=nn.ReLU)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(STEPS):
            x = torch.randn(32, FEATURES, generator=drawn(seed, step))
            yield x, x[:, :2].sum(1, keepdim=True).exp()

    return fit(model, optimizer, own(), loss_of=lambda out, y: F.smooth_l1_loss(out, y))


def taught(watch: Watch, seed: int, factor: float) -> Losses:
    """What a trained net says is the target."""
    teacher = Net()
    fit(teacher, torch.optim.Adam(teacher.parameters(), lr=2e-3), batches(seed, 300))
    model = Net(depth=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for x, _ in batches(seed + 20, 500):
            with torch.no_grad():
                wanted = (teacher(x) / 2).softmax(1)
            yield x, wanted

    def loss_of(out: Tensor, wanted: Tensor) -> Tensor:
        return 4 * F.kl_div((out / 2).log_softmax(1), wanted, reduction="batchmean")

    return fit(model, optimizer, own(), loss_of=loss_of)


def summed_loss(watch: Watch, seed: int, factor: float) -> Losses:
    """A loss summed over the batch, and a rate to match."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=5e-4 * factor, momentum=0.9)
    watch(model, [optimizer])
    return fit(
        model,
        optimizer,
        (classes(s, 64, seed=seed) for s in range(600)),
        loss_of=lambda out, y: F.cross_entropy(out, y, reduction="sum"),
    )


def slow_start(watch: Watch, seed: int, factor: float) -> Losses:
    """A parity of signs: the loss stands at that of a constant answer for a while, then falls."""
    model = perceptron(12, 64, 64, 1, act=nn.ReLU)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3 * factor)
    watch(model, [optimizer])

    def own() -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(1500):
            x = torch.randint(2, (64, 12), generator=drawn(seed, step)).float() * 2 - 1
            yield x, (x[:, :4].prod(1, keepdim=True) + 1) / 2

    return fit(model, optimizer, own(), loss_of=F.binary_cross_entropy_with_logits)


RUNS = (
    label_noise,
    gan,
    gan_with_a_long_memory,
    regression,
    critic,
    autoencoder,
    contrastive,
    triplet,
    several_tasks,
    tasks_in_turns,
    rare_positives,
    heavy_tails,
    taught,
    summed_loss,
    slow_start,
)
