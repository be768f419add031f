"""A copy computes with itself alone, or there is a sentence; the original stays as it is, bit for bit, in either case.

What a copy computes with is read by a dispatch mode of this file's own, and its numbers are those of the original run bare.
"""

from __future__ import annotations

import inspect
import threading
from contextlib import nullcontext, suppress
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import steadygrad as sg
from steadygrad.copies.copying import on_copy
from steadygrad.errors import SteadygradError
from tests.laws import roundabout
from tests.laws.roundabout import REBOUND, REFUSED, WIDTH, SelfReturning, Way


class Touched(TorchDispatchMode):
    """Where in memory the tensors lie that operations were given."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves = tree_leaves((args, kwargs or {}))
        self.places |= {leaf.untyped_storage().data_ptr() for leaf in leaves if isinstance(leaf, Tensor)}
        return func(*args, **(kwargs or {}))


def places(model: nn.Module) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}


def built(ways: list[type[Way]]) -> tuple[nn.Sequential, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    roundabout.REGISTRY.clear()
    model = nn.Sequential(*(way() for way in ways), nn.BatchNorm1d(WIDTH), nn.Linear(WIDTH, 3))
    return model, (torch.randn(8, WIDTH), torch.randint(0, 3, (8,)))


def gradients(model: nn.Module, batch: tuple[Tensor, Tensor]) -> list[Tensor | None]:
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    return [parameter.grad for parameter in model.parameters()]


def bits(model: nn.Module) -> list[tuple[int, bytes, Any, bool]]:
    return [
        (id(tensor), tensor.detach().numpy().tobytes(), tensor.grad, tensor.requires_grad)
        for tensor in (*model.parameters(), *model.buffers())
    ]


def attributes(model: nn.Module) -> list[dict[str, int]]:
    """What every module holds, by identity: a way that was bent stays bent."""
    return [{name: id(value) for name, value in vars(module).items()} for module in model.modules()]


@pytest.mark.long
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ways=st.lists(st.sampled_from((*REBOUND, *REFUSED, SelfReturning)), min_size=1, max_size=4), training=st.booleans()
)
def test_a_copy_computes_with_itself_or_is_refused(ways: list[type[Way]], training: bool) -> None:
    model, batch = built(ways)
    model.train(training)
    before, held = bits(model), attributes(model)
    refused = any(way in REFUSED for way in ways)
    # One that gives itself is looked at with its tensors swapped out; what goes around it may be refused then, or not.
    itself = SelfReturning in ways
    with suppress(SteadygradError) if itself else pytest.raises(SteadygradError) if refused else nullcontext():
        report = sg.check(model, batch, F.cross_entropy, trial=2)
        assert all(p.connected or (itself and ".fc." in p.name) for p in report.trace.parameters)
    assert (bits(model), attributes(model)) == (before, held)
    # Also what only closures know: the original, run bare, gives what another one gives that nobody has looked at.
    other, _ = built(ways)
    expected = gradients(other.train(training), batch)
    if not refused:
        found = gradients(model, batch)
        assert [one is None for one in found] == [one is None for one in expected]
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True) if a is not None and b is not None)


@pytest.mark.parametrize("way", REBOUND, ids=lambda way: way.__name__)
def test_every_tensor_that_is_used_is_the_copys(way: type[Way]) -> None:
    model, batch = built([way, way])
    with on_copy(model, torch.optim.Adam(model.parameters())) as copied, Touched() as touched:
        found = gradients(copied.model, batch)
        assert copied.optimizer is not None
        start = [p.detach().clone() for p in copied.model.parameters()]
        copied.optimizer.step()
        moved = [not torch.equal(a, b) for a, b in zip(start, copied.model.parameters(), strict=True)]
    assert not touched.places & places(model)
    assert places(copied.model) <= touched.places
    assert all(moved)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(found, gradients(model, batch), strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("what", [sg.check, sg.cure, sg.find_lr], ids=lambda what: what.__name__)
@pytest.mark.parametrize("way", REFUSED, ids=lambda way: way.__name__)
def test_what_cannot_be_made_the_copys_is_refused(way: type[Way], what: Any) -> None:
    model, batch = built([roundabout.OverLayer, way])
    before = bits(model)
    with pytest.raises(SteadygradError) as caught:
        what(model, batch, F.cross_entropy)
    message = str(caught.value)
    assert "1." in message and "\n" not in message
    if way in (roundabout.InRegistry, roundabout.ClassCache, roundabout.CachedAlias):
        line = inspect.getsourcelines(way)[1]
        used = int(message.partition("roundabout.py:")[2].split(":")[0])
        assert line < used < line + 12
    assert bits(model) == before


@pytest.mark.long
def test_a_cure_gives_a_model_all_of_whose_parameters_move() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = nn.ModuleDict({"up": nn.Linear(32, 32), "down": nn.Linear(32, 32)})
            m = self.mlp
            self.run = lambda x: torch.sigmoid(m["down"](torch.sigmoid(m["up"](x))))

        def forward(self, x: Tensor) -> Tensor:
            return self.run(x)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = nn.Sequential(*(Block() for _ in range(8)), nn.Linear(32, 4))
    y = torch.arange(64) % 4
    x = torch.eye(4, 32)[y] + 0.1 * torch.randn(64, 32)
    before = bits(model)
    cured = sg.cure(model, (x, y), F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1e-3))
    assert not any(finding.code == "SG107" for finding in cured.before.findings)
    start = {name: value.detach().clone() for name, value in cured.model.named_parameters()}
    for _ in range(5):
        cured.optimizer.zero_grad()
        F.cross_entropy(cured.model(x), y).backward()
        cured.optimizer.step()
    assert not [name for name, value in cured.model.named_parameters() if torch.equal(value, start[name])]
    assert bits(model) == before


MODEL = nn.Linear(WIDTH, 3)
HOLDER = {"model": MODEL}


def _of_global(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target) + 0.01 * sum(p.pow(2).sum() for p in MODEL.parameters())


def _of_global_container(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target) + 0.01 * sum(p.pow(2).sum() for p in HOLDER["model"].parameters())


def _of_closure(model: nn.Module) -> Any:
    return lambda output, target: (
        F.cross_entropy(output, target) + 0.01 * sum(p.pow(2).sum() for p in model.parameters())
    )


@pytest.mark.parametrize(
    "loss", [_of_global, _of_global_container, _of_closure(MODEL)], ids=["global", "dict", "closure"]
)
def test_a_loss_that_reads_the_model_reads_the_copy(loss: Any) -> None:
    torch.manual_seed(0)
    batch = torch.randn(8, WIDTH), torch.randint(0, 3, (8,))
    report = sg.check(MODEL, batch, loss, trial=0)
    expected = torch.autograd.grad(loss(MODEL(batch[0]), batch[1]), list(MODEL.parameters()))
    for seen, gradient in zip(report.trace.parameters, expected, strict=True):
        assert seen.log10_gradient == pytest.approx(float(gradient.norm().log10()), abs=1e-6)
    assert all(p.grad is None for p in MODEL.parameters())


def _further_away(output: Tensor, target: Tensor) -> Tensor:
    return _of_global(output, target)


def test_a_loss_that_reads_the_model_from_further_away_is_told() -> None:
    torch.manual_seed(0)
    batch = torch.randn(8, WIDTH), torch.randint(0, 3, (8,))
    report = sg.check(MODEL, batch, _further_away, trial=0)
    assert [(spot.where, "of the model itself" in spot.what) for spot in report.trace.blind_spots] == [("loss", True)]
    assert not any(finding.code == "SG107" for finding in report.findings)


class Noted(nn.Linear):
    """A layer that reads what a library notes on its weight, as muP's readout does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / self.weight.width  # type: ignore[no-any-return, operator]


@pytest.mark.parametrize("copiable", [True, False])
def test_what_is_noted_on_a_parameter_is_on_its_copy(copiable: bool) -> None:
    model = nn.Sequential(nn.Linear(8, 8), Noted(8, 4))
    if not copiable:
        model.lock = threading.Lock()  # type: ignore[assignment]
    model[1].weight.width = 2.0
    batch = torch.randn(16, 8), torch.arange(16) % 4
    assert sg.check(model, batch, nn.functional.cross_entropy).verdict == "healthy"
    assert model[1].weight.width == 2.0
