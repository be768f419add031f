"""Training loops as people write them, each with one batch that is 10,000 times too large, and what they did by themselves.

``watch(model, optimizers)`` is called before the first step; ``bad`` is the step of the bad batch, the first being 1. A loop
computes the raw norm of each step's gradients, and whether its clip acts, on its own: that is what a guard is held against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.checkpoint import checkpoint

from tests.guard.runs import Watch, fingerprint

STEPS = 120
LARGE = 1e4


@dataclass
class Course:
    """What a loop came to."""

    norms: list[list[float]] = field(default_factory=lambda: [[]])
    """For each optimizer the L2 norm of the raw gradient at each step."""
    acted: list[bool] = field(default_factory=list)
    """For each step of each optimizer whether its clip acted; empty where there is no clip."""
    losses: list[float] = field(default_factory=list)
    print: str = ""

    def ended(self, model: nn.Module, optimizers: Sequence[Any], *more: float) -> Course:
        self.print = fingerprint(model, optimizers, [*self.losses, *more])
        return self


Loop = Callable[[Watch, int], Course]


def net(**options: Any) -> nn.Sequential:
    """ReLUs pass on what is too large, and a dropout makes random state matter."""
    torch.manual_seed(0)
    made: list[nn.Module] = [nn.Linear(8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 16), nn.ReLU()]
    return nn.Sequential(*made, nn.Linear(16, 1)).to(**options)


def batch(step: int, bad: int) -> tuple[Tensor, Tensor]:
    """Of a regression, so that a sample too large makes a gradient that is more than as much too large."""
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(step))
    x = x * LARGE if step == bad else x
    return x, x.sum(1, keepdim=True)


def raw(parameters: Iterable[Tensor], scale: float = 1.0) -> float:
    """The norm of the gradients as they are."""
    squares = [p.grad.double().div(scale).square().sum().item() for p in parameters if p.grad is not None]
    return math.sqrt(sum(squares))


def acts(norm: float, bound: float) -> bool:
    """Whether ``clip_grad_norm_`` changes gradients of this norm."""
    return bound / (norm + 1e-6) < 1


Clip = Callable[[nn.Module, Course], None]


def trained(watch: Watch, bad: int, clip: Clip | None = None, **options: Any) -> Course:
    """The textbook's loop."""
    course, model = Course(), net()
    make = options.pop("make", lambda m: torch.optim.AdamW(m.parameters(), lr=1e-3))
    into = options.pop("into", lambda m, x: m(x))
    optimizer = make(model)
    watch(model, [optimizer])
    for step in range(1, STEPS + 1):
        x, y = batch(step, bad)
        loss = F.mse_loss(into(model, x), y)
        optimizer.zero_grad(**options)
        loss.backward()
        course.norms[0].append(raw(model.parameters()))
        course.losses.append(loss.item())
        if clip is not None:
            clip(model, course)
        optimizer.step()
    return course.ended(model, [optimizer])


def plain(watch: Watch, bad: int) -> Course:
    return trained(watch, bad)


def gradients_kept(watch: Watch, bad: int) -> Course:
    return trained(watch, bad, set_to_none=False)


def frozen_layer(watch: Watch, bad: int) -> Course:
    def make(model: nn.Module) -> torch.optim.Optimizer:
        model.get_submodule("0").requires_grad_(False)
        return torch.optim.SGD(model.parameters(), lr=1e-9)

    return trained(watch, bad, make=make)


def reentrant(watch: Watch, bad: int) -> Course:
    def into(model: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(model, x.requires_grad_(), use_reentrant=True)  # type: ignore[no-any-return]

    return trained(watch, bad, into=into)


def by_name(watch: Watch, bad: int) -> Course:
    """``clip_grad_norm_`` as it was imported before there was a guard."""

    def clip(model: nn.Module, course: Course) -> None:
        total = clip_grad_norm_(model.parameters(), 20.0)
        course.acted.append(acts(total.item(), 20.0))

    return trained(watch, bad, clip)


def by_module(watch: Watch, bad: int) -> Course:
    def clip(model: nn.Module, course: Course) -> None:
        total = torch.nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        course.acted.append(acts(total.item(), 20.0))

    return trained(watch, bad, clip)


def always(watch: Watch, bad: int) -> Course:
    def clip(model: nn.Module, course: Course) -> None:
        total = torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        course.acted.append(acts(total.item(), 1e-3))

    return trained(watch, bad, clip)


def greatest(watch: Watch, bad: int) -> Course:
    def clip(model: nn.Module, course: Course) -> None:
        total = clip_grad_norm_(model.parameters(), 5.0, norm_type=math.inf)
        course.acted.append(acts(total.item(), 5.0))

    return trained(watch, bad, clip)


def each_by_itself(watch: Watch, bad: int) -> Course:
    def clip(model: nn.Module, course: Course) -> None:
        totals = [clip_grad_norm_([p], 10.0) for p in model.parameters()]
        course.acted.append(any(acts(total.item(), 10.0) for total in totals))

    return trained(watch, bad, clip)


def other_order(watch: Watch, bad: int) -> Course:
    """Two groups, and the clip gets what it clips from last to first."""

    def make(model: nn.Module) -> torch.optim.Optimizer:
        named = list(model.named_parameters())
        weights = [p for name, p in named if name.endswith("weight")]
        biases = [p for name, p in named if name.endswith("bias")]
        return torch.optim.AdamW([{"params": biases, "weight_decay": 0.0}, {"params": weights}], lr=1e-3)

    def clip(model: nn.Module, course: Course) -> None:
        total = clip_grad_norm_(list(model.parameters())[::-1], 20.0)
        course.acted.append(acts(total.item(), 20.0))

    return trained(watch, bad, clip, make=make)


def value(watch: Watch, bad: int) -> Course:
    def clip(model: nn.Module, course: Course) -> None:
        largest = max(p.grad.abs().max().item() for p in model.parameters() if p.grad is not None)
        clip_grad_value_(model.parameters(), 8.0)
        course.acted.append(largest > 8.0)

    return trained(watch, bad, clip)


def in_two_calls(watch: Watch, bad: int) -> Course:
    def clip(model: nn.Module, course: Course) -> None:
        total = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        torch.nn.utils.clip_grads_with_norm_(model.parameters(), 20.0, total)
        course.acted.append(acts(total.item(), 20.0))

    return trained(watch, bad, clip)


def by_hand(watch: Watch, bad: int) -> Course:
    def clip(model: nn.Module, course: Course) -> None:
        norm = course.norms[0][-1]
        course.acted.append(norm > 20.0)
        for p in model.parameters():
            if norm > 20.0 and p.grad is not None:
                p.grad.mul_(20.0 / norm)

    return trained(watch, bad, clip)


def divided(watch: Watch, bad: int) -> Course:
    """By the same number at each step, as after an accumulation: that clips nothing."""

    def clip(model: nn.Module, course: Course) -> None:
        for p in model.parameters():
            assert p.grad is not None
            p.grad /= 4

    return trained(watch, bad, clip)


def accumulated(watch: Watch, bad: int) -> Course:
    course, model = Course(), net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    for step in range(1, STEPS + 1):
        for part in range(4):
            x, y = batch(4 * step + part, 4 * bad + 2)
            loss = F.mse_loss(model(x), y) / 4
            loss.backward()
            course.losses.append(loss.item())
        course.norms[0].append(raw(model.parameters()))
        total = clip_grad_norm_(model.parameters(), 20.0)
        course.acted.append(acts(total.item(), 20.0))
        optimizer.step()
        optimizer.zero_grad()
    return course.ended(model, [optimizer])


def scaled(watch: Watch, bad: int, *, clip: bool, fused: bool = False, dtype: torch.dtype = torch.bfloat16) -> Course:
    """Mixed precision; the scale changes on the way, so that a gradient that still holds it would be seen."""
    course, model = Course(), net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4, growth_interval=25)
    watch(model, [optimizer])
    for step in range(1, STEPS + 1):
        x, y = batch(step, bad)
        with torch.autocast("cpu", dtype):
            loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        course.norms[0].append(raw(model.parameters(), scaler.get_scale()))
        if clip:
            scaler.unscale_(optimizer)
            total = clip_grad_norm_(model.parameters(), 20.0)
            course.acted.append(acts(total.item(), 20.0))
        scaler.step(optimizer)
        scaler.update()
        course.losses.append(loss.item())
    return course.ended(model, [optimizer], scaler.get_scale())


def scaled_and_clipped(watch: Watch, bad: int) -> Course:
    return scaled(watch, bad, clip=True)


def scaled_alone(watch: Watch, bad: int) -> Course:
    return scaled(watch, bad, clip=False)


def scaled_fused(watch: Watch, bad: int) -> Course:
    return scaled(watch, bad, clip=False, fused=True)


def scaled_fused_clipped(watch: Watch, bad: int) -> Course:
    return scaled(watch, bad, clip=True, fused=True)


def scaled_half(watch: Watch, bad: int) -> Course:
    """float16, in which the bad batch's gradients overflow, and the scaler leaves the step out."""
    return scaled(watch, bad, clip=True, dtype=torch.float16)


def scaled_half_fused(watch: Watch, bad: int) -> Course:
    return scaled(watch, bad, clip=False, fused=True, dtype=torch.float16)


def lbfgs(watch: Watch, bad: int, *, positional: bool = False) -> Course:
    course, model = Course(), nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    torch.manual_seed(0)
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1e-3, max_iter=3)
    watch(model, [optimizer])
    for step in range(1, STEPS + 1):
        x, y = batch(step, -1)
        y = y * LARGE if step == bad else y
        norms: list[float] = []

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)  # noqa: B023
            loss.backward()
            norms.append(raw(model.parameters()))  # noqa: B023
            return loss

        taken: Any = optimizer.step(closure) if positional else optimizer.step(closure=closure)
        course.losses.append(taken.item())
        course.norms[0].append(norms[0])
    return course.ended(model, [optimizer])


def lbfgs_positional(watch: Watch, bad: int) -> Course:
    return lbfgs(watch, bad, positional=True)


class TakesLoss(torch.optim.SGD):
    """As the step sizes of Polyak's kind, it wants to know the loss."""

    def step(self, loss: Any = None) -> Any:  # type: ignore[override]
        assert isinstance(loss, Tensor)
        return super().step()


def takes_loss(watch: Watch, bad: int) -> Course:
    course, model = Course(), net()
    optimizer = TakesLoss(model.parameters(), lr=1e-9)
    watch(model, [optimizer])
    for step in range(1, STEPS + 1):
        x, y = batch(step, bad)
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        course.norms[0].append(raw(model.parameters()))
        course.losses.append(loss.item())
        optimizer.step(loss)
    return course.ended(model, [optimizer])


def rivals(watch: Watch, bad: int) -> Course:
    """The second's parameters get gradients in the first's backward pass too, and lose them before its own."""
    torch.manual_seed(0)
    course = Course(norms=[[], []])
    made = nn.ModuleDict(
        {"generator": net(), "discriminator": nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))}
    )
    generator, discriminator = made["generator"], made["discriminator"]
    first = torch.optim.Adam(generator.parameters(), lr=1e-4)
    second = torch.optim.Adam(discriminator.parameters(), lr=1e-4)
    watch(made, [first, second])
    for step in range(1, STEPS + 1):
        x, real = batch(step, bad)
        fake = generator(x)
        second.zero_grad()
        apart = F.mse_loss(discriminator(real), torch.ones_like(real)) + discriminator(fake.detach()).square().mean()
        apart.backward()
        course.norms[1].append(raw(discriminator.parameters()))
        total = clip_grad_norm_(discriminator.parameters(), 100.0)
        course.acted.append(acts(total.item(), 100.0))
        second.step()
        first.zero_grad()
        fooled = F.mse_loss(discriminator(fake), torch.ones_like(real))
        fooled.backward()
        course.norms[0].append(raw(generator.parameters()))
        total = clip_grad_norm_(generator.parameters(), 100.0)
        course.acted.append(acts(total.item(), 100.0))
        first.step()
        course.losses += [apart.item(), fooled.item()]
    return course.ended(made, [first, second])


PLAIN: tuple[Loop, ...] = (plain, gradients_kept, frozen_layer, reentrant, takes_loss, lbfgs, lbfgs_positional)
CLIPPED: tuple[Loop, ...] = (
    by_name,
    by_module,
    always,
    greatest,
    each_by_itself,
    other_order,
    value,
    in_two_calls,
    by_hand,
    divided,
)
MORE: tuple[Loop, ...] = (
    accumulated,
    scaled_alone,
    scaled_and_clipped,
    scaled_fused,
    scaled_fused_clipped,
    rivals,
)
