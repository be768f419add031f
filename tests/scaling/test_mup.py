"""Microsoft's mup as the truth: models and optimizers that it parametrises are stable, and without it what is off is named.

Yang et al. 2022, arXiv:2203.03466. Adam's eps is small here: gradients fall as the model grows, and an eps beside them is no
parametrisation.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from tests.scaling.families import TEXT, WORDS, Transformer, words_loss

mup = pytest.importorskip("mup", reason="microsoft's mup is not installed")

SIZES = (64, 128, 256)
BATCH = torch.randn(64, 256, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10


class Mlp(nn.Module):
    """That of mup's examples/MLP."""

    def __init__(self, width: int, readout: Any) -> None:
        super().__init__()
        self.fc_1 = nn.Linear(256, width, bias=False)
        self.fc_2 = nn.Linear(width, width, bias=False)
        self.fc_3 = readout(width, 10, bias=False)
        for layer in (self.fc_1, self.fc_2):
            nn.init.kaiming_normal_(layer.weight, a=1, mode="fan_in")
        nn.init.normal_(self.fc_3.weight, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_3(torch.tanh(self.fc_2(torch.tanh(self.fc_1(x)))))  # type: ignore[no-any-return]


def mlp(width: int) -> nn.Module:
    model = Mlp(width, mup.MuReadout)
    mup.set_base_shapes(model, Mlp(64, mup.MuReadout), delta=Mlp(128, mup.MuReadout))
    return model


def words(width: int) -> nn.Module:
    """A transformer with 1/d in its attention, and mup's readout."""

    def bare(width: int) -> nn.Module:
        model = Transformer(width, power=1.0)
        model.head = mup.MuReadout(width, WORDS, bias=False)
        for name, parameter in model.named_parameters():
            if "bias" in name.rpartition(".")[2]:
                nn.init.zeros_(parameter)
        return model

    model = bare(width)
    mup.set_base_shapes(model, bare(64), delta=bare(128))
    return model


def off(found: Any, wanted: float, *roles: str) -> dict[str, float]:
    """The updates that are not within 0.1 of this exponent."""
    return {
        one.name: one.update.value
        for one in found.weights
        if one.role in roles and not abs(one.update.value - wanted) <= 0.1
    }


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_what_mup_parametrises_is_stable(optimizer: str) -> None:
    def make(parameters: Any) -> Any:
        return mup.MuAdam(parameters, lr=1e-3) if optimizer == "adam" else mup.MuSGD(parameters, lr=0.1)

    found = sg.scale(mlp, SIZES, BATCH, F.cross_entropy, optimizer=make)
    assert not found.findings and not off(found, 0.0, "input", "hidden", "output")


def test_a_transformer_of_mup_is_stable() -> None:
    found = sg.scale(words, SIZES, TEXT, words_loss, optimizer=lambda p: mup.MuAdam(p, lr=1e-3, eps=1e-15))
    assert not found.findings and not off(found, 0.0, "input", "hidden", "output")


@pytest.mark.parametrize("optimizer", ["adam:1e-3", "sgd:0.1"])
def test_without_mup_the_same_net_is_off(optimizer: str) -> None:
    found = sg.scale(lambda width: Mlp(width, nn.Linear), SIZES, BATCH, F.cross_entropy, optimizer=optimizer)
    assert not off(found, 1.0 if found.adaptive else 0.5, "hidden") and not off(found, 1.0, "output")
    assert {"fc_2.weight", "fc_3.weight"} <= {name for one in found.findings for name in one.weights}


def test_a_model_of_mup_can_be_checked_and_cured() -> None:
    model = mlp(128)
    assert (
        sg.check(model, BATCH, F.cross_entropy, optimizer=mup.MuAdam(model.parameters(), lr=1e-3)).verdict == "healthy"
    )
