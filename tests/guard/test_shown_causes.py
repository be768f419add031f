"""A cause is told only where it was shown: the step, run again, says whether the backward pass made a gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from steadygrad.record import Alarm

BAD = 70


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.head = (
            nn.Linear(8, 32),
            nn.Linear(32, 32),
            nn.Linear(32, 32),
            nn.Linear(32, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.third(torch.relu(self.second(torch.relu(self.first(x)))))))


def alarm_of(
    after_backward: Callable[[Net], None] = lambda net: None,
    batch: Callable[[Tensor], Tensor] = lambda x: x,
    loss_of: Callable[[Net, Tensor], Tensor] = lambda net, loss: loss,
    steps: int = BAD + 5,
) -> Alarm:
    """The alarm of a run in which something happens at step ``BAD``, or from then on."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    with steadygrad.guard(net, optimizer, say=lambda line: None) as guard:
        for step in range(1, steps + 1):
            x = torch.randn(32, 8)
            y = x[:, :2].clone()
            bad = step == BAD or (step > BAD and steps > BAD + 5)
            x = batch(x) if bad else x
            optimizer.zero_grad()
            loss = F.mse_loss(net(x), y)
            loss = loss_of(net, loss) if bad else loss
            loss.backward()
            if bad:
                after_backward(net)
            optimizer.step()
    return guard.alarms[0]


def times_in(*parts: str) -> Callable[[Net], None]:
    def change(net: Net) -> None:
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None
            if name.startswith(parts):
                parameter.grad *= 1e4

    return change


def all_nan(net: Net) -> None:
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (times_in("first"), "first.weight"),
        (times_in("second.weight"), "second.weight"),
        (times_in("head"), "head.weight"),
        (times_in(""), ""),
        (all_nan, ""),
    ],
    ids=["first", "weight", "head", "all", "nan"],
)
def test_what_is_written_after_the_backward_pass_is_told_as_that(change: Callable[[Net], None], where: str) -> None:
    alarm = alarm_of(change)
    assert (alarm.step, alarm.parameter) == (BAD, where)
    assert "changed it after backward()" in alarm.cause


@pytest.mark.parametrize(
    "alarm",
    [
        lambda: alarm_of(batch=lambda x: 1e4 * x),
        lambda: alarm_of(loss_of=lambda net, loss: 1e5 * loss),
        lambda: alarm_of(batch=lambda x: x * torch.nan),
    ],
    ids=["batch", "loss", "nan batch"],
)
def test_what_the_backward_pass_makes_is_not(alarm: Callable[[], Alarm]) -> None:
    found = alarm()
    assert found.step == BAD and found.cause and "after backward()" not in found.cause


@pytest.mark.long
def test_a_loss_without_the_model_is_no_dead_unit() -> None:
    """All gradients but that of one bias are exactly zero: the loss has lost the output, and no unit is inactive."""
    alarm = alarm_of(loss_of=lambda net, loss: 0 * loss + net.head.bias.sum(), steps=BAD + 200)
    assert (alarm.code, alarm.step) == ("SG106", BAD)
    assert (
        alarm.cause == "the gradient of the loss is exactly zero: the loss no longer depends on the output of the model"
    )


def test_that_the_loss_is_large_is_no_cause_of_a_large_loss() -> None:
    alarm = alarm_of(loss_of=lambda net, loss: loss + 100)
    assert (alarm.code, alarm.step, alarm.cause) == ("SG207", BAD, "")
    assert "print the loss" in alarm.advice


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_of_a_batch_that_is_too_large_as_a_whole_no_rows_are_named(seed: int) -> None:
    """Few samples of it are answered wrongly, and bear all of the gradient; the others are as large."""
    torch.manual_seed(seed)
    teacher = torch.randn(8, 2)
    found = {}
    for rows in (64, 2):
        net = Net()
        optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
        with steadygrad.guard(net, optimizer, say=lambda line: None) as guard:
            for step in range(1, 301):
                x = torch.randn(64, 8)
                y = (x @ teacher).argmax(1)
                if step == 300:
                    y[:2] = 1 - y[:2]
                    x[:rows] *= 1e4
                optimizer.zero_grad()
                F.cross_entropy(net(x), y).backward()
                optimizer.step()
        found[rows] = guard.alarms[0]
    assert "the input of the model" in found[64].cause and found[64].rows == ()
    assert found[2].rows == (0, 1)
