"""AGC, AutoClip and ZClip beside plain transcriptions of their formulas, over 300 steps."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.clip import BoundsError, QuantileState, ZScoreState
from tests.clip.given import gradients, norm, parameters, same

STEPS = 300


def norms_of_a_run() -> list[float]:
    """Slowly falling, heavy-tailed, with spikes and two steps that all but vanish."""
    draw = np.random.default_rng(0)
    norms = np.exp(0.3 * draw.standard_normal(STEPS)) * np.linspace(3, 1, STEPS)
    norms[[40, 90, 91, 92, 200]] *= [8, 40, 40, 40, 1000]
    norms[[5, 150]] = 1e-7
    return [float(one) for one in norms]


# --- AGC: Brock et al. 2021, equation 3.


def unit_rows(tensor: torch.Tensor, whole_vectors: bool) -> list[tuple[int, ...] | tuple[slice, ...]]:
    """Where each unit lies: W[i] of a weight; an element or all of a vector."""
    if tensor.dim() == 0:
        return [()]
    if tensor.dim() == 1 and whole_vectors:
        return [(slice(None),)]
    return [(i,) for i in range(tensor.shape[0])]


def agc(weight: torch.Tensor, gradient: torch.Tensor, ratio: float, *, whole_vectors: bool) -> torch.Tensor:
    """G_i <- λ ‖W_i‖* ÷ ‖G_i‖ · G_i where ‖G_i‖ ÷ ‖W_i‖* > λ, else G_i; ‖W_i‖* = max(‖W_i‖, 1e-3)."""
    clipped = gradient.clone()
    for place in unit_rows(weight, whole_vectors):
        weight_norm, gradient_norm = max(float(weight[place].norm()), 1e-3), float(gradient[place].norm())
        if gradient_norm / weight_norm > ratio:
            clipped[place] = ratio * weight_norm / gradient_norm * gradient[place]
    return clipped


@pytest.mark.long
@pytest.mark.parametrize("whole_vectors", [False, True])
def test_adaptive_is_the_papers_formula(whole_vectors: bool) -> None:
    clipped = kept = 0
    for seed in range(STEPS):
        items = parameters(seed, scale=0.03, shapes=((7, 5), (5,), (3, 2, 3, 3), (), (4, 2, 3)))
        with torch.no_grad():
            items[0][3] = 0.0  # a unit whose weight counts as 1e-3
            items[1].grad[2] = 0.0
        before = gradients(items)
        expected = [agc(p.detach(), p.grad, 0.02, whole_vectors=whole_vectors) for p in items]
        sg.clip_adaptive_(items, 0.02, whole_vectors=whole_vectors)
        for new, old, truth in zip(gradients(items), before, expected, strict=True):
            torch.testing.assert_close(new, truth, rtol=2e-6, atol=0)
            assert torch.equal(new == old, truth == old)  # what need not be clipped is not touched
            clipped, kept = clipped + int((new != old).sum()), kept + int((new == old).sum())
    assert min(clipped, kept) > STEPS


def agc_as_published(weight: torch.Tensor, gradient: torch.Tensor, clipping: float, eps: float = 1e-3) -> torch.Tensor:
    """The authors' code, axes as torch has them: a vector is one unit, a floor under the gradient's norm."""

    def unitwise(x: torch.Tensor) -> torch.Tensor:
        return x.norm() if x.squeeze().dim() <= 1 else x.square().sum(tuple(range(1, x.dim())), keepdim=True).sqrt()

    norm, most = unitwise(gradient), clipping * unitwise(weight).clamp(min=eps)
    return torch.where(norm < most, gradient, gradient * (most / norm.clamp(min=1e-6)))


@pytest.mark.long
def test_adaptive_with_whole_vectors_is_the_authors_code() -> None:
    for seed in range(STEPS):
        items = parameters(seed, scale=0.03)
        expected = [agc_as_published(p.detach(), p.grad, 0.02) for p in items]
        sg.clip_adaptive_(items, 0.02, whole_vectors=True)
        for new, truth in zip(gradients(items), expected, strict=True):
            torch.testing.assert_close(new, truth, rtol=2e-6, atol=0)


# --- AutoClip: Seetharaman et al. 2020; the code keeps all norms, takes in the present one first, and calls numpy.


class AutoClip:
    def __init__(self, percentile: float) -> None:
        self.percentile, self.history = percentile, []

    def bound(self, norm: float) -> float:
        self.history.append(norm)
        return float(np.percentile(self.history, self.percentile))


@pytest.mark.parametrize("percentile", [0, 10, 50, 90, 99, 100])
def test_quantile_is_numpys_of_all_norms_so_far(percentile: float) -> None:
    state, truth = QuantileState(percentile / 100, window=None), AutoClip(percentile)
    for total in norms_of_a_run():
        assert state.bound(total) == pytest.approx(truth.bound(total), rel=1e-14)


def test_quantile_of_a_window_is_that_of_the_last_norms() -> None:
    norms = norms_of_a_run()
    state = QuantileState(0.9, window=40)
    for step, total in enumerate(norms):
        assert state.bound(total) == pytest.approx(np.quantile(norms[max(0, step - 39) : step + 1], 0.9), rel=1e-14)
    assert state.norms == norms[-40:]


def test_without_a_window_of_its_own_the_last_thousand_norms_count() -> None:
    """As in the authors' package, whose history has 1,000 entries."""
    state, norms = QuantileState(0.5), np.random.default_rng(0).uniform(1, 2, 1100)
    bounds = [state.bound(total) for total in norms]
    assert bounds[-1] == pytest.approx(np.quantile(norms[-1000:], 0.5), rel=1e-14)
    assert state.norms == norms[-1000:].tolist()


# --- ZClip: Kumar et al. 2025, algorithm 1 with reciprocal clipping; variance about the new mean, as in the authors' code.


class ZClip:
    def __init__(self, z: float = 2.5, alpha: float = 0.97, warm_up: int = 25, epsilon: float = 1e-6) -> None:
        self.z, self.alpha, self.warm_up, self.epsilon = z, alpha, warm_up, epsilon
        self.first: list[float] = []
        self.mean = self.variance = math.nan

    def bound(self, norm: float) -> float:
        if len(self.first) < self.warm_up:
            self.first.append(norm)
            self.mean, self.variance = float(np.mean(self.first)), float(np.var(self.first))
            return math.inf
        sigma = self.variance**0.5
        z = (norm - self.mean) / (sigma + self.epsilon)
        clipped = self.mean + self.z**2 / z * sigma if z > self.z else norm
        self.mean = self.alpha * self.mean + (1 - self.alpha) * clipped
        self.variance = self.alpha * self.variance + (1 - self.alpha) * (clipped - self.mean) ** 2
        return clipped if z > self.z else math.inf


@pytest.mark.parametrize("z", [1.0, 2.5, 4.0])
def test_zscore_is_the_papers_algorithm(z: float) -> None:
    state, truth = ZScoreState(z), ZClip(z)
    bounds = []
    for total in norms_of_a_run():
        bounds.append(state.bound(total))
        assert bounds[-1] == pytest.approx(truth.bound(total), rel=1e-11)
    assert bounds[:25] == [math.inf] * 25 and math.isfinite(bounds[200])


# --- Both on gradients: what torch's clip does at the bound that the paper gives.

STATES = {
    "quantile": (lambda: QuantileState(0.7, window=None), lambda: AutoClip(70), sg.clip_quantile_),
    "zscore": (lambda: ZScoreState(1.5), lambda: ZClip(1.5), sg.clip_zscore_),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", STATES)
def test_gradients_are_clipped_at_the_papers_bound(kind: str) -> None:
    make, transcribed, clip_ = STATES[kind]
    state, truth, acted = make(), transcribed(), 0
    for seed, scale in enumerate(norms_of_a_run()):
        ours, theirs = parameters(seed, scale=scale), parameters(seed, scale=scale)
        before = gradients(ours)
        total = clip_(ours, state)
        assert torch.equal(total, torch.nn.utils.clip_grad_norm_(theirs, truth.bound(float(total)) * (1 + 1e-15)))
        for new, expected in zip(gradients(ours), gradients(theirs), strict=True):
            torch.testing.assert_close(new, expected, rtol=1e-6, atol=1e-12)
        acted += not same(gradients(ours), before)
    assert STEPS / 20 < acted < STEPS / 2


@pytest.mark.parametrize("kind", STATES)
def test_a_state_goes_on_where_it_was_saved(kind: str) -> None:
    norms, state = norms_of_a_run(), STATES[kind][0]()
    for cut in (0, 10, 24, 25, 200):
        state, again = STATES[kind][0](), STATES[kind][0]()
        for total in norms[:cut]:
            state.bound(total)
        again.load_state_dict(json.loads(json.dumps(state.state_dict())))
        assert [again.bound(total) for total in norms[cut:]] == [state.bound(total) for total in norms[cut:]]
        assert copy.deepcopy(state).state_dict() == state.state_dict()


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("wrong", [{}, [], None, {"norms": "x", "mean": "x"}, {"norms": [math.nan], "mean": True}])
def test_a_state_that_is_none_is_refused(kind: str, wrong: object) -> None:
    with pytest.raises(BoundsError, match="expected"):
        STATES[kind][0]().load_state_dict(wrong)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("kind", STATES)
def test_a_norm_that_is_not_finite_is_not_remembered(kind: str, bad: float) -> None:
    state = STATES[kind][0]()
    for total in norms_of_a_run()[:60]:
        state.bound(total)
    before = state.state_dict()
    assert math.isfinite(state.bound(bad))
    assert state.state_dict() == before


def test_nothing_is_touched_in_a_warm_up_even_where_a_gradient_is_infinite() -> None:
    items = parameters(0)
    items[0].grad[0, 0] = math.inf
    before = gradients(items)
    sg.clip_zscore_(items, ZScoreState())
    sg.clip_quantile_(items, QuantileState())
    assert same(gradients(items), before)


def test_quantile_lets_the_usual_through_and_cuts_the_spike() -> None:
    state = QuantileState(0.9)
    for seed in range(20):
        sg.clip_quantile_(parameters(seed), state)
    spike = parameters(3, scale=1000.0)
    assert float(sg.clip_quantile_(spike, state)) > 1000
    assert norm(gradients(spike)) == pytest.approx(sorted(state.norms)[18], rel=1e-4)


def test_a_parameter_without_a_gradient_is_no_norm_of_zero() -> None:
    state = QuantileState()
    sg.clip_quantile_([nn.Parameter(torch.ones(3))], state)
    assert state.norms == []
