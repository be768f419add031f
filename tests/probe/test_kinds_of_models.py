"""Every kind of model runs, is judged healthy, shows the gradients that plain torch computes, and keeps no mark."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

import steadygrad as sg
from tests.families import one_in
from tests.probe.kinds_of_models import KINDS

pytestmark = pytest.mark.filterwarnings("ignore")


def built(name):
    model, batch, loss_fn, end = KINDS[name]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model(), batch(), loss_fn, end


def checked(name):
    model, batch, loss_fn, _ = built(name)
    sparse = any(getattr(module, "sparse", False) for module in model.modules())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1) if sparse else None
    return model, sg.check(model, batch, loss_fn, optimizer=optimizer, trial=4)


def gradients_of_torch(name):
    """log10 norm of every parameter's gradient, computed without steadygrad on the same random numbers."""
    model, batch, loss_fn, _ = built(name)
    torch.manual_seed(0)
    if loss_fn is None:
        loss = model(**batch)["loss"]
    else:
        x, y = batch
        loss = loss_fn(model(**x) if isinstance(x, dict) else model(*x) if isinstance(x, tuple) else model(x), y)
    loss.backward()
    dense = {n: p.grad.to_dense() for n, p in model.named_parameters() if p.grad is not None}
    return {n.replace("_orig_mod.", "").replace("module.", ""): float(g.norm().log10()) for n, g in dense.items()}


@pytest.mark.parametrize("name", one_in(3, KINDS))
def test_it_is_healthy_and_the_trunk_reaches_its_input(name):
    _, report = checked(name)
    assert report.verdict == "healthy", report
    assert report.trunk.end == KINDS[name][3]
    assert report.trial.steps == 4


@pytest.mark.parametrize("name", one_in(3, KINDS))
def test_the_gradients_are_those_of_plain_torch(name):
    _, report = checked(name)
    seen = {p.name: p.log10_gradient for p in report.trace.parameters if p.connected}
    expected = gradients_of_torch(name)
    assert seen.keys() == expected.keys()
    # A bias in front of batch norm has a gradient of 0 but for rounding.
    tolerance = 0.02 if name == "bfloat16" else 1e-3
    for parameter, value in expected.items():
        assert value < -6 or seen[parameter] == pytest.approx(value, abs=tolerance), parameter


@pytest.mark.parametrize("name", one_in(3, KINDS))
def test_the_model_is_left_as_it_was(name):
    model, batch, loss_fn, _ = built(name)
    lazy = any(isinstance(p, UninitializedParameter) for p in model.parameters())
    before = None if lazy else {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    sparse = any(getattr(module, "sparse", False) for module in model.modules())
    sg.check(model, batch, loss_fn, optimizer=torch.optim.SGD(model.parameters(), lr=0.1) if sparse else None, trial=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    if lazy:
        assert all(isinstance(parameter, UninitializedParameter) for parameter in model.parameters())
        return
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_behind_deep_checkpoints_are_exact(reentrant):
    """Forty sigmoid layers in checkpoints of four: 1e-30 and less at the first, which only rescaling can hold."""

    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList(
                nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(16, 16), nn.Sigmoid())])
                for _ in range(10)
            )
            self.head = nn.Linear(16, 3)

        def forward(self, x):
            for part in self.parts:
                x = torch.utils.checkpoint.checkpoint(part, x, use_reentrant=reentrant)
            return self.head(x)

    torch.manual_seed(0)
    model, x, y = Deep(), torch.randn(16, 16), torch.arange(16) % 3
    report = sg.check(model, (x, y), nn.functional.cross_entropy, trial=0)
    wide = copy.deepcopy(model).double()
    nn.functional.cross_entropy(wide(x.double().requires_grad_()), y).backward()
    expected = {n: float(p.grad.norm().log10()) for n, p in wide.named_parameters()}
    assert expected["parts.0.0.weight"] < -25
    for parameter in report.trace.parameters:
        assert parameter.log10_gradient == pytest.approx(expected[parameter.name], abs=2e-3), parameter.name


def test_an_eval_model_is_told_of():
    _, report = checked("eval mode")
    assert any("eval mode" in note for note in report.notes)


def test_a_loss_that_is_not_finite_is_a_finding_not_an_error():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(16, 4)
    x[3, 1] = float("nan")
    report = sg.check(model, (x, torch.arange(16) % 3), nn.functional.cross_entropy)
    assert report.verdict == "will not train"
    assert report.findings[0].code == "SG203"
    assert "batch" in report.findings[0].message
