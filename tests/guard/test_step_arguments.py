"""What a program gives to ``step`` reaches the optimizer as it was; a closure is what its signature calls one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import steadygrad


class Schedule(nn.Module):
    """Can be called, and is no closure."""

    def forward(self, norm: Tensor) -> Tensor:
        return 0.1 / (1 + norm)


class Scheduled(torch.optim.SGD):
    def step(self, schedule: Any, closure: Any = None) -> Any:  # type: ignore[override]
        assert type(schedule) is Schedule
        norm = torch.stack([p.norm() for p in self.param_groups[0]["params"]]).norm()
        self.param_groups[0]["lr"] = float(schedule(norm).detach())
        return super().step() if closure is None else super().step(closure)


class Polyak(torch.optim.Optimizer):
    """Its step is as long as the loss and the gradient ask for."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, loss: Any) -> None:  # type: ignore[override]
        value = loss() if callable(loss) else loss
        held = [p for p in self.param_groups[0]["params"] if p.grad is not None]
        rate = value / sum((p.grad.square().sum() for p in held), torch.zeros(()))
        for parameter in held:
            parameter.sub_(parameter.grad * rate.clamp(max=1.0))


def given_a_schedule(optimizer: Any, loss: Callable[[], Tensor]) -> Tensor:
    value = loss()
    optimizer.step(schedule)
    return value


def given_a_schedule_and_a_closure(optimizer: Any, loss: Callable[[], Tensor]) -> Tensor:
    found: Tensor = optimizer.step(schedule, loss)
    return found


def given_the_loss(optimizer: Any, loss: Callable[[], Tensor]) -> Tensor:
    value = loss()
    optimizer.step(value.detach())
    return value


def given_a_function(optimizer: Any, loss: Callable[[], Tensor]) -> Tensor:
    value = loss()
    optimizer.step(value.detach().clone)
    return value


schedule = Schedule()
Loop = Callable[[Any, Callable[[], Tensor]], Tensor]
LOOPS: dict[str, tuple[Callable[[Any], Any], Loop]] = {
    "a module that can be called": (lambda params: Scheduled(params, lr=0.1), given_a_schedule),
    "a closure in the second place": (lambda params: Scheduled(params, lr=0.1), given_a_schedule_and_a_closure),
    "the loss": (Polyak, given_the_loss),
    "a function that is no closure": (Polyak, given_a_function),
    "torch's own, with a closure": (lambda params: torch.optim.LBFGS(params), lambda one, loss: one.step(loss)),
}


def run(name: str, *, guarded: bool) -> tuple[list[Tensor], list[float], Any]:
    make, loop = LOOPS[name]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = make(model.parameters())
    said: list[str] = []
    guard = steadygrad.guard(model, optimizer, say=said.append) if guarded else None
    losses = []
    for _ in range(6):
        x = torch.randn(16, 4)

        def loss(x: Tensor = x) -> Tensor:
            optimizer.zero_grad()
            value = (model(x) - x.sum(1, keepdim=True)).square().mean()
            value.backward()
            return value

        losses.append(float(loop(optimizer, loss).detach()))
    assert not any("failed" in line for line in said)
    return [p.detach().clone() for p in model.parameters()], losses, guard


@pytest.mark.parametrize("name", LOOPS)
def test_an_argument_of_step_reaches_it_as_it_was(name: str) -> None:
    expected, losses, _ = run(name, guarded=False)
    weights, watched, guard = run(name, guarded=True)
    assert all(map(torch.equal, weights, expected))
    assert watched == losses
    assert guard.steps == 6
    guard.flush()
    assert all(math.isfinite(row[-1]) for _, row, _ in guard.optimizers[0].state.trail)
    guard.detach()


def test_a_step_that_only_the_loop_can_take_is_not_tested_on_a_copy() -> None:
    model = nn.Linear(4, 1)
    report = steadygrad.check(
        model, (torch.randn(8, 4), torch.randn(8, 1)), nn.functional.mse_loss, optimizer=Polyak(model.parameters())
    )
    assert report.trial is None
    assert any("loss, which only the training loop has" in one.what for one in report.trace.blind_spots)
