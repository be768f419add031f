"""Each experiment runs quickly, holds, can be refuted, and agrees with a reference that is not ours."""

from __future__ import annotations

import functools
import json
import math
import re
import shlex

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import nn
from torch.nn import functional as F

from steadygrad.cli import main
from steadygrad.lab import HEADINGS, Curve, Panel, Ran, Reading, find, load, run
from steadygrad.lab.experiments import clipping, depth_product, precision
from steadygrad.lab.nets import Stack, gradients
from steadygrad.lab.outcome import REFUTED, SUPPORTED
from steadygrad.lab.training import blobs, descend, plain
from tests.families import always

NAMES = [one.name for one in load()]


@functools.cache
def quick(name: str) -> Ran:
    return run(find(name), quick=True)


def reading(ran: Ran, part: str) -> Reading:
    (found,) = [one for one in ran.outcome.readings if part in one.what]
    return found


def curve(ran: Ran, panel: int, name: str) -> Curve:
    figure = ran.outcome.figures[panel]
    assert isinstance(figure, Panel)
    (found,) = [one for one in figure.curves if one.name == name]
    return found


def test_the_experiments_of_the_field_are_there() -> None:
    wanted = "squash stuck depth-product products non-squashing unit-outputs residual depth-anyway exploding clipping"
    assert [*wanted.split(), "time", "attention", "folded", "precision", "blame", "verdict"] == NAMES


@pytest.mark.long
@pytest.mark.parametrize("name", always(NAMES, "squash", "products", "blame"))
def test_it_holds_at_its_own_settings(name: str) -> None:
    ran = quick(name)
    assert ran.outcome.verdict == SUPPORTED, [(one.what, one.value) for one in ran.outcome.readings]
    assert ran.outcome.figures and ran.outcome.seen.endswith(".")


@pytest.mark.long
@pytest.mark.parametrize("name", always(NAMES, "squash", "products", "blame"))
def test_it_is_refuted_by_the_command_on_its_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    holds, refutes = find(name).commands
    assert holds == f"steadygrad lab run {name} --quick"
    assert "is refuted" in " ".join(find(name).sections["Refuted by"].split())
    assert main([*shlex.split(refutes)[1:], "--output-format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["experiments"][0]["verdict"] == REFUTED


@pytest.mark.parametrize(
    "name",
    always(["squash", "depth-product", "residual", "exploding", "time", "precision", "blame"], "squash", "blame"),
)
def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(name: str) -> None:
    again = run(find(name), quick=True).outcome
    assert [one.value for one in again.readings] == [one.value for one in quick(name).outcome.readings]
    other = run(find(name), quick=True, seed=1).outcome
    assert [one.value for one in other.readings] != [one.value for one in again.readings]


@pytest.mark.parametrize("name", NAMES)
def test_its_page_has_every_section_and_names_every_parameter(name: str) -> None:
    experiment = find(name)
    assert tuple(experiment.sections) == HEADINGS
    assert all(experiment.sections.values())
    assert experiment.summary.endswith(".") and len(experiment.summary) < 140
    assert re.search(r"\b(19|20)\d\d[ab]?\b", experiment.sections["Source"])
    assert all(one.meaning for one in experiment.parameters)
    names = re.findall(r"^- (\w+):", experiment.sections["Parameters"], flags=re.MULTILINE)
    assert names == [one.name for one in experiment.parameters]
    for one in experiment.parameters:
        for value in (one.default, one.quick):
            assert one.limits is None or one.limits[0] <= float(value) <= one.limits[1]
            assert not one.choices or value in one.choices


# References that are not ours.


def test_squash_counts_what_the_normal_distribution_says() -> None:
    # σ′(x) = s(1 − s) is 5 % of ¼ where s = (1 + √(1 − 0.05)) ÷ 2.
    s = (1 + math.sqrt(1 - 0.05)) / 2
    edge = math.log(s / (1 - s))
    found = reading(quick("squash"), "saturated")
    assert found.low <= 2 * stats.norm.sf(edge, scale=8.0) <= found.high
    far = reading(quick("squash"), "on the right")
    assert far.value == pytest.approx(math.exp(-6) / (1 + math.exp(-6)) ** 2 / 0.25)


def test_stuck_updates_are_rate_times_gradient() -> None:
    ran = run(find("stuck"), {"nets": 2, "steps": 20, "rate": 0.25}, quick=True)
    apart = np.subtract(curve(ran, 0, "update ÷ weight").y, curve(ran, 0, "gradient").y)
    # torch draws a weight uniformly on ±1/√fan-in: ‖W‖ = √(fan-out ÷ 3).
    assert apart[1:-1] == pytest.approx(np.full(9, math.log10(0.25 / math.sqrt(32 / 3))), abs=0.02)


def test_stuck_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    net, (x, y) = plain(3, 8, nn.Sigmoid).double(), blobs(16)
    weight = next(net.parameters())
    F.cross_entropy(net(x.double()), y).backward()
    assert weight.grad is not None
    exact, step = float(weight.grad[0, 0]), 1e-5
    with torch.no_grad():
        losses = []
        for side in (step, -2 * step):
            weight[0, 0] += side
            losses.append(float(F.cross_entropy(net(x.double()), y)))
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(exact, rel=1e-4)


def test_depth_product_follows_the_law_of_chi_squares() -> None:
    # ‖Wᵀv‖² of a linear layer is a χ² of n degrees ÷ n, exactly.
    width, depth = 4, 200
    mean = (special.digamma(width / 2) + math.log(2 / width)) / (2 * math.log(10))
    deviation = math.sqrt(special.polygamma(1, width / 2)) / (2 * math.log(10))
    torch.manual_seed(0)
    back = depth_product._back(Stack(depth, width, "linear", 1.0), 400)
    factors = back.diff(dim=1)
    assert float(factors.mean()) == pytest.approx(mean, abs=4 * deviation / math.sqrt(factors.numel()))
    assert float(factors.std()) == pytest.approx(deviation, rel=0.03)
    law = curve(quick("depth-product"), 0, "log-normal law")
    exact = [
        stats.norm.cdf(-1, n * mean, math.sqrt(n) * deviation) + stats.norm.sf(1, n * mean, math.sqrt(n) * deviation)
        for n in law.x
    ]
    assert law.y == pytest.approx(exact, abs=0.04)


@pytest.mark.long
def test_depth_product_of_relu_nets_is_as_hanin_and_nica_say() -> None:
    # Theorem 1 of arXiv:1812.05994: ln ‖gradient‖² is about N(−β/2, β) with β = 5 Σ 1/width, for He's scale.
    torch.manual_seed(0)
    width, depth = 50, 40
    squared = 2 * math.log(10) * gradients(Stack(depth, width, "relu", math.sqrt(2)), 400).decades[:, 0]
    beta = 5 * depth / width
    assert float(squared.var()) == pytest.approx(beta, rel=0.25)
    assert float(squared.mean()) == pytest.approx(-beta / 2, abs=0.4)


@pytest.mark.long
def test_products_of_relu_are_hes() -> None:
    ran = run(find("products"), {"activation": "relu", "nets": 10, "depth": 10}, quick=True)
    expected = [math.log10(scale / math.sqrt(2)) for scale in curve(ran, 0, "½ log10 χ").x]
    assert curve(ran, 0, "½ log10 χ").y == pytest.approx(expected, abs=1e-6)
    assert curve(ran, 0, "measured").y == pytest.approx(expected, abs=0.02)
    # Schoenholz et al. 2017, figure 1: tanh's critical line begins at σ_w = 1.
    assert curve(quick("products"), 1, "χ = 1").x[0] == pytest.approx(1.0, abs=1e-2)


@pytest.mark.long
def test_non_squashing_relu_is_kept_by_hes_scale_and_lost_at_torchs() -> None:
    assert abs(reading(quick("non-squashing"), "of relu").value) < 0.5
    lost = run(find("non-squashing"), {"init": "default", "nets": 10}, quick=True)
    assert reading(lost, "of relu").value == pytest.approx(30 * math.log10(math.sqrt(1 / 6)), abs=0.8)


def test_unit_outputs_keep_the_derivative_that_a_gaussian_gives() -> None:
    def squared(z: float) -> float:
        return (special.expit(z) * special.expit(-z)) ** 2 * stats.norm.pdf(z)

    rms = math.sqrt(integrate.quad(squared, -12, 12)[0])
    ran = quick("unit-outputs")
    assert curve(ran, 0, "under N(0, 1)").y[0] == pytest.approx(rms / 0.25, rel=1e-6)
    assert curve(ran, 0, "batch norm").y == pytest.approx([rms / 0.25] * 10, rel=0.05)


@pytest.mark.long
@pytest.mark.parametrize("skip", [1.0, 0.8])
def test_residual_hands_on_the_power_of_its_skip(skip: float) -> None:
    # He et al. 2016b, equation 8: the term is λ to the power of the blocks.
    ran = run(find("residual"), {"skip": skip, "depth": 16, "nets": 60}, quick=True)
    found = reading(ran, "identity's share")
    assert found.value == pytest.approx(skip**8, rel=0.1)


@pytest.mark.long
def test_depth_anyway_loses_hes_product() -> None:
    # He et al. 2015, equation 14, at σ_w² = 1/3: ½ log10(1/6) a layer.
    assert reading(quick("depth-anyway"), "plain, slope over depth").value == pytest.approx(
        0.5 * math.log10(1 / 6), abs=0.02
    )


def test_exploding_batch_norm_gains_what_was_published() -> None:
    # Yang et al. 2019 give 1.467 for the square; twice He's scale gains log10 2.
    ran = quick("exploding")
    assert reading(ran, "without skips").value == pytest.approx(0.5 * math.log10(1.467), abs=0.02)
    assert ran.outcome.readings[0].value == pytest.approx(math.log10(2), abs=0.02)
    by_scale = curve(ran, 1, "batch norm").y
    assert max(by_scale) - min(by_scale) < 0.02 < max(curve(ran, 1, "no norm").y)


def test_clipping_trains_as_torchs_own_clip_does() -> None:
    def trained(clip: object) -> list[float]:
        torch.manual_seed(0)
        net, data = plain(2, 16, nn.ReLU), blobs(64)
        steps = [(1000 * data[0], data[1])] + [data] * 20
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
        assert callable(clip)
        return descend(net, steps, optimizer, before_step=lambda: clip(net))

    ours = trained(lambda net: clipping._clip(net, 1.0)())
    assert ours == trained(lambda net: nn.utils.clip_grad_value_(net.parameters(), 1.0))
    assert ours != trained(lambda net: None)


@pytest.mark.parametrize("bias", [0.0, 3.0])
def test_time_an_lstm_forgets_as_its_gate_says(bias: float) -> None:
    ran = run(find("time"), {"bias": bias, "nets": 4, "width": 64}, quick=True)
    measured = reading(ran, f"forget bias of {bias:g} − ").value
    assert measured == pytest.approx(0.0, abs=0.1)
    gates = curve(ran, 1, "log10 σ(b)")
    assert gates.y == pytest.approx(np.log10(special.expit(np.array(gates.x))))
    assert np.all(np.diff(curve(ran, 1, "measured").y) > 0)


@pytest.mark.long
def test_time_an_orthogonal_recurrence_keeps_norms() -> None:
    assert abs(reading(quick("time"), "orthogonal").value) < 0.02


@pytest.mark.long
def test_attention_goes_with_depth_as_xiong_says() -> None:
    # Theorem 1: the last layer's gradient is free of depth in post-norm and goes as its −½ power in pre-norm.
    ran = quick("attention")
    assert reading(ran, "post-norm, last layer").value == pytest.approx(0.0, abs=0.15)
    slopes = [one.value for one in ran.outcome.readings if one.what == "pre-norm, the same"]
    assert slopes[-1] == pytest.approx(-0.5, abs=0.15)


def test_folded_starts_from_the_gradient_that_autograd_finds() -> None:
    ran = run(find("folded"), {"depth": 5, "steps": 10, "nets": 2}, quick=True)
    torch.manual_seed(0)
    for _ in range(2):  # The figure is of the second net.
        data = blobs(128)
        net = plain(5, 32, nn.Sigmoid)
    x = data[0].double().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(net.double()(x), data[1]), x)
    assert curve(ran, 0, "default").y[-1] == pytest.approx(float(gradient.norm().log10()), abs=1e-3)


@pytest.mark.parametrize("name", precision.FORMATS)
def test_precision_knows_the_smallest_numbers_that_torch_has(name: str) -> None:
    limits = torch.finfo(precision.FORMATS[name])
    assert precision.SMALLEST[name] == pytest.approx(math.log10(limits.smallest_normal) + math.log10(limits.eps))
    smallest = torch.tensor(10.0 ** precision.SMALLEST[name], dtype=torch.float64)
    assert float(smallest.to(precision.FORMATS[name])) > 0 == float((0.49 * smallest).to(precision.FORMATS[name]))


def test_blame_adds_up_to_autograd_and_names_the_quarter() -> None:
    ran = quick("blame")
    assert reading(ran, "autograd's whole").value < 1e-9
    # A logistic unit's derivative is at most ¼ (Hochreiter 1991), and near it for small inputs.
    assert math.log10(0.25) - 0.05 < reading(ran, "a layer").value < math.log10(0.25)


@pytest.mark.long
def test_verdict_trains_at_a_usual_rate_and_not_at_a_tiny_one() -> None:
    torch.manual_seed(0)
    ends = []
    for rate in (1e-3, 1e-6):
        torch.manual_seed(0)
        net, data = plain(2, 32, nn.ReLU), blobs(64)
        ends.append(descend(net, [data] * 100, torch.optim.Adam(net.parameters(), lr=rate))[-1])
    assert ends[0] < 0.5 * math.log(4) < ends[1]
    assert curve(quick("verdict"), 1, "6 ReLU, He").y[:2] == (0.0, 1.0)
