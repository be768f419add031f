"""Which module an optimizer trains: the smallest that covers it, the outermost that is called like a net."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from steadygrad.launch.models import models_of


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class Holder(nn.Module):
    """Holds a net, and is never called."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net


class Recipe(Wrapped):
    def training_step(self, batch: Tensor) -> Tensor:
        return self.inner(batch).sum()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = Wrapped(nn.Embedding(8, 4))
        self.head = nn.Linear(4, 8, bias=False)
        self.head.weight = self.transformer.inner.weight  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.transformer(x))


def frozen_body() -> Net:
    net = Net()
    net.body.requires_grad_(False)
    return net


Made = tuple[list[nn.Parameter], list[nn.Module], object]
"""Parameters of the optimizer, the modules expected, and what else is to stay alive."""


def whole() -> Made:
    net = Net()
    return list(net.parameters()), [net], None


def wrapped() -> Made:
    net = Net()
    outer = Wrapped(net)
    return list(net.parameters()), [outer], None


def compiled() -> Made:
    net = Net()
    outer: nn.Module = torch.compile(net, backend="eager")  # type: ignore[assignment]
    return list(net.parameters()), [outer], None


def held() -> Made:
    net = Net()
    return list(net.parameters()), [net], Holder(net)


def recipe() -> Made:
    net = Net()
    return list(net.parameters()), [net], Recipe(net)


def tied() -> Made:
    net = Tied()
    return list(net.parameters()), [net], None


def head_of_a_frozen_body() -> Made:
    net = frozen_body()
    return list(net.head.parameters()), [net], None


def head_alone() -> Made:
    net = Net()
    return list(net.head.parameters()), [net.head], net


def two_nets() -> Made:
    one, other = Net(), nn.Linear(4, 4)
    return [*one.parameters(), *other.parameters()], [one, other], None


def loose() -> Made:
    return [nn.Parameter(torch.zeros(3))], [], None


@pytest.mark.parametrize(
    "make",
    [whole, wrapped, compiled, held, recipe, tied, head_of_a_frozen_body, head_alone, two_nets, loose],
    ids=lambda make: make.__name__,
)
def test_the_module_that_is_trained(make: Callable[[], Made]) -> None:
    parameters, expected, _alive = make()
    found = models_of(torch.optim.SGD(parameters, lr=0.1))
    assert [id(module) for module in found] == [id(module) for module in expected]


def test_an_object_that_lies_about_its_class_is_no_module() -> None:
    class Liar:
        __class__ = nn.Module  # type: ignore[assignment]

        def __getattr__(self, name: str) -> object:
            raise AssertionError("nobody asks a strange object anything")

    liar = Liar()
    net = Net()
    assert models_of(torch.optim.SGD(net.parameters(), lr=0.1)) == [net]
    del liar
