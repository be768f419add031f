"""Clips against torch's own, closed forms, and the laws they must keep."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import steadygrad as sg
from steadygrad.clip import ClipBeforeStep, NormHistory


def parameters(seed: int, *, scale: float = 1.0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for shape in ((7, 5), (5,), (3, 2, 3, 3), ()):
        parameter = nn.Parameter(torch.randn(shape, generator=generator))
        parameter.grad = scale * torch.randn(shape, generator=generator)
        made.append(parameter)
    return made


def gradients(items: list[nn.Parameter]) -> list[torch.Tensor]:
    return [item.grad.clone() for item in items if item.grad is not None]


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(0.0, 10.0))
@settings(max_examples=40, deadline=None)
def test_value_is_torchs_bit_for_bit(seed: int, scale: float, bound: float) -> None:
    ours, theirs = parameters(seed, scale=scale), parameters(seed, scale=scale)
    sg.clip_value_(ours, -bound, bound)
    torch.nn.utils.clip_grad_value_(theirs, bound)
    assert all(torch.equal(a, b) for a, b in zip(gradients(ours), gradients(theirs), strict=True))


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(1e-3, 10.0))
@settings(max_examples=40, deadline=None)
def test_norm_is_torchs_bit_for_bit(seed: int, scale: float, bound: float) -> None:
    ours, theirs = parameters(seed, scale=scale), parameters(seed, scale=scale)
    norm = sg.clip_norm_(ours, bound)
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(theirs, bound))
    assert all(torch.equal(a, b) for a, b in zip(gradients(ours), gradients(theirs), strict=True))


@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(0, 3))
@settings(max_examples=40, deadline=None)
def test_any_interval_is_a_clamp_and_clipping_twice_is_clipping_once(seed: int, low: float, width: float) -> None:
    items = parameters(seed)
    before = gradients(items)
    sg.clip_value_(items, low, low + width)
    once = gradients(items)
    assert all(torch.equal(a, b.clamp(low, low + width)) for a, b in zip(once, before, strict=True))
    sg.clip_value_(items, low, low + width)
    assert all(torch.equal(a, b) for a, b in zip(gradients(items), once, strict=True))


def test_adaptive_bounds_each_unit_and_leaves_the_others() -> None:
    items = parameters(0, scale=0.05)
    before = gradients(items)
    sg.clip_adaptive_(items, 0.05)
    for item, old in zip(items, before, strict=True):
        rows = 1 if item.dim() < 2 else item.shape[0]
        weight = item.detach().reshape(-1, 1) if item.dim() < 2 else item.detach().reshape(rows, -1)
        new, was = item.grad.reshape(weight.shape), old.reshape(weight.shape)
        most = 0.05 * weight.norm(dim=1).clamp(min=1e-3)
        assert bool((new.norm(dim=1) <= most * (1 + 1e-5)).all())
        small = was.norm(dim=1) <= most
        assert torch.equal(new[small], was[small])


def test_quantile_lets_the_usual_through_and_cuts_the_spike() -> None:
    history = NormHistory()
    for seed in range(20):
        sg.clip_quantile_(parameters(seed), history, 0.9)
    spike = parameters(3, scale=1000.0)
    norm = sg.clip_quantile_(spike, history, 0.9)
    after = math.sqrt(sum(float(g.square().sum()) for g in gradients(spike)))
    assert float(norm) > 1000
    assert after == pytest.approx(sorted(history.norms)[math.ceil(0.9 * 21) - 1], rel=1e-4)


def test_sparse_gradients_are_clipped_row_by_row() -> None:
    table = nn.Embedding(10, 3, sparse=True)
    table(torch.tensor([1, 1, 4])).sum().mul(5).backward()
    sg.clip_value_(table.parameters(), -1, 1)
    dense = table.weight.grad.to_dense()
    assert torch.equal(dense[1], torch.ones(3)) and torch.equal(dense[4], torch.ones(3)) and float(dense[0].sum()) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda p: sg.clip_value_(p, 1, -1),
        lambda p: sg.clip_norm_(p, -1),
        lambda p: sg.clip_adaptive_(p, 0),
        lambda p: sg.clip_quantile_(p, NormHistory(), 2),
    ],
)
def test_numbers_that_make_no_sense_are_refused(call) -> None:
    with pytest.raises(ValueError, match="expected"):
        call(parameters(0))


@pytest.mark.parametrize(
    "clip", [sg.Clip.value(-0.1, 0.2), sg.Clip.norm(0.1), sg.Clip.adaptive(0.01), sg.Clip.quantile(0.5)]
)
def test_a_hooked_clip_acts_before_the_step(clip: sg.Clip) -> None:
    layer = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    optimizer.register_step_pre_hook(ClipBeforeStep(clip))
    plain = copy.deepcopy(layer)
    (100 * layer(torch.ones(2, 4)).square().sum()).backward()
    optimizer.step()
    (100 * plain(torch.ones(2, 4)).square().sum()).backward()
    moved = [b.detach() - a.detach() for a, b in zip(layer.parameters(), plain.parameters(), strict=True)]
    assert all(float(m.norm()) < float(p.grad.norm()) + 1e-6 for m, p in zip(moved, plain.parameters(), strict=True))
