"""A model whose copies share modules or tensors with it is checked as its plain twin is, and left without a mark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from steadygrad.errors import CannotCureError

REGISTRY: dict[str, Any] = {}


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 3))
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return self.body(x)  # type: ignore[no-any-return]


class GivesItself(Plain):
    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def of_registry() -> Any:
    return REGISTRY["one"]


class ReducesToOne(Plain):
    def __init__(self) -> None:
        super().__init__()
        REGISTRY["one"] = self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return of_registry, ()


class SharesBody(Plain):
    """A new instance around the same parts, as a copy that is to save memory."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = type(self)()
        twin.body = self.body
        return twin


class SharesBuffer(Plain):
    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = type(self)()
        twin.load_state_dict(self.state_dict())
        twin.count = self.count.view(1, 3)[0]
        return twin


def alone(kind: type[Plain]) -> nn.Module:
    return kind()


def inside(kind: type[Plain]) -> nn.Module:
    return nn.Sequential(kind(), nn.Linear(3, 3))


KINDS: tuple[type[Plain], ...] = (GivesItself, ReducesToOne, SharesBody, SharesBuffer)
Make = Callable[[type[Plain]], nn.Module]


def made(make: Make, kind: type[Plain]) -> tuple[nn.Module, tuple[Tensor, Tensor], torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = make(kind)
    torch.manual_seed(1)
    return model, (torch.randn(16, 6), torch.arange(16) % 3), torch.optim.SGD(model.parameters(), lr=0.1)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def told(report: Any) -> tuple[Any, ...]:
    fall = None if report.trial is None else report.trial.losses
    return report.verdict, [(one.code, one.module) for one in report.findings], fall, report.trunk.decades


@pytest.mark.parametrize("make", [alone, inside])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_checked_as_its_plain_twin(kind: type[Plain], make: Make) -> None:
    model, batch, optimizer = made(make, kind)
    before = state(model)
    report = steadygrad.check(model, batch, F.cross_entropy, optimizer=optimizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    model, batch, optimizer = made(make, Plain)
    assert told(report) == told(steadygrad.check(model, batch, F.cross_entropy, optimizer=optimizer))
    assert any("cannot be copied" in one.what for one in report.trace.blind_spots)


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_leaves_no_mark_on_it(kind: type[Plain]) -> None:
    ends = []
    for each, guarded in ((Plain, False), (kind, True)):
        model, (x, y), optimizer = made(inside, each)
        guard = steadygrad.guard(model, optimizer, probe_every=2, overhead=1.0, quiet=True) if guarded else None
        for _ in range(6):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        ends.append(state(model))
        if guard is not None:
            assert guard.looks
            assert [look.note for look in guard.looks if look.note or not look.verdict] == []
            guard.detach()
    bare, watched = ends
    assert all(torch.equal(value, watched[name]) for name, value in bare.items())


def test_a_cure_refuses_it() -> None:
    model, batch, optimizer = made(inside, GivesItself)
    for parameter in model.parameters():
        parameter.data.mul_(1e-3)
    with pytest.raises(CannotCureError, match="cannot be copied"):
        steadygrad.cure(model, batch, F.cross_entropy, optimizer=optimizer)
