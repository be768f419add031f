"""Unusual kinds of tensors are looked at; what fails in us is told as ours, and what fails in them as theirs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.errors import InternalError
from steadygrad.probe import to_records

torch.manual_seed(0)
X, Y = torch.randn(16, 8), torch.randint(0, 3, (16,))
ADJACENCY = ((torch.rand(16, 16) < 0.2).float() + torch.eye(16)).to_sparse()


class Graph(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        return torch.sparse.mm(adjacency, self.two(torch.relu(torch.sparse.mm(adjacency, self.one(x)))))


class Holding(nn.Module):
    """Weights of a kind of their own, read by ``plain``, in front of a layer."""

    def __init__(self, held: Tensor) -> None:
        super().__init__()
        self.held = nn.Parameter(held, requires_grad=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.tanh(F.linear(x, plain(self.held))))  # type: ignore[no-any-return]


class Taking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(plain(x))  # type: ignore[no-any-return]


class AnswersEverything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 3)

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return lambda *_, **__: None

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)  # type: ignore[operator, no-any-return]


def plain(tensor: Tensor) -> Tensor:
    return tensor.dequantize() if tensor.is_quantized else tensor.to_dense().float()


def quantised(tensor: Tensor) -> Tensor:
    return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


SQUARE = torch.randn(8, 8)
LAZY = (nn.LazyLinear(8), nn.Tanh(), nn.LazyBatchNorm1d(), nn.LazyLinear(3))
KINDS = {
    "a sparse adjacency": (Graph(), (X, ADJACENCY)),
    "a compressed one": (Graph(), (X, ADJACENCY.to_sparse_csr())),
    "a sparse input": (nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)), X.to_sparse()),
    "a quantised input": (Taking(), quantised(X)),
    "an input of eight bits": (Taking(), X.to(torch.float8_e4m3fn)),
    "whole numbers as weights": (Holding((SQUARE * 9).to(torch.int8)), X),
    "weights of eight bits": (Holding(SQUARE.to(torch.float8_e4m3fn)), X),
    "a lazy batch norm": (nn.Sequential(*LAZY), X),
    "a module that answers everything": (AnswersEverything(), X),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:Lazy modules", "ignore:.*quantize.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_looked_at(kind: str) -> None:
    model, x = KINDS[kind]
    report = sg.check(model, (x, Y), F.cross_entropy, trial=2)
    if kind != "a lazy batch norm":
        names = [name for name, p in model.named_parameters() if p.requires_grad]
        output = model(*x) if isinstance(x, tuple) else model(x)
        expected = torch.autograd.grad(F.cross_entropy(output, Y), [p for p in model.parameters() if p.requires_grad])
        seen = {p.name: p.log10_gradient for p in report.trace.parameters}
        assert [seen[name] for name in names] == pytest.approx([float(g.norm().log10()) for g in expected], abs=1e-5)
    assert report.trial is not None


def test_a_failure_of_our_own_is_told_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_records, "tensors_in", int)
    with pytest.raises(
        InternalError, match=r"steadygrad itself failed .* not at fault: TypeError: .* \(to_records\.py:\d+\)"
    ):
        sg.check(Taking(), (X, Y), F.cross_entropy, trial=0)


class Broken(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.fc, self.how = nn.Linear(8, 3), how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "shape":
            return self.fc(x[:, :3])  # type: ignore[no-any-return]
        if self.how == "python":
            raise NotImplementedError
        out = self.fc(x).exp()
        return out + out.mul_(2)  # type: ignore[no-any-return]


@pytest.mark.parametrize("how", ["shape", "python", "written over what backward needs"])
def test_what_they_raise_stays_theirs(how: str) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)) as caught:
        sg.check(Broken(how), (X, Y), F.cross_entropy, trial=0)
    assert not isinstance(caught.value, InternalError)
    assert any("steadygrad: " in note for note in caught.value.__notes__)


@pytest.mark.parametrize("target", [Y.float(), torch.full_like(Y, 7)], ids=["dtype", "class"])
def test_what_torch_says_of_their_loss_is_theirs(target: Tensor) -> None:
    with pytest.raises((RuntimeError, IndexError, ValueError)) as caught:
        sg.check(nn.Linear(8, 3), (X, target), F.cross_entropy, trial=0)
    assert not isinstance(caught.value, InternalError)
