"""A net with rounded products: what is rounded, along which axis, and that nothing else is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.rounding.emulation import Products, Site
from steadygrad.rounding.formats import RECIPES, Element, Recipe, Rounding

FLOAT32 = Rounding(Element("float32", 23, -126, torch.finfo(torch.float32).max, None, True), "none")
WITHOUT_LOSS = Recipe("float32", FLOAT32, FLOAT32, FLOAT32)
"""Rounds to what is there: all else about the emulation shows."""

CALLS: dict[str, tuple[Callable[..., Tensor], tuple[tuple[int, ...], ...]]] = {
    "linear": (F.linear, ((4, 5, 6), (3, 6), (3,))),
    "linear of one sample": (F.linear, ((6,), (3, 6), (3,))),
    "matmul": (torch.matmul, ((4, 5, 6), (4, 6, 3))),
    "matmul by a weight": (lambda a, b: a @ b, ((4, 5, 6), (6, 3))),
    "matmul broadcast": (lambda a, b: a.matmul(b), ((2, 1, 5, 6), (4, 6, 3))),
    "matmul by a vector": (torch.matmul, ((5, 6), (6,))),
    "vector by a matrix": (torch.matmul, ((6,), (6, 3))),
    "mm": (torch.mm, ((5, 6), (6, 3))),
    "mv": (torch.mv, ((5, 6), (6,))),
    "bmm": (torch.bmm, ((4, 5, 6), (4, 6, 3))),
    "addmm": (lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2.0), ((3,), (5, 6), (6, 3))),
    "baddbmm": (torch.baddbmm, ((4, 5, 3), (4, 5, 6), (4, 6, 3))),
    "einsum": (lambda a, b: torch.einsum("bqhd,bkhd->bhqk", a, b), ((2, 5, 3, 6), (2, 4, 3, 6))),
    "einsum with dots": (lambda a, b: torch.einsum("...i,ij->...j", a, b), ((2, 5, 6), (6, 3))),
    "einsum of a list": (lambda a, b: torch.einsum("ij,jk", [a, b]), ((5, 6), (6, 3))),
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, padding=1), ((2, 4, 7), (6, 4, 3), (6,))),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, stride=2, groups=2), ((2, 4, 7, 7), (6, 2, 3, 3), (6,))),
    "conv2d of one": (lambda x, w, b: F.conv2d(input=x, weight=w, bias=b), ((4, 7, 7), (6, 4, 3, 3), (6,))),
    "conv3d": (F.conv3d, ((2, 4, 5, 5, 5), (6, 4, 3, 3, 3), (6,))),
    "conv_transpose2d": (lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2), ((2, 4, 5, 5), (4, 6, 3, 3), (6,))),
}


def leaves(shapes: tuple[tuple[int, ...], ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


def ran(recipe: Recipe | None, call: Callable[..., Tensor], given: list[Tensor]) -> tuple[Tensor, list[Site]]:
    sites: list[Site] = []
    with Products(lambda site: sites.append(site) or recipe).running(nn.Module()):  # type: ignore[func-returns-value]
        return call(*given), sites


@pytest.mark.parametrize("name", CALLS)
def test_a_product_that_loses_nothing_is_the_call_itself(name: str) -> None:
    call, shapes = CALLS[name]
    given = leaves(shapes)
    exact = call(*given)
    output, sites = ran(WITHOUT_LOSS, call, given)
    assert len(sites) == 1 and sites[0].location is not None
    torch.testing.assert_close(output, exact)
    arrived = torch.randn_like(exact)
    wanted = torch.autograd.grad(exact, given, arrived)
    found = torch.autograd.grad(output, given, arrived)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("precision", RECIPES)
def test_every_precision_changes_a_product_a_little(name: str, precision: str) -> None:
    call, shapes = CALLS[name]
    given = leaves(shapes)
    exact = call(*given)
    output, _ = ran(RECIPES[precision], call, given)
    error = float((output - exact).detach().norm() / exact.detach().norm())
    assert 0 < error < {"bf16": 0.01, "fp16": 1e-3, "fp8": 0.1, "mxfp8": 0.1, "nvfp4": 0.5}[precision]
    found = torch.autograd.grad(output.sum(), given)
    assert all(bool(one.isfinite().all()) for one in found)


def test_the_three_products_of_a_layer_are_each_rounded_along_their_own_sum() -> None:
    x, weight = leaves(((33, 40), (20, 40)))
    arrived = torch.randn(33, 20, generator=torch.Generator().manual_seed(1))
    recipe = RECIPES["nvfp4"]
    fp4, bf16 = recipe.operand, RECIPES["bf16"].operand
    output, _ = ran(recipe, F.linear, [x, weight])
    assert torch.equal(output, bf16.rounded(fp4.rounded(x, (1,)) @ fp4.rounded(weight, (1,)).T, (1,)))
    for_x, for_weight = torch.autograd.grad(output, (x, weight), arrived)
    stored = bf16.rounded(arrived, (1,))
    torch.testing.assert_close(for_x, fp4.rounded(stored, (1,)) @ fp4.rounded(weight, (0,)))
    torch.testing.assert_close(for_weight, fp4.rounded(stored, (0,)).T @ fp4.rounded(x, (0,)))


AXES = {
    # One operand's dimension that is not summed over: its numbers may have any power of two, and nothing is rounded otherwise.
    "linear": (0, 1),
    "matmul": (0, 1),
    "bmm": (0, 1),
    "einsum": (0, 1),
    "conv2d": (1, 0),
    "conv_transpose2d": (1, 1),
}


@pytest.mark.parametrize("name", AXES)
def test_blocks_of_a_product_lie_along_what_it_sums_over(name: str) -> None:
    call, shapes = CALLS[name]
    operand, dimension = AXES[name]
    given = leaves(shapes)[:2]
    powers = 2.0 ** torch.arange(given[operand].shape[dimension])
    shaped = powers.view(-1, *[1] * (given[operand].dim() - dimension - 1))
    scaled = list(given)
    scaled[operand] = given[operand] * shaped
    bare = (lambda x, w: call(x, w, None)) if name.startswith("conv") else call
    output, _ = ran(RECIPES["mxfp8"], bare, given)
    larger, _ = ran(RECIPES["mxfp8"], bare, scaled)
    exact = bare(*scaled) / bare(*given)
    # The ratio of the exact results is the power of two that the row was given; that of the rounded ones is the same.
    torch.testing.assert_close(larger / output, exact, rtol=1e-5, atol=0.0)


def test_a_gradient_penalty_passes_through() -> None:
    x, weight = leaves(((5, 6), (3, 6)))

    def penalty(y: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        (found,) = torch.autograd.grad(slope.square().sum(), weight)
        return found

    output, _ = ran(WITHOUT_LOSS, F.linear, [x, weight])
    torch.testing.assert_close(penalty(output), penalty(F.linear(x, weight)), rtol=1e-4, atol=1e-5)


def test_a_model_s_operations_are_told_apart_by_module_and_line() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Any:
            return self.two(self.one(self.one(x))) @ x.T

    model, seen = Twice(), []
    with Products(lambda site: seen.append((site.module, site.name))).running(model):  # type: ignore[func-returns-value]
        model(torch.randn(3, 4))
    assert seen == [("one", "linear"), ("one", "linear"), ("two", "linear"), ("", "matmul")]


def test_attention_is_looked_into_and_what_is_fused_is_named() -> None:
    model, seen = nn.MultiheadAttention(8, 2, batch_first=True), []
    products = Products(lambda site: seen.append(site.weight))  # type: ignore[func-returns-value]
    x = torch.randn(2, 5, 8)
    with products.running(model):
        model(x, x, x, need_weights=False)
    assert seen == ["in_proj_weight", "out_proj.weight"] and list(products.fused) == ["scaled_dot_product_attention"]
