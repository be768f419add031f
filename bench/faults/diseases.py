"""Diseases of long runs: they come on slowly, and each step by itself looks as it should."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.faults.fault import AT, STEPS, Fault
from bench.faults.training import CLASSES, FEATURES, Batch, Net, Script, classes

OFTEN = {"probe_every": 50, "overhead": 1.0}
"""A run of some hundred steps stands for one of a hundred thousand, with as many looks."""
WIDTH = 32
EARLIER = 3000


class Attending(nn.Module):
    """The features of a sample as eight tokens that attend to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES // 8, WIDTH)
        self.place = nn.Parameter(0.5 * torch.randn(8, WIDTH))
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.view(len(x), 8, -1)) + self.place
        query, key, value = self.query(tokens), self.key(tokens), self.value(tokens)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.head((tokens + mixed).mean(1))


class Bounded(nn.Module):
    """A norm, a squash behind it, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(FEATURES, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.norm(self.stem(x))))


def quiet_then_loud(beta2: float, rise: float) -> Callable[[], Script]:
    """At step 250 of a run that goes on, a second loss begins to pull at one layer, with this many times its usual gradient."""

    def make() -> Script:
        model = Net(depth=4)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, beta2))

        def batch(step: int) -> Batch:
            return classes(step, wrong=0.3)

        Script(model, optimizer, EARLIER, lambda step: batch(step + STEPS)).run(fingerprints=False)
        weight = model.layers[1].weight
        usual = float(weight.grad.norm())  # type: ignore[union-attr]
        pull = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
        pull *= rise * usual / pull.norm()
        now = [0.0]

        def before(step: int) -> None:
            now[0] = float(AT <= step < AT + 20)

        def loss(out: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(out, y) + now[0] * ((weight - weight.detach()) * pull).sum()

        return Script(model, optimizer, STEPS, batch, loss, before=before)

    return make


def attending(rate: float) -> Callable[[], Script]:
    """Queries and keys learn at a rate of their own."""

    def make() -> Script:
        model = Attending()
        own = [*model.query.parameters(), *model.key.parameters()]
        others = [p for p in model.parameters() if all(p is not q for q in own)]
        groups = [{"params": others, "lr": 1e-3}, {"params": own, "lr": rate}]
        return Script(model, torch.optim.Adam(groups), 600)

    return make


def gains(grow: float) -> Callable[[], Script]:
    """The gain of the norm grows by this factor a step from step 100 on."""

    def make() -> Script:
        model = Bounded()

        def after(step: int) -> None:
            if step >= 100:
                with torch.no_grad():
                    model.norm.weight.mul_(grow)

        return Script(model, torch.optim.Adam(model.parameters(), lr=1e-3), 600, after=after)

    return make


def in_bfloat16(rate: float) -> Callable[[], Script]:
    """Weights of eight bits, without a copy in float32."""

    def make() -> Script:
        model = Net().bfloat16()

        def batch(step: int) -> tuple[Tensor, Tensor]:
            x, y = classes(step)
            return x.bfloat16(), y

        return Script(model, torch.optim.Adam(model.parameters(), lr=rate), 600, batch)

    return make


def generator(*, saturates: bool) -> Callable[[], Script]:
    """A generator of points on a ring, and a discriminator that learns twenty times as fast (Goodfellow et al. 2014)."""

    def make() -> Script:
        maker = nn.Sequential(
            nn.Linear(8, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 2)
        )
        judge = nn.Sequential(
            nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
        )
        judges = torch.optim.Adam(judge.parameters(), lr=4e-3, betas=(0.5, 0.99))

        def batch(step: int) -> Batch:
            generator = torch.Generator().manual_seed(step)
            angle = torch.rand(64, generator=generator) * 6.2832
            return torch.randn(64, 8, generator=generator), 4 * torch.stack([angle.cos(), angle.sin()], 1)

        def before(step: int) -> None:
            noise, real = batch(step)
            with torch.no_grad():
                fake = maker(noise)
            judges.zero_grad()
            (F.softplus(-judge(real)) + F.softplus(judge(fake))).mean().backward()
            judges.step()

        def loss(fake: Tensor, _: Tensor) -> Tensor:
            judged = judge(fake)
            return -F.softplus(judged).mean() if saturates else F.softplus(-judged).mean()

        optimizer = torch.optim.Adam(maker.parameters(), lr=2e-4, betas=(0.5, 0.99))
        return Script(maker, optimizer, STEPS, batch, loss, before=before)

    return make


_MATRICES = tuple(f"layers.{at}.weight" for at in range(6))

FAULTS: dict[str, Fault] = {
    "stale-second-moment-loud": Fault(
        quiet_then_loud(0.9999, 100), ("SG204",), ("layers.1.weight",), "exp_avg_sq", late=130, drift=3, alone=False
    ),
    "stale-second-moment": Fault(
        quiet_then_loud(0.999, 8), ("SG204",), ("layers.1.weight",), "exp_avg_sq", late=130, drift=3
    ),
    "growing-logits": Fault(
        attending(3e-2),
        ("SG305",),
        ("key.weight", "query.weight"),
        "grown ×.* since step",
        step=1,
        late=150,
        drift=100,
        alone=False,
        options=OFTEN,
    ),
    "saturating-generator": Fault(
        generator(saturates=True),
        ("SG101",),
        ("",),
        "have shrunk by ×.*nothing pulls it back",
        step=1,
        late=150,
        drift=100,
        info=True,
    ),
    "drifting-gain": Fault(
        gains(1.01),
        ("SG102",),
        ("norm.weight",),
        "gain of this norm has grown",
        step=100,
        late=400,
        drift=400,
        alone=False,
        options=OFTEN,
    ),
    "swallowed-updates": Fault(
        in_bfloat16(2e-5),
        ("SG108",),
        _MATRICES,
        "rounded away",
        step=1,
        late=350,
        drift=250,
        alone=False,
        options={"overhead": 1.0},
    ),
}
HEALTHY: dict[str, Callable[[], Script]] = {
    "stale-second-moment": quiet_then_loud(0.95, 8),
    "growing-logits": attending(1e-3),
    "saturating-generator": generator(saturates=False),
    "drifting-gain": gains(1.0),
    "swallowed-updates": in_bfloat16(2e-3),
}
"""The same run as it should be."""
