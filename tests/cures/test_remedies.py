"""Every remedy of the field on a net that fails without it: seen to fail, cured by that remedy alone, seen to train."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad._check import check_subject
from steadygrad.cures.candidates import candidates_for
from steadygrad.cures.cured import Cured
from steadygrad.cures.editable_copy import editable_copy_of
from steadygrad.cures.evaluate import Options, treat
from steadygrad.subject.subject import make_subject
from tests.families import always

WIDTH = 64


def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return ((x - x.mean()) / x.std())[order], torch.tensor(data.target)[order]


X, Y = digits()
HELD = 360
BATCH = X[HELD : HELD + 256], Y[HELD : HELD + 256]


def plain(act: type[nn.Module], depth: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*[m for _ in range(depth) for m in (nn.Linear(WIDTH, WIDTH), act())], nn.Linear(WIDTH, 10))


def accuracy(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> float:
    """On the digits held out, after so many steps on minibatches of 128."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        rows = torch.randint(HELD, len(X), (128,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(X[rows]), Y[rows]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        right = float((model(X[:HELD]).argmax(1) == Y[:HELD]).float().mean())
    model.train()
    return right


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def fails(model: nn.Module, steps: int = 100) -> bool:
    """Whether the untouched net is where it began."""
    twin = deepcopy(model)
    return accuracy(twin, adam(twin), steps) < 0.3


def cured_by(model: nn.Module, cure: str) -> Cured:
    cured = sg.cure(model, BATCH, F.cross_entropy, optimizer=adam(model), only=cure)
    assert cured.before.verdict is not sg.Verdict.HEALTHY
    assert cured.taken is not None, cured.words
    assert cured.taken.candidate.name == cure
    assert cured.after.verdict is sg.Verdict.HEALTHY
    return cured


@pytest.mark.long
@pytest.mark.parametrize("cure", always(["relu", "leaky-relu", "elu", "gelu"], "elu"))
def test_another_activation(cure: str) -> None:
    model = plain(nn.Sigmoid, 12)
    assert fails(model)
    cured = cured_by(model, cure)
    assert not any(isinstance(module, nn.Sigmoid) for module in cured.model.modules())
    assert accuracy(cured.model, cured.optimizer, 300) >= 0.9


# (activation, its derivative, that derivative's maximum)
SQUASHES = {
    "sigmoid": (nn.Sigmoid, lambda u: torch.sigmoid(u) * (1 - torch.sigmoid(u)), 0.25),
    "tanh": (nn.Tanh, lambda u: 1 - torch.tanh(u) ** 2, 1.0),
}


@pytest.mark.parametrize("name", SQUASHES)
@pytest.mark.long
def test_initialisation_and_batch_norm_make_layer_outputs_standard_normal(name: str) -> None:
    act, derivative, greatest = SQUASHES[name]
    model = plain(act, 30)
    assert fails(model)
    cured = cured_by(model, "xavier-initialisation+batch-norm-before")
    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda *given: seen.append(given[2].detach()))
        for module in cured.model.modules()
        if isinstance(module, nn.BatchNorm1d)
    ]
    cured.model(BATCH[0])
    for hook in hooks:
        hook.remove()
    assert len(seen) == 30
    for output in seen:
        assert abs(float(output.mean())) <= 0.1
        assert 0.9 <= float(output.var()) <= 1.1
        assert float(derivative(output).square().mean().sqrt()) >= 0.6 * greatest
    assert accuracy(cured.model, cured.optimizer, 300) >= 0.9


@pytest.mark.parametrize(("span", "act"), [(1, nn.ReLU), (2, nn.Sigmoid), (2, nn.Tanh), (3, nn.ReLU)], ids=str)
@pytest.mark.long
def test_residual(span: int, act: type[nn.Module]) -> None:
    model = plain(act, 36)
    assert fails(model)
    cured = cured_by(model, f"residual-span-{span}")
    assert sum(type(module).__name__ == "Plus" for module in cured.model.modules()) == 36 // span
    assert accuracy(cured.model, cured.optimizer, 200) >= 0.9


@pytest.mark.parametrize("act", [nn.Sigmoid, nn.ReLU], ids=str)
@pytest.mark.long
def test_residual_with_gates(act: type[nn.Module]) -> None:
    """They begin shut, so the input passes through unchanged; they are trained, so they open."""
    model = plain(act, 24)
    assert fails(model)
    cured = cured_by(model, "residual-gates")
    gates = {name: gate for name, gate in cured.model.named_parameters() if name.endswith(".gate")}
    assert [float(gate.detach()) for gate in gates.values()] == [0.0] * 24
    assert {id(gate) for gate in gates.values()} <= {
        id(p) for group in cured.optimizer.param_groups for p in group["params"]
    }
    assert accuracy(cured.model, cured.optimizer, 200) >= 0.9
    assert all(float(gate.detach().abs()) > 0 for gate in gates.values())


@pytest.mark.long
def test_clip_to_an_interval() -> None:
    """Heavy-tailed errors: now and then a gradient thousands of times the usual throws the weights away."""

    def batch(step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(64, 16, generator=generator)
        noise = torch.distributions.StudentT(1.0)
        torch.manual_seed(step)
        return x, x @ torch.linspace(-1, 1, 16)[:, None] + 0.1 * noise.sample((64, 1))

    def far(model: nn.Module, optimizer: torch.optim.Optimizer) -> float:
        """Greatest distance to what made the data, over the last hundred of 400 steps."""
        worst = 0.0
        for step in range(400):
            x, y = batch(step)
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
            if step >= 300:
                worst = max(worst, float((model[0].weight - torch.linspace(-1, 1, 16)).norm()))
        return worst

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 1))
    clipped = deepcopy(model)
    optimizer = torch.optim.SGD(clipped.parameters(), lr=0.05)
    optimizer.register_step_pre_hook(lambda *_: sg.clip_value_(clipped.parameters(), -1, 1))
    # What made the data has norm 2.5.
    assert not far(model, torch.optim.SGD(model.parameters(), lr=0.05)) < 2.5
    assert far(clipped, optimizer) < 0.6


@pytest.mark.long
def test_folded_initialisation_keeps_modules_and_keys() -> None:
    model = plain(nn.Sigmoid, 100)
    assert fails(model, 30)
    cured = cured_by(model, "folded-initialisation")
    assert [type(module) for module in cured.model.modules()] == [type(module) for module in model.modules()]
    assert cured.model.state_dict().keys() == model.state_dict().keys()
    assert accuracy(cured.model, cured.optimizer, 200) >= 0.9


@pytest.mark.long
def test_folded_convolutions() -> None:
    torch.manual_seed(0)
    layers = [m for i in range(30) for m in (nn.Conv2d(8 if i else 1, 8, 3, padding=1), nn.Tanh())]
    model = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *layers, nn.Flatten(), nn.Linear(512, 10))
    cured = cured_by(model, "folded-initialisation")
    assert cured.model.state_dict().keys() == model.state_dict().keys()
    assert accuracy(cured.model, cured.optimizer, 60) >= 0.85


@pytest.mark.parametrize("act", [nn.Sigmoid, nn.Tanh, nn.ReLU, nn.GELU, nn.Softsign, nn.Hardtanh], ids=str)
@pytest.mark.parametrize("depth", [10, pytest.param(300, marks=pytest.mark.long)])
def test_folding_lets_neither_signal_nor_gradient_go(act: type[nn.Module], depth: int) -> None:
    subject = make_subject(plain(act, depth), BATCH, F.cross_entropy)
    before = check_subject(subject, trial=0)
    copy = editable_copy_of(subject, before.trace)
    (candidate,) = candidates_for(copy, before, Options(only=("folded-initialisation",)))
    treat(copy, candidate.edits)
    after = check_subject(copy.subject, trial=0)
    assert before.trunk is not None and after.trunk is not None
    assert depth < 300 or before.trunk.decades < -20
    assert abs(after.trunk.decades) < 1
    assert after.trace.output_spread > 0.03


class Keeping(nn.Module):
    """A state that a loop carries: what is kept of it at each step is a number in the code."""

    def __init__(self, kept: float):
        super().__init__()
        self.into, self.head = nn.Linear(5, 32), nn.Linear(32, 4)
        self.kept = kept

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            state = self.kept * state + torch.tanh(self.into(step))
        return self.head(state + 0.1 * x[:, 0].mean())  # A sum of its own, outside the loop.


def sequences(steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """The first step shows what is asked for at the last."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(4, (64,), generator=generator)
    x = 0.1 * torch.randn(64, steps, 5, generator=generator)
    x[:, 0, :4] += 2.0 * F.one_hot(y, 4)
    return x, y


@pytest.mark.long
def test_a_skip_through_time_goes_around_a_factor_in_the_code() -> None:
    torch.manual_seed(0)
    model = Keeping(0.6)
    cured = sg.cure(model, sequences(50, 0), F.cross_entropy, optimizer=adam(model))
    assert cured.taken is not None
    assert cured.taken.candidate.name == "skip-through-time"
    assert cured.model.state_dict().keys() == model.state_dict().keys()
    for step in range(200):
        x, y = sequences(50, 1 + step)
        cured.optimizer.zero_grad()
        F.cross_entropy(cured.model(x), y).backward()
        cured.optimizer.step()
    for steps in (30, 50, 70):
        x, y = sequences(steps, 1000)
        assert float((cured.model(x).argmax(1) == y).float().mean()) >= 0.9, steps


@pytest.mark.long
def test_a_loop_whose_source_has_moved_says_so() -> None:
    torch.manual_seed(0)
    model = Keeping(0.6)
    cured = sg.cure(model, sequences(50, 0), F.cross_entropy, optimizer=adam(model), only="skip-through-time")

    def forward(self: Keeping, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 32)
        for step in x.unbind(1):
            state = self.kept * state + torch.tanh(self.into(step))
        return self.head(state)

    class Moved(Keeping):
        pass

    Moved.forward = forward  # type: ignore[method-assign]
    cured.model.__class__ = Moved
    with pytest.raises(RuntimeError, match="cure the model again"):
        cured.model(sequences(50, 0)[0])
