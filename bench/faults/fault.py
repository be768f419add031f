"""What a fault is, and the ways in which one is put into a script.

Truth stands beside each: the first ill step, the codes that name it (the best first), the parameters at which it begins (the
best first; "" = the whole model), and what cause or message must say. Nothing here knows what the guard answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench.faults.training import Batch, Net, Script, classes

AT = 250
STEPS = 400
NOTICED = 150
"""Steps within which what lasts is noticed: it takes 20, and rows are judged every 128 at the latest."""


@dataclass(frozen=True)
class Fault:
    """A script with one fault, and the truth about it."""

    make: Callable[[], Script]
    codes: tuple[str, ...]
    parameters: tuple[str, ...]
    says: str
    """A regular expression that cause, message or place must match."""
    step: int = AT
    late: int = 0
    """Steps after the first ill one until it must be told, when each is watched."""
    drift: int = 0
    """Steps by which the alarm may name a later one, where the fault grows."""
    early: int = 0
    """Steps by which it may name an earlier one, where both have a part in it."""
    once: bool = False
    """Whether only that step is ill: leaving it out is then all that there is to do."""
    alone: bool = True
    """Whether it is to be the only alarm; False where what it leaves behind is ill for other reasons later on."""
    info: bool = False
    """Whether an alarm of severity "info" is what it deserves, or enough."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """More of the guard's arguments."""


def adam(model: torch.nn.Module, rate: float = 1e-3) -> torch.optim.Optimizer:
    """The usual optimizer of these scripts."""
    return torch.optim.Adam(model.parameters(), lr=rate)


def bent(layer: int, bend: Callable[[Tensor], Tensor], at: int = AT, after: int = 150) -> Callable[[], Script]:
    """What comes out of a layer is something else from that step on."""

    def make() -> Script:
        model = Net()

        def before(step: int) -> None:
            if step == at:
                model.bends[layer] = bend

        return Script(model, adam(model), at + after, before=before)

    return make


def batch_of(change: Callable[[Batch], Batch], at: int = AT) -> Callable[[], Script]:
    """One batch is something else."""

    def make() -> Script:
        model = Net(dropout=0.05)
        return Script(
            model, adam(model), at + 150, batch=lambda step: change(classes(step)) if step == at else classes(step)
        )

    return make


def weights_of(change: Callable[[Net], Any], at: int = AT) -> Callable[[], Script]:
    """Somebody else writes into the weights before that step."""

    def make() -> Script:
        model = Net()

        def before(step: int) -> None:
            if step == at:
                with torch.no_grad():
                    change(model)

        return Script(model, adam(model), at + 150, before=before)

    return make
