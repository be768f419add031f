"""Optimizers that are neither Adam nor SGD: the exponents of orthogonal updates, and the cure that follows what is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.copies.randomness import seed_torch
from steadygrad.scaling.check_scale import scale_of
from steadygrad.subject.subject import Subject, make_subject
from tests.scaling.test_scale import BATCH, Net, by_name

SIZES = (32, 64, 128)


class Mixed(torch.optim.Optimizer):
    """As people use Muon: matrices between layers get orthogonal updates, the others signs."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                between = weight.dim() == 2 and min(weight.shape) > 16
                left, _, right = torch.linalg.svd(weight.grad, full_matrices=False)
                weight -= group["lr"] * (left @ right if between else 0.1 * weight.grad.sign())


def muon(adjustment: str) -> Callable[..., torch.optim.Optimizer]:
    kind = getattr(torch.optim, "Muon", None)
    if kind is None:
        pytest.skip("this torch has no Muon")
    return lambda parameters: kind(parameters, lr=0.01, adjust_lr_fn=adjustment)


OPTIMIZERS: dict[str, tuple[Callable[[], Callable[..., torch.optim.Optimizer]], tuple[float, float, float]]] = {
    # An update whose singular values are 1 makes of x one of √(inputs ÷ outputs) its size; each adjustment multiplies it by
    # √max(1, outputs ÷ inputs), or by √max(outputs, inputs).
    "original": (lambda: muon("original"), (0.0, 0.0, 0.5)),
    "match_rms_adamw": (lambda: muon("match_rms_adamw"), (0.0, 0.5, 1.0)),
    "mixed": (lambda: lambda parameters: Mixed(parameters, lr=0.01), (0.0, 0.0, 1.0)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_orthogonal_updates_grow_as_theory_has_it(name: str) -> None:
    make, theory = OPTIMIZERS[name]
    found = sg.scale(Net, SIZES, BATCH, F.cross_entropy, optimizer=make())
    for weight, wanted in zip(("first.weight", "middle.weight", "last.weight"), theory, strict=True):
        assert by_name(found)[weight].update.value == pytest.approx(wanted, abs=0.1), weight


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_cure_follows_what_is_measured(name: str) -> None:
    make, theory = OPTIMIZERS[name]
    found = sg.scale(Net, SIZES, BATCH, F.cross_entropy, optimizer=make())
    large = Net(8 * SIZES[0])
    groups = found.groups(large, 8 * SIZES[0], lr=1.0)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    for weight, power in zip(("first.weight", "middle.weight", "last.weight"), theory, strict=True):
        assert rates[id(large.get_parameter(weight))] == pytest.approx(8**-power)

    def member(size: int, seed: int) -> Subject:
        seed_torch(seed)
        model: nn.Module = Net(size)
        found.initialise_(model, size)
        return make_subject(
            model, BATCH, F.cross_entropy, optimizer=make()(found.groups(model, size, lr=0.01)), seed=seed
        )

    assert scale_of(member, SIZES, "width").stable
