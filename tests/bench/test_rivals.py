"""The page of the rivals follows from the record, each rival begins as its paper says, and what is measured is kept."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.rivals import blocks, learned, numbers, shaped, transformers
from bench.rivals.compared import Cell, Score, cells, scores
from bench.rivals.listed import ALONE, BEST, CURE, NUMBERS, OURS, RIVALS, maker
from bench.rivals.measure import RATES, Row, climbed, measure, rows, two_best
from bench.rivals.nets import NETS, Net, digits, plain
from bench.rivals.page import PAGE, page

SMALL = Net("small", "mlp", "tanh", 5, 2)
SHALLOW = Net("shallow", "mlp", "relu", 4, 2)
CONV = Net("small conv", "conv", "relu", 5, 2)
ENCODER = Net("small encoder", "transformer", "relu", 2, 2)


def batch(net: Net) -> Tensor:
    return next(digits(net.kind).batches(0, 1))[0]


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)


def test_the_page_follows_from_the_record() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(rows())


@pytest.mark.parametrize("ours", OURS)
def test_the_page_compares_forty_cells(ours: str) -> None:
    assert len(cells(scores(rows()), ours)) >= 40


def test_the_best_cure_is_ahead_or_equal_in_nine_cells_of_ten() -> None:
    compared = cells(scores(rows()), BEST)
    assert sum(cell.low_enough for cell in compared) >= 0.9 * len(compared)


def test_the_rivals_that_set_numbers_alone_leave_the_modules_as_they_are() -> None:
    for name in NUMBERS:
        make = maker(name, SMALL)
        assert make is not None
        assert [type(module) for module in make(SMALL, batch(SMALL)).modules()] == [
            type(module) for module in plain(SMALL).modules()
        ]


@pytest.mark.long
@pytest.mark.parametrize("net", NETS, ids=lambda net: net.kind + "-" + net.activation)
def test_a_rival_takes_the_input_and_gives_the_classes_of_the_net(net: Net) -> None:
    x = batch(net)
    whole = [maker(name, net) for name in RIVALS if RIVALS[name].makes.get(net.kind) not in (None, *LEARNED)]
    assert whole
    for make in whole:
        assert make is not None
        assert make(net, x)(x).shape == plain(net)(x).shape


LEARNED = (learned.metainit, learned.gradinit)


def test_he_and_xavier_have_the_variance_of_their_equations() -> None:
    he = numbers.he_or_xavier(Net("", "mlp", "relu", 61, 2), batch(SMALL))
    square = torch.stack([layer.weight.detach() for layer in he if isinstance(layer, nn.Linear)][1:-1])
    assert float(square.var()) == pytest.approx(2 / 32, rel=0.02)
    xavier = numbers.he_or_xavier(Net("", "mlp", "sigmoid", 61, 2), batch(SMALL))
    square = torch.stack([layer.weight.detach() for layer in xavier if isinstance(layer, nn.Linear)][1:-1])
    assert float(square.var()) == pytest.approx(2 / 64, rel=0.02)


def test_orthogonal_weights_keep_lengths() -> None:
    model = numbers.orthogonal(SMALL, batch(SMALL))
    weight = model[2].weight  # type: ignore[index]
    torch.testing.assert_close(weight @ weight.T, torch.eye(32))


def test_an_orthogonal_kernel_is_so_at_its_centre_alone() -> None:
    kernel = numbers.orthogonal(CONV, batch(CONV))[2].weight  # type: ignore[index]
    centre = kernel[:, :, 1, 1]
    torch.testing.assert_close(centre @ centre.T, 2 * torch.eye(16))
    assert float(kernel.square().sum()) == pytest.approx(float(centre.square().sum()))


@pytest.mark.parametrize("net", [SMALL, CONV], ids=["mlp", "conv"])
def test_lsuv_gives_each_layer_an_output_of_unit_variance(net: Net) -> None:
    x = batch(net)
    found = []
    for part in numbers.lsuv(net, x):  # type: ignore[attr-defined]
        x = part(x)
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            found.append(float(x.var()))
    assert len(found) == net.depth + 1
    assert found == pytest.approx([1.0] * len(found), abs=numbers.TOLERANCE)


@pytest.mark.parametrize("curvature", [0.0, 0.5, 3.0])
def test_the_gradient_quotient_of_a_parabola_is_its_curvature(curvature: float) -> None:
    """g = λ θ + 1 and H g = λ g, so (g − H g) / g − 1 = −λ everywhere."""
    theta = torch.linspace(0.5, 2, 7, requires_grad=True)
    loss = curvature * theta.square().sum() / 2 + theta.sum()
    assert float(learned.gradient_quotient(loss, [theta]).detach()) == pytest.approx(curvature, abs=1e-4)


def _quotient(model: nn.Module) -> float:
    torch.manual_seed(1)
    loss = F.cross_entropy(model(torch.randn(64, 64)), torch.randint(10, (64,)))
    return float(learned.gradient_quotient(loss, list(model.parameters())).detach())


def same_directions(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(
        torch.allclose(F.normalize(a.flatten(), dim=0), F.normalize(b.flatten(), dim=0), atol=1e-5) for a, b in pairs
    )


def test_metainit_lowers_the_gradient_quotient_by_norms_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "NORM_STEPS", 60)
    x = batch(SHALLOW)
    begun = numbers.he_or_xavier(SHALLOW, x)
    torch.manual_seed(0)
    found = learned.metainit(SHALLOW, x)
    assert _quotient(found) < _quotient(begun) / 3
    assert same_directions(begun, found)


def test_gradinit_scales_parameters_until_the_gradient_is_in_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "ITERATIONS", 20)
    monkeypatch.setattr(learned, "SCALE_RATE", 0.05)
    monkeypatch.setattr(learned, "BOUND", 0.5)
    x, y = next(digits("mlp").batches(0, 1))

    def norm(model: nn.Module) -> float:
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))
        return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())

    begun = numbers.he_or_xavier(SHALLOW, x)
    torch.manual_seed(0)
    found = learned.gradinit(SHALLOW, x)
    assert norm(begun) > 2 * learned.BOUND
    assert norm(found) < 1.2 * learned.BOUND
    assert same_directions(begun, found)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu"])
def test_dks_meets_its_four_conditions_on_a_sample(name: str) -> None:
    function = shaped.shaped(Net("", "mlp", name, 31, 1))
    z = torch.randn(500_000, dtype=torch.float64, requires_grad=True)
    value = function(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    value, z = value.detach(), z.detach()
    assert float(value.mean()) == pytest.approx(0, abs=0.01)
    assert float(value.square().mean()) == pytest.approx(1, abs=0.01)
    assert float((value * slope * z).mean()) == pytest.approx(1, abs=0.01)
    assert float(slope.square().mean()) ** 31 == pytest.approx(shaped.ZETA, rel=0.1)


def test_tat_brings_two_orthogonal_inputs_to_its_cosine() -> None:
    """The C map, measured: wide orthogonal layers with the leaky ReLU that it found."""
    function, width = shaped.shaped(Net("", "mlp", "relu", 31, 1)), 400
    assert float(function(torch.randn(100_000)).square().mean()) == pytest.approx(1, abs=0.02)
    x = torch.linalg.qr(torch.randn(width, 2))[0].T * width**0.5
    for _ in range(31):
        x = function(x @ nn.init.orthogonal_(torch.empty(width, width)).T)
    assert float(F.cosine_similarity(x[0], x[1], dim=0)) == pytest.approx(shaped.ETA, abs=0.04)


@pytest.mark.parametrize("make", [blocks.rezero, blocks.skipinit, blocks.fixup])
def test_residual_rivals_begin_as_the_identity(make: object) -> None:
    x = batch(CONV)
    first, *rest = make(CONV, x)  # type: ignore[operator]
    residual = [part for part in rest if isinstance(part, blocks.Residual)]
    begun = first(x)
    assert residual
    torch.testing.assert_close(nn.Sequential(*residual)(begun), begun)


def test_fixup_begins_with_no_preference_and_scales_the_first_of_each_branch() -> None:
    model = blocks.fixup(Net("", "mlp", "relu", 101, 1), batch(SMALL))
    torch.testing.assert_close(model(batch(SMALL)), torch.zeros(64, 10))
    firsts = [part.branch[3].weight for part in model if isinstance(part, blocks.Residual)]  # type: ignore[attr-defined]
    assert len(firsts) == 50
    assert float(torch.stack(firsts).var()) == pytest.approx(2 / 32 / 50, rel=0.05)


def test_a_standardised_weight_has_mean_0_and_unit_length_by_unit() -> None:
    kernel = blocks.Standardised(nn.Conv2d(16, 8, 3)).weight().flatten(1)
    torch.testing.assert_close(kernel.mean(1), torch.zeros(8), atol=1e-6, rtol=0)
    torch.testing.assert_close(kernel.norm(dim=1), torch.ones(8))


def test_the_variance_of_a_norm_free_net_grows_as_expected() -> None:
    """By α² a block, which β undoes in front of the next one."""
    model = blocks.norm_free(Net("", "mlp", "relu", 61, 1), batch(SMALL))
    residual = [part for part in model if isinstance(part, blocks.Residual)]  # type: ignore[attr-defined]
    x = torch.randn(512, 32)
    grown = float(nn.Sequential(*residual)(x).var() / x.var())
    assert grown == pytest.approx(1 + 30 * blocks.ALPHA**2, rel=0.3)


@pytest.mark.parametrize(("make", "over"), [(blocks.batch_norm, 0), (blocks.layer_norm, 1)])
def test_a_norm_stands_between_each_layer_and_its_activation(make: object, over: int) -> None:
    x = batch(SMALL)
    parts = list(make(SMALL, x))  # type: ignore[operator]
    for layer, norm, act in zip(parts[0:-1:3], parts[1:-1:3], parts[2:-1:3], strict=True):
        x = norm(layer(x))
        torch.testing.assert_close(x.mean(over), torch.zeros_like(x.mean(over)), atol=1e-5, rtol=0)
        assert float(x.var(over, correction=0).median()) == pytest.approx(1, abs=0.02)
        x = act(x)


def test_deepnorm_has_its_two_constants() -> None:
    net = Net("", "transformer", "relu", 18, 1)
    encoders = list(transformers.deepnorm(net, batch(ENCODER)).blocks)  # type: ignore[arg-type]
    assert {one.alpha for one in encoders} == {36**0.25}
    fed = torch.stack([one.linear1.weight for one in encoders])
    assert float(fed.var()) == pytest.approx(144**-0.5 * 2 / (32 + 64), rel=0.05)


def test_t_fixup_has_no_norms_and_scaled_embeddings() -> None:
    model = transformers.t_fixup(Net("", "transformer", "relu", 16, 1), batch(ENCODER))
    assert not any(isinstance(part, nn.LayerNorm) for part in model.modules())
    assert float(model.embed.weight.var()) == pytest.approx((0.67 / 2) ** 2 / 32, rel=0.15)  # type: ignore[union-attr, operator]


def test_a_rezero_transformer_begins_as_the_identity() -> None:
    x = torch.randn(4, 16, 32)
    model = transformers.rezero(ENCODER, x)
    torch.testing.assert_close(model.blocks(x), x)  # type: ignore[operator]


def test_pre_norm_leaves_the_sum_as_it_is() -> None:
    first = transformers.pre_norm(ENCODER, batch(ENCODER)).blocks[0]  # type: ignore[index, union-attr]
    for branch in (first.self_attn.out_proj, first.linear2):
        nn.init.zeros_(branch.weight)
        nn.init.zeros_(branch.bias)
    x = torch.randn(4, 16, 32)
    torch.testing.assert_close(first(x), x)


@pytest.mark.parametrize(
    ("ours", "theirs", "enough", "lower"),
    [(0.2, 0.2, True, True), (0.209, 0.2, True, False), (0.211, 0.2, False, False), (0.049, 0.001, True, False)],
)
def test_ahead_or_equal_has_a_tolerance_and_a_floor(ours: float, theirs: float, enough: bool, lower: bool) -> None:
    cell = Cell("net", "rival", Score(ours, 0.90, (1e-3,)), Score(theirs, 0.91, (1e-3,)))
    assert (cell.low_enough, cell.lower) == (enough, lower)
    assert cell.right_enough and not cell.as_right


def row(way: str, seed: int, rate: float, loss: float | None) -> Row:
    return Row(NETS[0].title, way, seed, rate, loss, 0.5, 1.0)


def test_a_rival_counts_at_its_best_rate_of_those_that_both_seeds_trained() -> None:
    found = scores(
        [
            *(row(CURE, seed, 1e-3 * (1 + seed), 0.2) for seed in (0, 1)),
            *(row("LSUV", seed, 1e-3, 0.3 + seed / 10) for seed in (0, 1)),
            *(row("LSUV", seed, 3e-3, None if seed else 0.1) for seed in (0, 1)),
            row("LSUV", 0, 1e-4, 0.01),
        ]
    )
    theirs = found[NETS[0].title, "LSUV"]
    assert (theirs.loss, theirs.rates) == (pytest.approx(0.35), (1e-3,))
    assert found[NETS[0].title, CURE].rates == (1e-3, 2e-3)
    assert [cell.lower for cell in cells(found, CURE)] == [True]
    assert cells(found, BEST) == []


@pytest.mark.parametrize(
    ("losses", "rate"),
    [
        ((), 3e-4),
        ((0.3,), 1e-3),
        ((0.3, 0.2, 0.4), None),
        ((0.1, 0.2, 0.3), 1e-4),
        ((0.3, 0.2, 0.1), 1e-2),
        ((math.inf, math.inf, math.inf), 1e-4),
    ],
)
def test_the_first_seed_climbs_until_its_best_rate_is_passed_on_both_sides(
    losses: tuple[float, ...], rate: float | None
) -> None:
    assert climbed(dict(zip(RATES[1:-1], losses, strict=False))) == rate


def test_the_second_seed_trains_the_two_best_rates_that_stayed_finite() -> None:
    assert two_best({1e-4: 0.5, 3e-4: 0.2, 1e-3: 0.3, 3e-3: math.inf}) == [3e-4, 1e-3]
    assert two_best({1e-3: math.inf}) == []


def test_what_the_record_holds_is_not_trained_again(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    last = next(way for way in reversed(RIVALS) if SMALL.kind in RIVALS[way].makes)
    whole = [Row(SMALL.title, way, seed, 1e-3, 0.1, 0.9, 1.0) for way in OURS for seed in (0, 1)]
    for way in (ALONE, *RIVALS):
        tried = [(0, 3e-4, 0.3), (0, 1e-3, 0.1), (0, 3e-3, 0.2), (1, 1e-3, 0.1), (1, 3e-3, 0.2)]
        whole += [Row(SMALL.title, way, seed, rate, loss, 0.9, 1.0) for seed, rate, loss in tried]
    whole = [one for one in whole if (one.way, one.seed, one.rate) != (last, 1, 3e-3)]
    record.write_text("".join(json.dumps(asdict(one)) + "\n" for one in whole))
    (found,) = measure(SMALL, record)
    assert (found.way, found.seed, found.rate) == (last, 1, 3e-3)
    assert found.loss is not None and math.isfinite(found.loss)
    assert rows(record) == [*whole, found]
    assert list(measure(SMALL, record)) == []
