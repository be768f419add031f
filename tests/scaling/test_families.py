"""The families that people build: exponents against theory, the cure that leaves nothing, planted flaws named at their line."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.copies.randomness import seed_torch
from steadygrad.record.scale import ScaleFinding
from steadygrad.scaling.check_scale import Scaled, scale_of
from steadygrad.subject.subject import Subject, make_subject
from tests.families import always
from tests.scaling.families import FAMILIES, Family

RATE = 1e-3
THEORY = {"input": 0.0, "hidden": 1.0, "output": 1.0, "vector": 0.0}
"""Exponents of the changes of outputs by updates of Adam's, one rate for all (Yang et al. 2022, table 1 and appendix J)."""


@functools.cache
def found_of(family: Family, **options: object) -> Scaled:
    def build(width: int) -> nn.Module:
        return family.member(width, **options)

    return sg.scale(build, family.sizes, family.batch, family.loss, optimizer=f"adam:{RATE}")


def after_cure(
    family: Family,
    found: Scaled,
    start: Callable[[nn.Module, int], None] = lambda model, size: None,
    rates: dict[str, Callable[[int], float]] | None = None,
    **options: object,
) -> Scaled:
    """Check the family with the cure, and with a flaw: in the start, or in the rates of some weights."""

    def member(size: int, seed: int) -> Subject:
        seed_torch(seed)
        model = family.member(size, **options)
        found.initialise_(model, size)
        start(model, size)
        flawed = {id(p): (rates or {})[name](size) for name, p in model.named_parameters() if name in (rates or {})}
        groups = [
            {"params": [p], "lr": group["lr"] * flawed.get(id(p), 1.0)}
            for group in found.groups(model, size, lr=RATE)
            for p in group["params"]
        ]
        return make_subject(model, family.batch, family.loss, optimizer=torch.optim.Adam(groups), seed=seed)

    return scale_of(member, family.sizes, "width")


@pytest.mark.long
@pytest.mark.parametrize("name", always(FAMILIES, "mlp", "pre-norm"))
def test_exponents_of_a_family_are_those_of_theory(name: str) -> None:
    found = found_of(FAMILIES[name])
    judged = [one for one in found.weights if one.role in THEORY and not math.isnan(one.update.value)]
    assert {"input", "hidden"} <= {one.role for one in judged}
    theory = {(one.name, one.call): THEORY[one.role] for one in judged}
    theory["embed.weight", "linear"] = 0.0  # The tied family multiplies its logits as muP does.
    off = {one.name: one.update for one in judged if abs(one.update.value - theory[one.name, one.call]) > 0.1}
    assert not off, off
    matrices = [one for one in judged if one.role in ("input", "hidden") and not math.isnan(one.gain.value)]
    assert matrices
    gains = {one.name: one.gain for one in matrices if abs(one.gain.value) > 0.1}
    assert not gains, gains


@pytest.mark.parametrize("name", always(FAMILIES, "mlp", "pre-norm"))
def test_what_is_off_by_default_is_the_rates_of_hidden_and_output_weights(name: str) -> None:
    found = found_of(FAMILIES[name])
    named = {weight for one in found.findings for weight in one.weights}
    assert {one.kind for one in found.findings} == {"rate"}
    assert named == {one.name for one in found.weights if one.role in ("hidden", "output")} - {"embed.weight"}


@pytest.mark.parametrize("name", always(FAMILIES, "mlp"))
def test_on_mup_nothing_is_named(name: str) -> None:
    family = FAMILIES[name]
    after = after_cure(family, found_of(family))
    assert after.stable, after


def grown(family: Family) -> Callable[[int], float]:
    return lambda size: size / family.sizes[0]


def one(found: Scaled, kind: str) -> ScaleFinding:
    (finding,) = found.findings
    assert finding.kind == kind, found
    assert finding.location is not None
    return finding


@pytest.mark.parametrize("name", always(FAMILIES, "mlp"))
def test_a_layer_that_forgets_its_fan_in_is_named_at_its_line(name: str) -> None:
    family = FAMILIES[name]

    def start(model: nn.Module, size: int) -> None:
        with torch.no_grad():
            model.get_parameter(family.hidden).mul_(grown(family)(size) ** 0.5)

    found = after_cure(family, found_of(family), start)
    flaws = [one for one in found.findings if one.kind == "initialisation"]
    if name == "lstm":
        # A fused recurrence gives what its gates let through, which is never large.
        assert not flaws
        return
    (flaw,) = flaws
    assert flaw.weights == (family.hidden,) and flaw.exponent == pytest.approx(0.5, abs=0.1)
    assert flaw.location == next(one.location for one in found.weights if one.name == family.hidden)


@pytest.mark.parametrize("name", always(FAMILIES, "mlp"))
def test_a_layer_outside_its_group_is_named_at_its_line(name: str) -> None:
    family = FAMILIES[name]
    found = after_cure(family, found_of(family), rates={family.hidden: grown(family)})
    flaw = one(found, "rate")
    assert flaw.weights == (family.hidden,) and flaw.exponent == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", always([name for name in FAMILIES if name != "tied"], "mlp"))
def test_a_head_outside_its_group_is_named_at_its_line(name: str) -> None:
    family = FAMILIES[name]
    found = after_cure(family, found_of(family), rates={family.head: grown(family)})
    flaw = one(found, "rate")
    assert flaw.weights == (family.head,)
    assert flaw.location is not None and "self.head(" in flaw.location.source


@pytest.mark.long
def test_a_tied_embedding_without_its_multiplier_is_named_at_the_head() -> None:
    family = FAMILIES["tied"]
    found = found_of(family, multiplied=False)
    (flaw,) = [one for one in found.findings if one.kind == "multiplier"]
    assert flaw.weights == ("embed.weight",) and flaw.exponent == pytest.approx(1.0, abs=0.1)
    assert flaw.location is not None and "self.head(" in flaw.location.source
    assert found.multipliers(256) == {"embed.weight": pytest.approx(0.25)}


@pytest.mark.long
@pytest.mark.parametrize("name", always(("pre-norm", "post-norm", "gqa", "moe"), "pre-norm"))
def test_attention_divided_by_the_root_is_named_and_its_queries_are_cured(name: str) -> None:
    family = FAMILIES[name]
    found = found_of(family, power=0.5)
    (flaw,) = [one for one in found.findings if one.kind == "attention"]
    assert flaw.location is not None and "scaled_dot_product_attention" in flaw.location.source
    assert set(flaw.weights) == {f"blocks.{layer}.attention.query.weight" for layer in (0, 1)}
    after = after_cure(family, found, power=0.5)
    assert {one.kind for one in after.findings} <= {"attention", "initialisation", "rate"}
