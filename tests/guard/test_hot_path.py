"""Watching waits for nothing: no number of a device is read in the steady state, and compiled graphs stay whole."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import steadygrad
from tests.guard.runs import Net, batch

READS = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::item")


class Reads(TorchDispatchMode):
    """Counts operations that bring a number of a tensor to Python."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if name in READS:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def reads_of(guarded: dict[str, Any] | None, steps: int = 30) -> Counter[str]:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    if guarded is not None:
        steadygrad.guard(model, optimizer, probe_every=0, quiet=True, **guarded)
    counting = Reads()
    for step in range(20 + steps):
        x, token, y = batch(step)
        loss = F.cross_entropy(model(x, token), y)
        optimizer.zero_grad()
        loss.backward()
        if step < 20:
            optimizer.step()
        else:
            with counting:
                optimizer.step()
    return counting.found


@pytest.mark.parametrize(
    "guarded",
    [
        {"every": 1},
        {"overhead": 0.5},
        {"clip": steadygrad.Clip.norm(1e6)},
        {"clip": steadygrad.Clip.norm(0.01)},
        {"clip": steadygrad.Clip.value(-100, 100)},
        {"every": 1, "on_alarm": "skip"},
    ],
    ids=str,
)
def test_no_number_is_read_in_the_steady_state(guarded: dict[str, Any]) -> None:
    assert reads_of(guarded) == reads_of(None)


def test_the_count_can_fail() -> None:
    counting = Reads()
    with counting:
        torch.ones(()).item()
    assert counting.found.total() == 1


@pytest.mark.long
@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("where", ["outside", "inside"])
def test_a_compiled_model_stays_one_graph(where: str, every: int) -> None:
    torch._dynamo.reset()
    counters.clear()
    model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    if where == "inside":
        steadygrad.guard(model, optimizer, every=every, probe_every=5, quiet=True)
    fast = torch.compile(model, backend="aot_eager")
    if where == "outside":
        steadygrad.guard(fast, optimizer, every=every, probe_every=5, quiet=True)
    for step in range(12):
        x, _, y = batch(step)
        loss = F.cross_entropy(fast(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert dict(counters["graph_break"]) == {}
    assert counters["stats"]["unique_graphs"] == 1
    assert counters["frames"]["total"] == 1
    torch._dynamo.reset()
