"""The probe and the step test leave no mark: bit for bit, whatever the model is made of, also where it raises."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg

WIDTH = 6


class RefusedError(Exception):
    """What a user's own code might raise."""


class InPlace(nn.Module):
    """Writes into its input and into a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))
        self.fc = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return self.fc(x).mul_(0.9).relu_()


class Counting(nn.Module):
    """Keeps plain Python state, and draws from every generator there is."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(self.calls))
        self.last = x * (1 + 0.01 * random.random() + 0.01 * float(np.random.rand()) + 0.01 * torch.rand(()))
        return self.last


class FlagFlipping(nn.Module):
    """Freezes and thaws itself while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        self.fc.bias.requires_grad_(not self.fc.bias.requires_grad)
        return self.fc(x)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(WIDTH, WIDTH, bias=False)
        self.two = nn.Linear(WIDTH, WIDTH, bias=False)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.two(torch.tanh(self.one(x)))


class Uncopiable(nn.Module):
    """Holds what ``deepcopy`` refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(WIDTH, WIDTH)
        self.results = (value for value in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc(x))


class Raising(nn.Module):
    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > self.at:
            raise RefusedError(f"call {self.calls}")
        return x


class RaisingBackward(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        class Function(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                return x.clone()

            @staticmethod
            def backward(ctx: Any, *gradients: Tensor) -> Tensor:
                raise RefusedError("backward")

        return Function.apply(x)  # type: ignore[no-any-return]


PARTS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "batch norm": lambda: nn.BatchNorm1d(WIDTH),
    "dropout": lambda: nn.Dropout(0.3),
    "in-place activation": lambda: nn.ReLU(inplace=True),
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "in place": InPlace,
    "counting": Counting,
    "flags": FlagFlipping,
    "tied": Tied,
    "uncopiable": Uncopiable,
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH)),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)),
    "raises at once": lambda: Raising(0),
    "raises in the step test": lambda: Raising(3),
    "raises in the backward pass": RaisingBackward,
}


@pytest.fixture(autouse=True, scope="module")
def no_guard_is_left() -> None:
    """A guard that another test left to the collector gives torch's functions back when it is collected: before, not during."""
    gc.collect()


def snapshot(model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Everything about a subject that a check must leave alone, as comparable values."""

    def bits(tensor: Tensor | None) -> Any:
        return (
            None if tensor is None else (tensor.dtype, tuple(tensor.shape), tensor.detach().clone().numpy().tobytes())
        )

    modules = dict(model.named_modules())
    return {
        "state": {name: bits(value) for name, value in model.state_dict().items()},
        "identity": [id(value) for value in (*model.parameters(), *model.buffers())],
        "gradients": {name: (id(p.grad), bits(p.grad)) for name, p in model.named_parameters()},
        "frozen": {name: p.requires_grad for name, p in model.named_parameters()},
        "training": {name: module.training for name, module in modules.items()},
        "hooks": {
            name: [
                {key: id(hook) for key, hook in table.items()}
                for table in (
                    module._forward_hooks,
                    module._forward_pre_hooks,
                    module._backward_hooks,
                    module._backward_pre_hooks,
                )
            ]
            for name, module in modules.items()
        },
        "parameter hooks": {name: list(p._backward_hooks or ()) for name, p in model.named_parameters()},
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "calls": [list(m.calls) for m in modules.values() if isinstance(m, Counting)],
        "last": [m.last for m in modules.values() if isinstance(m, Counting)],
        "optimizer": [[(k, v) for k, v in group.items() if k != "params"] for group in optimizer.param_groups],
        "optimizer's parameters": [[id(p) for p in group["params"]] for group in optimizer.param_groups],
        "optimizer's state": {
            id(p): {k: bits(v) if isinstance(v, Tensor) else v for k, v in state.items()}
            for p, state in optimizer.state.items()
        },
        "batch": [bits(tensor) for tensor in batch],
        "batch's gradients": [(tensor.grad, tensor.requires_grad) for tensor in batch],
        "randomness": (bits(torch.get_rng_state()), random.getstate(), str(np.random.get_state())),
        "grad mode": torch.is_grad_enabled(),
        "functions": (nn.Module.__call__, nn.Module.__init__, torch.autograd.Function.apply),
    }


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parts=st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=5),
    frozen=st.sets(st.integers(0, 5), max_size=2),
    hooks=st.sets(st.sampled_from(["forward", "pre", "backward", "parameter"])),
    optimizer_class=st.sampled_from([torch.optim.AdamW, torch.optim.SGD, torch.optim.LBFGS]),
    trained=st.booleans(),
    training=st.booleans(),
    grad=st.booleans(),
    trial=st.sampled_from([0, 3]),
)
@example(["counting", "uncopiable"], set(), set(), torch.optim.AdamW, False, False, False, 0)
def test_nothing_of_the_users_changes(
    parts: list[str],
    frozen: set[int],
    hooks: set[str],
    optimizer_class: type[torch.optim.Optimizer],
    trained: bool,
    training: bool,
    grad: bool,
    trial: int,
) -> None:
    raised: RuntimeError | None = None
    expected = _raised_plainly(parts, frozen, hooks, training)
    model, batch = _built(parts, frozen)
    trainable = [p for p in model.parameters() if p.requires_grad]
    rate = {"lr": 1e-3, "momentum": 0.9} if optimizer_class is torch.optim.SGD else {"lr": 1e-3}
    optimizer = optimizer_class(trainable, **rate)  # type: ignore[arg-type]
    if trained:
        for parameter in trainable:
            parameter.grad = torch.ones_like(parameter)
        if optimizer_class is not torch.optim.LBFGS:
            optimizer.step()
    _hook(model, hooks)
    model.train(training)
    before = snapshot(model, optimizer, batch)
    with torch.set_grad_enabled(grad):
        before["grad mode"] = grad
        try:
            sg.check(model, batch, F.cross_entropy, optimizer=optimizer, trial=trial)
        except RefusedError:
            assert any(part.startswith("raises") for part in parts)
        except RuntimeError as error:
            raised = error
        after = snapshot(model, optimizer, batch)
    # What plain torch refuses too (a backward hook before an in-place operation) is the model's own.
    assert raised is None or str(raised) == str(expected)
    for what, value in before.items():
        assert after[what] == value, what


def _built(parts: list[str], frozen: set[int]) -> tuple[nn.Sequential, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), *(PARTS[part]() for part in parts), nn.Linear(WIDTH, 3))
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(number not in frozen)
    return model, (torch.randn(8, WIDTH), torch.randint(0, 3, (8,)))


def _raised_plainly(parts: list[str], frozen: set[int], hooks: set[str], training: bool) -> RuntimeError | None:
    """What the same model raises in a plain training step."""
    model, (x, y) = _built(parts, frozen)
    _hook(model, hooks)
    try:
        F.cross_entropy(model.train(training)(x), y).backward()
    except RuntimeError as error:
        return error
    except RefusedError:
        return None
    return None


def _hook(model: nn.Module, hooks: set[str]) -> None:
    if "forward" in hooks:
        model[0].register_forward_hook(lambda _module, _inputs, output: output * 1.0)  # type: ignore[operator, arg-type]
    if "pre" in hooks:
        model.register_forward_pre_hook(lambda _module, inputs: inputs)
    if "backward" in hooks:
        model[0].register_full_backward_hook(lambda _module, _before, _after: None)  # type: ignore[operator, arg-type]
    if "parameter" in hooks:
        next(model.parameters()).requires_grad and next(model.parameters()).register_hook(
            lambda gradient: gradient * 1.0
        )


def test_the_snapshot_sees_a_mark() -> None:
    """The law above can fail: one plain training step changes what it looks at."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.Dropout(0.5), nn.Linear(WIDTH, 3))
    optimizer = torch.optim.AdamW(model.parameters())
    batch = (torch.randn(8, WIDTH), torch.randint(0, 3, (8,)))
    before = snapshot(model, optimizer, batch)
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()
    after = snapshot(model, optimizer, batch)
    assert {what for what in before if before[what] != after[what]} >= {
        "state",
        "gradients",
        "optimizer's state",
        "randomness",
    }
