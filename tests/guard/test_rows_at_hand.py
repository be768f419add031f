"""The guard's own clip and its rows take the norms of the step at hand, of whatever kind the gradients are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

import steadygrad
from steadygrad._guard.guard import Guard

STEPS = 140
"""More than a ring holds."""


def trained(dtype: torch.dtype, guarded: bool) -> tuple[list[Tensor], Guard | None]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).to(dtype)
    if dtype == torch.bfloat16:
        model[2].float()  # Two dtypes: rows lie in the ring itself.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    bound = 0.1
    guard = None
    if guarded:
        clip = steadygrad.Clip.norm(bound)
        guard = steadygrad.guard(model, optimizer, clip=clip, probe_every=0, quiet=True)
    for _ in range(STEPS):
        x = torch.randn(16, 8)
        hidden = model[1](model[0](x.to(model[0].weight.dtype)))
        loss = (model[2](hidden.to(model[2].weight.dtype)).float() - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if not guarded:
            clip_grad_norm_(model.parameters(), bound)
        optimizer.step()
    return [p.detach().clone() for p in model.parameters()], guard


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_own_clip_by_norm_is_torch_s(dtype: torch.dtype) -> None:
    (mine, guard), (theirs, _) = trained(dtype, True), trained(dtype, False)
    assert guard is not None and not guard.optimizers[0].off
    assert 0 < guard.clipped_share <= 1
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one.double(), other.double(), rtol=0, atol=0 if dtype != torch.bfloat16 else 1e-2)
    guard.detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_rows_taken_between_backward_and_step_lose_nothing(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    guard = steadygrad.guard(model, optimizer, probe_every=0, quiet=True)
    x = torch.randn(16, 8, dtype=dtype)
    norms: list[float] = []
    for step in range(60):
        optimizer.zero_grad()
        model(x * (1 + step / 30)).square().mean().backward()
        norms = [float(p.grad.float().norm()) for p in guard.optimizers[0].parameters if p.grad is not None]
        if step == 59:
            guard.flush()
        optimizer.step()
    rows = guard.optimizers[0].watch.take_rows()
    assert rows is not None and len(rows) == 1
    assert rows.norms[0].tolist() == pytest.approx(norms, rel=1e-2)
    guard.detach()
