"""One answer can be the best for a loss that judges every answer alone: a generator's, but no contrastive one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg


def noise(step: int) -> tuple[Tensor, Tensor]:
    return torch.randn(64, 8, generator=torch.Generator().manual_seed(step)), torch.ones(64, 1)


def critic_of(generator: nn.Module) -> nn.Module:
    """Discriminator that has learned to tell the generator's points from a small cloud at (1, 1)."""
    critic = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for step in range(100):
        made = generator(noise(step)[0]).detach()
        optimizer.zero_grad()
        (F.softplus(-critic(torch.randn(64, 2) * 0.1 + 1)).mean() + F.softplus(critic(made)).mean()).backward()
        optimizer.step()
    return critic.requires_grad_(False)


@pytest.mark.parametrize("optimizer", ["adam:1e-3", "sgd:1e-2"])
def test_a_generator_that_learns_beside_its_discriminator_is_healthy(optimizer: str) -> None:
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
    critic = critic_of(generator)

    def deceived(made: Tensor, _: Tensor) -> Tensor:
        return F.softplus(-critic(made)).mean()

    report = sg.check(generator, noise, deceived, optimizer=optimizer)
    assert report.verdict is sg.Verdict.HEALTHY, report.findings
    assert report.trial is not None and report.trial.unseen is not None and report.trial.unseen.constant is None


@pytest.mark.long
def test_a_contrastive_loss_that_stays_at_collapse_has_learned_nothing() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 8))

    def unlike(embedded: Tensor, _: Tensor) -> Tensor:
        """InfoNCE of pairs that have nothing in common: samples 0 and 32, 1 and 33, and so on."""
        first, second = F.normalize(embedded, dim=1).chunk(2)
        return F.cross_entropy(first @ second.T / 0.5, torch.arange(len(first)))

    report = sg.check(encoder, noise, unlike, optimizer="adam:1e-3")
    assert [finding.code for finding in report.findings] == ["SG109"]
    assert report.trial is not None and report.trial.unseen is not None and report.trial.unseen.constant is not None
