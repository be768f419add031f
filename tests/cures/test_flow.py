"""A normalising flow has no constant answer: what it has to beat is its own input."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import steadygrad as sg

SIZE = 8


class Coupling(nn.Module):
    """An affine coupling with an unbounded scale; every other one is turned around."""

    def __init__(self, *, flip: bool) -> None:
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(SIZE // 2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, SIZE))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = x.chunk(2, 1)
        if self.flip:
            kept, moved = moved, kept
        scale, shift = self.net(kept).chunk(2, 1)
        moved = moved * torch.exp(scale) + shift
        return torch.cat([moved, kept] if self.flip else [kept, moved], 1), scale.sum(1)


class Flow(nn.Module):
    def __init__(self, couplings: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(flip=bool(number % 2)) for number in range(couplings))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros(len(x))
        for coupling in self.couplings:
            x, volume = coupling(x)
            total = total + volume
        return x, total


def likelihood(output: tuple[Tensor, Tensor], _: Tensor) -> Tensor:
    z, volume = output
    return (z.square().sum(1) / 2 + SIZE / 2 * math.log(2 * math.pi) - volume).mean()


def batch(step: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(256, SIZE, generator=torch.Generator().manual_seed(step))
    x[:, 1::2] = 0.2 * x[:, 1::2] + x[:, ::2].square() / 2
    return x, x


def test_a_loss_that_reads_no_target_is_not_said_to_learn_none() -> None:
    torch.manual_seed(0)
    flow = Flow(2)
    for coupling in flow.couplings:
        nn.init.zeros_(coupling.net[-1].weight)
    report = sg.check(flow, batch, likelihood, optimizer="adam:1e-3")
    assert report.verdict is sg.Verdict.HEALTHY, report.findings
    assert report.trial is not None and report.trial.unseen is not None and report.trial.unseen.exchanged is None


@pytest.mark.long
def test_a_flow_begins_as_the_identity_and_ends_below_it() -> None:
    """Norms in its nets bring an exploded loss down by 90 %, and are worse than no model: they are not taken."""
    torch.manual_seed(0)
    cured = sg.cure(Flow(16), batch, likelihood, optimizer="adam:1e-3", allow=("numbers", "normalisation"))
    assert cured.before.verdict is sg.Verdict.WILL_NOT_TRAIN
    assert cured.taken is not None, cured.words
    assert cured.taken.candidate.names[0] == "unit-factors", cured.words
    x, _ = batch(0)
    identity = float(likelihood((x, torch.zeros(len(x))), x))
    assert float(likelihood(cured.model(x), x).detach()) == pytest.approx(identity, rel=1e-5)
    for step in range(200):
        cured.optimizer.zero_grad()
        likelihood(cured.model(batch(step + 1000)[0]), x).backward()
        cured.optimizer.step()
    assert float(likelihood(cured.model(x), x).detach()) < 0.7 * identity
