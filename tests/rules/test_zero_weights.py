"""Weights that are all zero stand where something wrote the zeros, however ``torch.nn.init`` was imported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.source.spans import recording_constructions

SOURCE = """
import torch
from torch import nn
from torch.nn.init import constant_, zeros_


def init(m):
    if isinstance(m, nn.Linear):
        {fill}
        nn.init.zeros_(m.bias)


def build():
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    {apply}
    return net
"""


def _marked(tmp_path: Path, fill: str, apply: str = "net.apply(init)") -> str:
    path = tmp_path / "zeros.py"
    path.write_text(SOURCE.format(fill=fill, apply=apply))
    names: dict[str, object] = {"__name__": "zeros"}
    with recording_constructions():
        exec(compile(path.read_text(), str(path), "exec"), names)
        model = names["build"]()  # type: ignore[operator]
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    report = sg.check(model, (x, x[:, :4].argmax(1)), F.cross_entropy)
    (found,) = (one for one in report.findings if one.code == "SG301")
    assert found.message == "the weights are all zero"
    assert found.location is not None
    return found.location.text


@pytest.mark.parametrize(
    "fill",
    [
        "nn.init.zeros_(m.weight)",
        "zeros_(m.weight.data)",
        "constant_(m.weight, 0.0)",
        "torch.nn.init.constant_(m.weight, 0)",
    ],
)
def test_where_they_were_written(fill: str, tmp_path: Path) -> None:
    assert _marked(tmp_path, fill) == fill


def test_else_where_the_layer_is_made(tmp_path: Path) -> None:
    assert _marked(tmp_path, "m.weight.data.mul_(0)") == "nn.Linear(8, 16)"
