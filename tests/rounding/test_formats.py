"""Number formats bit for bit: against torch's casts, another implementation, the published tables, and the laws of rounding."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from steadygrad.record.precision import HIGHER, PRECISIONS
from steadygrad.rounding.formats import (
    BF16,
    E2M1,
    E4M3,
    E5M2,
    FP16,
    RECIPES,
    Element,
    Rounding,
    nearest,
    stochastic,
)

ELEMENTS = {one.name: one for one in (BF16, FP16, E4M3, E5M2, E2M1)}
CASTS = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "e4m3": torch.float8_e4m3fn,
    "e5m2": torch.float8_e5m2,
}
FP4 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
"""OCP Microscaling Formats 1.0, table 5: the magnitudes of E2M1."""
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def values_of(element: Element) -> Tensor:
    """Every finite number of a format, from its bits, in order and each once."""
    if element is E2M1:
        return torch.tensor(sorted({sign * one for sign in (-1, 1) for one in FP4}))
    dtype = CASTS[element.name]
    bits = 8 * dtype.itemsize
    kind = torch.uint8 if bits == 8 else torch.int16
    every = torch.arange(2**bits).to(kind).view(dtype).float()
    return every[every.isfinite()].unique()


def midpoints(values: Tensor) -> Tensor:
    """What lies between neighbours: the middle, and the float32 just below and above it."""
    middle = ((values[1:].double() + values[:-1].double()) / 2).float()
    return torch.cat(
        [
            middle,
            torch.nextafter(middle, -torch.inf * torch.ones(())),
            torch.nextafter(middle, torch.inf * torch.ones(())),
        ]
    )


def same(one: Tensor, other: Tensor) -> bool:
    """Return whether the bits are the same."""
    return torch.equal(one.view(torch.int32), other.view(torch.int32))


@pytest.mark.parametrize("name", ELEMENTS)
def test_every_number_of_a_format_is_its_own_nearest(name: str) -> None:
    values = values_of(ELEMENTS[name])
    assert torch.equal(nearest(values, ELEMENTS[name]), values)
    assert float(values.max()) == ELEMENTS[name].greatest


def test_e2m1_has_the_sixteen_numbers_of_the_published_table() -> None:
    found = nearest(torch.linspace(-8, 8, 10_001), E2M1)
    assert found.abs().unique().tolist() == FP4
    assert len(found.view(torch.int32).unique()) == 16  # With a zero of each sign.


@pytest.mark.parametrize("name", CASTS)
def test_the_arithmetic_of_formats_is_torch_s_own_cast_bit_for_bit(name: str) -> None:
    """E2M1 has no cast in torch; what rounds it rounds the others as torch does, so it is right for the right numbers."""
    element = ELEMENTS[name]
    values = values_of(element)
    asked = torch.cat([values, midpoints(values)])
    asked = asked[asked.abs() <= element.greatest]
    without_cast = replace(element, dtype=None)
    assert same(nearest(asked, without_cast), asked.to(CASTS[name]).float())
    assert same(nearest(asked, element), asked.to(CASTS[name]).float())


@given(st.lists(FLOATS, min_size=1, max_size=64))
def test_any_float_rounds_as_torch_casts_it(values: list[float]) -> None:
    asked = torch.tensor(values)
    for name in CASTS:
        element = ELEMENTS[name]
        inside = asked.clamp(-element.greatest, element.greatest)
        cast = inside.to(CASTS[name]).float()
        assert same(nearest(inside, replace(element, dtype=None)), cast), name


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "float4_e2m1fn"])
def test_another_implementation_rounds_alike(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="a second implementation to compare with")
    element = {"float8_e4m3fn": E4M3, "float8_e5m2": E5M2, "float4_e2m1fn": E2M1}[name]
    values = values_of(element)
    asked = torch.cat([values, midpoints(values)])
    asked = asked[asked.abs() <= element.greatest]
    theirs = asked.numpy().astype(getattr(ml_dtypes, name)).astype(np.float32)
    assert same(nearest(asked, element), torch.from_numpy(theirs))


@given(st.lists(FLOATS, min_size=2, max_size=64))
def test_rounding_keeps_order_and_sign_and_does_nothing_twice(values: list[float]) -> None:
    asked = torch.tensor(values).sort().values
    for element in ELEMENTS.values():
        found = nearest(asked, element)
        assert bool((found[1:] >= found[:-1]).all()), element.name
        assert same(nearest(-asked, element), -found), element.name
        assert same(nearest(found, element), found), element.name


def test_a_number_beyond_the_greatest() -> None:
    beyond = torch.tensor([1e30, -1e30])
    for element in (E4M3, E5M2, E2M1):
        assert nearest(beyond, element).tolist() == [element.greatest, -element.greatest]
    assert nearest(beyond, FP16).tolist() == [math.inf, -math.inf]
    assert Rounding(FP16, "none").beyond(torch.tensor([65_504.0, 65_519.0, 65_520.0, -1e9]), (0,)) == 2
    assert Rounding(E2M1, "none").beyond(torch.tensor([6.0, 6.9, 7.0, -100.0]), (0,)) == 2
    assert nearest(torch.tensor([math.nan]), E4M3).isnan().all()


@pytest.mark.parametrize("name", ELEMENTS)
@pytest.mark.parametrize("value", [0.7, -1.3, 2.6, 1e-3])
def test_stochastic_rounding_takes_a_neighbour_and_is_right_on_average(name: str, value: float) -> None:
    element = ELEMENTS[name]
    numbers = values_of(element)
    exact = torch.full((20_000,), value)
    below, above = numbers[numbers <= exact[0]].max(), numbers[numbers >= exact[0]].min()
    found = stochastic(exact, element)
    assert set(found.unique().tolist()) <= {float(below), float(above)}
    assert float(found.mean()) == pytest.approx(value, abs=float(4 * (above - below) / math.sqrt(len(exact))) + 1e-9)


def by_the_specification(block: list[float]) -> list[float]:
    """OCP Microscaling Formats 1.0, section 6.3, for MXFP8 with E4M3, in Python's numbers."""
    greatest = max(map(abs, block))
    if not greatest:
        return block
    shared = min(max(math.floor(math.log2(greatest)) - 8, -127), 127)
    numbers = [float(one) for one in values_of(E4M3)]
    found = []
    for value in block:
        scaled = min(max(value / 2.0**shared, -448.0), 448.0)
        least = min(abs(one - scaled) for one in numbers)
        # Of two that are as near the even one: every second number, counted from zero.
        near = [one for one in numbers if abs(one - scaled) == least]
        even = [one for one in near if numbers.index(one) % 2 == numbers.index(0.0) % 2] if len(near) > 1 else near
        found.append(even[0] * 2.0**shared)
    return found


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=32, max_size=32))
def test_a_block_of_mxfp8_is_that_of_the_specification(block: list[float]) -> None:
    if any(0 < abs(one) < 2.0**-100 for one in block):
        block = [one if abs(one) >= 2.0**-100 else 0.0 for one in block]
    found = Rounding(E4M3, "power", 32).rounded(torch.tensor(block), (0,))
    assert found.tolist() == by_the_specification(block)


@pytest.mark.parametrize("exponent", range(-118, 120, 7))
def test_the_scale_of_a_block_is_a_power_of_two(exponent: int) -> None:
    """E8M0 holds powers of two alone: numbers that are some powers of two as large round to so many times the same."""
    mx = Rounding(E4M3, "power", 32)
    block = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    block[:, 0] = 8.0
    assert torch.equal(mx.rounded(block * 2.0**exponent, (1,)), mx.rounded(block, (1,)) * 2.0**exponent)


@given(st.lists(st.floats(-100, 100, width=32), min_size=40, max_size=40))
def test_nvfp4_is_that_of_its_description(values: list[float]) -> None:
    """Blocks of 16, each with a scale in e4m3, and one in float32 for all (arXiv:2509.25149, appendix C.4)."""
    exact = torch.tensor(values)
    found = Rounding(E2M1, "e4m3", 16).rounded(exact, (0,))
    whole = exact.abs().max() / (6.0 * 448.0)
    wanted = []
    for block in exact.split(16):
        scale = (block.abs().max() / 6.0 / whole).to(torch.float8_e4m3fn).float() * whole if whole > 0 else whole
        wanted.append(nearest(block / scale, E2M1) * scale if scale > 0 else torch.zeros_like(block))
    assert torch.equal(found, torch.cat(wanted))


@pytest.mark.parametrize("scaling", [("power", 32), ("e4m3", 16)])
def test_blocks_lie_along_the_axis_that_is_given(scaling: tuple[str, int]) -> None:
    tensor = torch.randn(5, 40, 3, generator=torch.Generator().manual_seed(0))
    rounding = Rounding(E2M1, *scaling)
    along = rounding.rounded(tensor, (1,))
    assert torch.equal(along, rounding.rounded(tensor.movedim(1, -1), (-1,)).movedim(-1, 1))
    both = rounding.rounded(tensor, (0, 2))
    assert torch.equal(both, rounding.rounded(tensor.movedim(1, 0).flatten(1), (1,)).view(40, 5, 3).movedim(0, 1))


@pytest.mark.parametrize("element", [E4M3, E5M2])
def test_the_greatest_of_a_tensor_becomes_the_greatest_number(element: Element) -> None:
    tensor = torch.randn(100, generator=torch.Generator().manual_seed(0)) * 1e-5
    rounding = Rounding(element, "tensor")
    rounded = rounding.rounded(tensor, (0,))
    assert float(rounded.abs().max()) == pytest.approx(float(tensor.abs().max()), rel=1e-6)
    assert rounding.beyond(tensor, (0,)) == 0
    assert torch.equal(Rounding(element, "tensor").rounded(torch.zeros(3), (0,)), torch.zeros(3))


def test_a_loss_scale_saves_gradients_that_float16_flushes() -> None:
    small = torch.full((8,), 1e-9)
    plain = RECIPES["fp16"].gradient.rounded(small, (0,))
    scaled = RECIPES["fp16"].with_loss_scale(2.0**16).gradient.rounded(small, (0,))
    assert not plain.any() and scaled.tolist() == pytest.approx([1e-9] * 8, rel=1e-3)


def test_every_precision_has_its_recipe() -> None:
    assert list(RECIPES) == list(PRECISIONS) == list(HIGHER)
    assert {higher for higher in HIGHER.values() if higher in RECIPES} == {"bf16"}
