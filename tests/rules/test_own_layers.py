"""The scale of weights that a layer of one's own multiplies by is judged as that of torch's layers, where they are made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.source.spans import recording_constructions

SOURCE = """
import torch
from torch import nn


class Mine(nn.Module):
    def __init__(self, n, m):
        super().__init__()
        self.weight = nn.Parameter({weight})
        self.bias = nn.Parameter(torch.zeros(m))

    def forward(self, x):
        return {product}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(Mine(100, 100) for _ in range(8))
        self.head = nn.Linear(100, 4)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)
"""

PRODUCTS = {
    "x @ self.weight + self.bias": "{}(n, m)",
    "torch.matmul(x, self.weight) + self.bias": "{}(n, m)",
    "torch.addmm(self.bias, x, self.weight)": "{}(n, m)",
    "(self.weight @ x.T).T + self.bias": "{}(m, n)",
    "torch.einsum('bn,nm->bm', x, self.weight) + self.bias": "{}(n, m)",
}


def _findings(folder: Path, product: str, weight: str) -> tuple[sg.Finding, ...]:
    path = folder / "mine.py"
    path.write_text(SOURCE.format(product=product, weight=weight))
    names: dict[str, Callable[[], torch.nn.Module]] = {"__name__": "mine"}  # type: ignore[dict-item]
    torch.manual_seed(0)
    with recording_constructions():
        exec(compile(path.read_text(), str(path), "exec"), names)
        model = names["Net"]()
    x = torch.randn(64, 100)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    batch = (x, (x @ torch.randn(100, 4)).argmax(1))
    report = sg.check(model, batch, torch.nn.functional.cross_entropy, optimizer=optimizer, trial=0)
    return report.findings


@pytest.mark.parametrize("product", PRODUCTS)
def test_too_large_a_scale_stands_first_and_where_the_weights_are_made(product: str, tmp_path: Path) -> None:
    weight = PRODUCTS[product].format("3 * torch.randn")
    first = _findings(tmp_path, product, weight)[0]
    assert first.code == "SG301", first.message
    assert "910 times" in first.message
    assert first.location is not None
    assert first.location.text == f"nn.Parameter({weight})"


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_scale_that_suits_is_silent(product: str, tmp_path: Path) -> None:
    weight = PRODUCTS[product].format("torch.randn") + " / n**0.5"
    assert "SG301" not in [one.code for one in _findings(tmp_path, product, weight)]


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(8, 8) for _ in range(9)]
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def test_layers_in_a_list_are_told_as_that_and_not_as_frozen() -> None:
    torch.manual_seed(0)
    model = Listed()
    batch = torch.randn(64, 8), torch.randint(0, 4, (64,))
    report = sg.check(model, batch, F.cross_entropy, optimizer=torch.optim.SGD(model.parameters(), lr=0.01))
    assert ["no module has them" in one.message for one in report.findings] == [True], report.findings
