"""Adam whose eps outweighs the gradients hardly moves: the finding names eps, and does not advise Adam."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import steadygrad as sg


@pytest.mark.parametrize(
    ("optimizer", "eps"), [(torch.optim.Adam, 1.0), (torch.optim.AdamW, 1.0), (torch.optim.SGD, None)]
)
def test_what_keeps_the_steps_small_is_named(optimizer: type[torch.optim.Optimizer], eps: float | None) -> None:
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    options: dict[str, Any] = {"lr": 1e-6} if eps is None else {"lr": 1e-3, "eps": eps}
    report = sg.check(model, (x, y), nn.functional.cross_entropy, optimizer=optimizer(model.parameters(), **options))
    assert [one.code for one in report.findings] == ["SG106"]
    advice = " ".join(cure.why for cure in report.findings[0].cures)
    assert ("a smaller eps" in advice) == (eps is not None)
    assert ("Adam in place of SGD" in advice) == (eps is None)
