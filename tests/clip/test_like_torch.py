"""Clips that torch has too: the same bits, over whole trainings and on every kind of gradient."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import steadygrad as sg
from steadygrad.clip import factor_for_norm
from tests.clip.given import gradients, parameters, same
from tests.families import always

STEPS = 120


def one_by_one(items: list[nn.Parameter], bound: float) -> torch.Tensor:
    """What ``clip_per_parameter_`` is to equal."""
    return torch.stack([torch.nn.utils.clip_grad_norm_([item], bound) for item in items])


PAIRS: dict[str, tuple[Callable, Callable]] = {
    "value": (lambda p: sg.clip_value_(p, -0.1, 0.1), lambda p: torch.nn.utils.clip_grad_value_(p, 0.1)),
    "norm": (lambda p: sg.clip_norm_(p, 0.2), lambda p: torch.nn.utils.clip_grad_norm_(p, 0.2)),
    "norm-inf": (
        lambda p: sg.clip_norm_(p, 0.05, math.inf),
        lambda p: torch.nn.utils.clip_grad_norm_(p, 0.05, math.inf),
    ),
    "per-parameter": (lambda p: sg.clip_per_parameter_(p, 0.2), lambda p: one_by_one(p, 0.2)),
}


@pytest.mark.parametrize("dtype", always([torch.float32, torch.bfloat16, torch.float64], "torch.float32"))
@pytest.mark.parametrize("kind", PAIRS)
def test_a_whole_training_is_torchs_bit_for_bit(kind: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)).to(dtype)
    acted, ends, norms = [0, 0], [], []
    for clip in PAIRS[kind]:
        model, generator = copy.deepcopy(net), torch.Generator().manual_seed(1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        seen = []
        for _ in range(STEPS):
            batch = torch.randn(32, 8, generator=generator).to(dtype)
            optimizer.zero_grad()
            (model(batch).squeeze(-1) - batch[:, 0]).square().mean().backward()
            before = gradients(list(model.parameters()))
            seen.append(clip(list(model.parameters())))
            acted[not same(before, gradients(list(model.parameters())))] += 1
            optimizer.step()
        ends.append([p.detach() for p in model.parameters()])
        norms.append(seen)
    assert same(*ends)
    assert kind == "value" or all(torch.equal(a, b) for a, b in zip(*norms, strict=True))
    assert min(acted) > 10  # both a step that is clipped and one that is not were among them


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(0.0, 10.0))
@settings(max_examples=40, deadline=None)
def test_value_is_torchs(seed: int, scale: float, bound: float) -> None:
    ours, theirs = parameters(seed, scale=scale), parameters(seed, scale=scale)
    sg.clip_value_(ours, -bound, bound)
    torch.nn.utils.clip_grad_value_(theirs, bound)
    assert same(gradients(ours), gradients(theirs))


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(0.0, 10.0), st.sampled_from([2.0, math.inf]))
@settings(max_examples=60, deadline=None)
def test_norm_is_torchs(seed: int, scale: float, bound: float, norm_type: float) -> None:
    ours, theirs = parameters(seed, scale=scale), parameters(seed, scale=scale)
    norm = sg.clip_norm_(ours, bound, norm_type)
    assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(theirs, bound, norm_type))
    assert same(gradients(ours), gradients(theirs))


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(0.0, 10.0))
@settings(max_examples=40, deadline=None)
def test_per_parameter_is_torchs_one_by_one(seed: int, scale: float, bound: float) -> None:
    ours, theirs = parameters(seed, scale=scale), parameters(seed, scale=scale)
    assert torch.equal(sg.clip_per_parameter_(ours, bound), one_by_one(theirs, bound))
    assert same(gradients(ours), gradients(theirs))


@pytest.mark.parametrize("bound", [1e-7, 1e-6, 1e-5])
@pytest.mark.parametrize("times", [0.5, 0.89, 1.5, 3.0])
def test_a_bound_as_small_as_torchs_epsilon_is_torchs(bound: float, times: float) -> None:
    """There the epsilon that torch adds to a norm decides whether it is clipped."""
    clips: list[tuple[Callable, Callable]] = [
        (sg.clip_norm_, torch.nn.utils.clip_grad_norm_),
        (sg.clip_per_parameter_, one_by_one),
    ]
    for mine, torchs in clips:
        ours, theirs = parameters(0, shapes=[(5,)]), parameters(0, shapes=[(5,)])
        for one in (*ours, *theirs):
            one.grad *= times * bound / one.grad.norm()
        mine(ours, bound)
        torchs(theirs, bound)
        assert same(gradients(ours), gradients(theirs))


MIXTURES = {
    "bfloat16": [torch.bfloat16],
    "float16": [torch.float16],
    "complex": [torch.complex64],
    "float and bfloat16": [torch.bfloat16, torch.float32],
    "float and double": [torch.float32, torch.float64, torch.float32, torch.float32],
    "all": [torch.float64, torch.bfloat16, torch.float32, torch.complex64],
}


@pytest.mark.parametrize("bound", [0.3, 2.0, 9.0])
@pytest.mark.parametrize("mixture", MIXTURES)
def test_dtypes_and_mixtures_of_them_are_torchs(mixture: str, bound: float) -> None:
    shapes = ((7, 5), (5,), (3, 2, 3, 3), (4, 4), (6,), (2, 9))
    for seed in range(20):
        for norm_type in (2.0, math.inf):
            ours, theirs = (parameters(seed, shapes=shapes, dtypes=MIXTURES[mixture]) for _ in range(2))
            norm = sg.clip_norm_(ours, bound, norm_type)
            assert torch.equal(norm, torch.nn.utils.clip_grad_norm_(theirs, bound, norm_type))
            assert same(gradients(ours), gradients(theirs))
        ours, theirs = (parameters(seed, shapes=shapes, dtypes=MIXTURES[mixture]) for _ in range(2))
        norms = sg.clip_per_parameter_(ours, bound)
        assert torch.equal(norms.double(), one_by_one(theirs, bound).double())
        assert same(gradients(ours), gradients(theirs))


@pytest.mark.parametrize("norm_type", [2.0, math.inf])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_goes_the_way_it_goes_in_torch(bad: float, norm_type: float) -> None:
    ours, theirs = parameters(0), parameters(0)
    for items in (ours, theirs):
        items[0].grad[2, 3] = bad
    norm = sg.clip_norm_(ours, 1.0, norm_type)
    assert same([norm], [torch.nn.utils.clip_grad_norm_(theirs, 1.0, norm_type)])
    assert same(gradients(ours), gradients(theirs))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_stays_within_its_parameter(bad: float) -> None:
    ours, theirs = parameters(0), parameters(0)
    for items in (ours, theirs):
        items[0].grad[2, 3] = bad
    sg.clip_per_parameter_(ours, 1.0)
    one_by_one(theirs, 1.0)
    assert same(gradients(ours), gradients(theirs))
    assert all(bool(item.grad.isfinite().all()) for item in ours[1:])


def test_an_error_is_raised_for_what_is_not_finite_where_that_is_asked_for() -> None:
    items = parameters(0)
    items[0].grad[0, 0] = math.nan
    before = gradients(items)
    with pytest.raises(RuntimeError, match="norm is nan; nothing was clipped"):
        sg.clip_norm_(items, 1.0, error_if_nonfinite=True)
    assert same(gradients(items), before)


def test_an_infinite_bound_measures_and_leaves_an_infinite_gradient_as_it_is() -> None:
    items = parameters(0)
    items[0].grad[0, 0] = math.inf
    before = gradients(items)
    assert float(sg.clip_norm_(items, math.inf)) == math.inf
    assert same(gradients(items), before)


@pytest.mark.long
@given(st.floats(0, 2.0**66, width=32), st.floats(0, 1e10), st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=400, deadline=None)
def test_a_factor_has_the_same_bits_on_the_host(total: float, bound: float, dtype: torch.dtype) -> None:
    kind = np.float32 if dtype is torch.float32 else float
    factor = factor_for_norm(torch.tensor(total, dtype=dtype), bound)
    assert float(factor_for_norm(kind(total), bound)) == factor.item()
    assert torch.equal(factor_for_norm(torch.full((9,), total, dtype=dtype), bound), factor.expand(9))
