"""Set-ups that are put together in unusual ways: what belongs to them is checked, and what is the user's stays as it was."""

from __future__ import annotations

import collections

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

import steadygrad as sg
from steadygrad.errors import BatchError, SubjectError

X, Y = torch.randn(32, 8, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 4


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


class Prototypes(nn.Module):
    """A loss with parameters of its own, as metric learning has them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4))

    def forward(self, output, target):
        return F.cross_entropy(output @ self.weight.T, target)


def test_a_loss_with_parameters_is_copied_measured_and_left_alone():
    model, loss = small(), Prototypes()
    before = loss.weight.detach().clone()
    loss.weight.grad = mine = torch.ones(4, 4)
    optimizer = torch.optim.Adam([*model.parameters(), *loss.parameters()], lr=1e-2)
    report = sg.check(model, (X, Y), loss, optimizer=optimizer)
    assert torch.equal(loss.weight, before) and loss.weight.grad is mine and torch.equal(mine, torch.ones(4, 4))
    (seen,) = [parameter for parameter in report.trace.parameters if parameter.name == "loss.weight"]
    assert seen.connected and seen.optimized and seen.update_ratio > 0
    # The steps that the report tells of are those of the same optimizer on the same parameters.
    torch.manual_seed(0)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        value = loss(model(X), Y)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert report.trial.losses[:3] == pytest.approx(losses, rel=1e-5)


def test_a_loss_whose_parameters_no_optimizer_holds_is_told_of():
    model, loss = small(), Prototypes()
    report = sg.check(model, (X, Y), loss, optimizer=torch.optim.Adam(model.parameters()))
    assert any(f.code == "SG107" and "optimizer does not hold" in f.message for f in report.findings)


def test_tensors_that_only_a_closure_knows_keep_their_gradient():
    model, scale = small(), torch.ones(4, requires_grad=True)
    scale.grad = mine = torch.full((4,), 7.0)
    sg.check(model, (X, Y), lambda output, target: F.cross_entropy(output * scale, target))
    assert scale.grad is mine and torch.equal(mine, torch.full((4,), 7.0))
    with pytest.raises(ZeroDivisionError):
        sg.check(model, (X, Y), _fails_at(3, scale))
    assert scale.grad is mine and torch.equal(mine, torch.full((4,), 7.0))


def _fails_at(call, scale):
    calls = []

    def loss(output, target):
        calls.append(1)
        if len(calls) == call:
            raise ZeroDivisionError
        return F.cross_entropy(output * scale, target)

    return loss


def test_what_acts_like_a_dict_is_one():
    class Encoding(collections.UserDict):
        """As tokenizers return."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 4)

        def forward(self, x=None, labels=None):
            return {"loss": F.cross_entropy(self.fc(x), labels)}

    assert sg.check(Net(), Encoding(x=X, labels=Y)).verdict == "healthy"


@pytest.mark.long
def test_a_forward_that_differentiates_is_followed():
    class Force(nn.Module):
        """The gradient of an energy, as force fields and gradient penalties take it."""

        def __init__(self):
            super().__init__()
            self.energy = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))

        def forward(self, x):
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]

    report = sg.check(Force(), (X, torch.randn(32, 8)), F.mse_loss, trial=3)
    assert report.trial.steps == 3 and not report.trial.diverged


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_grad_mode_does_not_matter(mode):
    model = small()
    outside = sg.check(model, (X, Y), F.cross_entropy)
    with mode():
        inside = sg.check(model, (X, Y), F.cross_entropy)
        assert not torch.is_grad_enabled()
    assert inside.trial.losses == outside.trial.losses
    assert inside.trunk.decades == outside.trunk.decades


def test_an_input_that_needs_a_gradient_already_keeps_its_own():
    x = X.clone().requires_grad_()
    assert sg.check(small(), (x, Y), F.cross_entropy).blind_spots == ()
    assert x.grad is None and x.requires_grad


@pytest.mark.parametrize(
    "name",
    [
        "SGD",
        "Adam",
        "AdamW",
        "NAdam",
        "RAdam",
        "Adamax",
        "Adagrad",
        "Adadelta",
        "RMSprop",
        "Rprop",
        "ASGD",
        "LBFGS",
        "Adafactor",
    ],
)
def test_every_optimizer_of_torch_is_stepped(name):
    model = small()
    optimizer = getattr(torch.optim, name)(model.parameters())
    before = str(optimizer.state_dict())
    report = sg.check(model, (X, Y), F.cross_entropy, optimizer=optimizer, trial=3)
    assert report.trial.optimizer.startswith(name) and len(report.trial.losses) == 4
    assert str(optimizer.state_dict()) == before


def test_a_scheduled_optimizer_is_stepped_at_its_rate_of_now():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5)
    assert "0.05" in sg.check(model, (X, Y), F.cross_entropy, optimizer=optimizer).trial.optimizer


@pytest.mark.parametrize(
    ("make", "error", "part"),
    [
        (lambda: sg.check(nn.Linear, (X, Y), F.cross_entropy), SubjectError, "expected a torch.nn.Module"),
        (lambda: sg.check(nn.Linear(8, 4).to("meta"), (X, Y), F.cross_entropy), SubjectError, "meta device"),
        (lambda: sg.check(small(), torch.utils.data.DataLoader([1, 2]), F.cross_entropy), BatchError, "pair (x, y)"),
        (lambda: sg.check(small(), [], F.cross_entropy), BatchError, "pair (x, y)"),
        (lambda: sg.check(small(), iter([]), F.cross_entropy), BatchError, "empty"),
        (lambda: sg.check(small(), TensorDataset(X, Y), F.cross_entropy), BatchError, "wrap it in a DataLoader"),
        (lambda: sg.check(small(), iter([("a", "b")]), F.cross_entropy), BatchError, "hold no tensors"),
        (lambda: sg.check(small(), (X, Y.numpy()), F.cross_entropy), BatchError, "torch.from_numpy"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(make, error, part):
    with pytest.raises(error) as caught:
        make()
    assert part in str(caught.value) and "\n" not in str(caught.value)


class Logits(nn.Module):
    """A language model as tutorials write it: (logits, loss), the loss where targets are given."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(50, 16), nn.Linear(16, 50)

    def forward(self, idx, targets=None):
        logits = self.head(self.table(idx))
        return logits, None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class Pair(nn.Module):
    """An output of two tensors, from an input alone."""

    def __init__(self):
        super().__init__()
        self.net = small()

    def forward(self, x):
        return self.net(x), x


def test_a_model_that_has_a_loss_of_its_own_is_told_to_be_called_without_one():
    batch = torch.randint(0, 50, (4, 8)), torch.randint(0, 50, (4, 8))
    with pytest.raises(SubjectError, match=r"tuple \(Tensor, NoneType\).*leave the loss out, as in sg.check"):
        sg.check(Logits(), batch, F.cross_entropy)
    assert sg.check(Logits(), batch).setup.loss == "the model's own"


def test_an_output_of_several_parts_is_told_which_to_take():
    with pytest.raises(SubjectError, match=r"lambda output, y: cross_entropy\(output\[0\], y\)"):
        sg.check(Pair(), (X, Y), F.cross_entropy)
    assert sg.check(Pair(), (X, Y), lambda output, y: F.cross_entropy(output[0], y)).findings == ()


def test_what_fails_inside_a_loss_of_the_users_is_the_users():
    def broken(output, y):
        return F.cross_entropy(output[0], y) + None

    with pytest.raises(TypeError, match="unsupported operand"):
        sg.check(Pair(), (X, Y), broken)
