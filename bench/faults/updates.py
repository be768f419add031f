"""Faults of the step itself: rates far too large, weights that somebody writes, averages that are not the optimizer's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.faults.fault import AT, Fault, bent, weights_of
from bench.faults.training import Batch, Net, Script, classes

_MATRICES = ("", *(f"layers.{at}.weight" for at in range(6)))
_RATE = "learning rate|step changed|update|of its size"


def from_start(make_optimizer: Callable[[nn.Module], torch.optim.Optimizer], steps: int = 60) -> Callable[[], Script]:
    """A rate that is too large from the first step on."""

    def make() -> Script:
        model = Net()
        return Script(model, make_optimizer(model), steps)

    return make


def rate_leap(factor: float, at: int = AT) -> Callable[[], Script]:
    """The rate is another one from that step on."""

    def make() -> Script:
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

        def before(step: int) -> None:
            if step == at:
                optimizer.param_groups[0]["lr"] *= factor

        return Script(model, optimizer, at + 60, before=before)

    return make


def averages(change: Callable[[dict[str, Tensor]], object], at: int = AT) -> Callable[[], Script]:
    """Somebody writes into Adam's state before that step, as a checkpoint does that is loaded by halves."""

    def make() -> Script:
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

        def before(step: int) -> None:
            if step == at:
                for state in optimizer.state.values():
                    change(state)

        return Script(model, optimizer, at + 60, before=before)

    return make


def wipe(state: dict[str, Tensor]) -> object:
    """The averages of squares begin anew, the count of steps does not: nothing corrects them for that."""
    return state["exp_avg_sq"].zero_()


def swell(state: dict[str, Tensor]) -> object:
    """The averages of gradients are of a loss that was a thousand times as large."""
    return state["exp_avg"].mul_(1000)


def half_adam() -> Script:
    """float16 weights, and an eps that float16 rounds to zero: the first step divides by zero."""
    model = Net().half()

    def batch(step: int) -> Batch:
        x, y = classes(step)
        return x.half(), y

    return Script(model, torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-8), 60, batch)


def _all_nan(model: Net) -> None:
    for p in model.parameters():
        p.fill_(torch.nan)


def _times_60(model: Net) -> None:
    model.layers[3].weight.mul_(60)


_HIGH = ("SG201", "SG206", "SG207")

FAULTS: dict[str, Fault] = {
    "adam-at-0.1": Fault(
        from_start(lambda model: torch.optim.Adam(model.parameters(), lr=0.1)),
        ("SG204",),
        _MATRICES,
        _RATE,
        step=1,
        late=1,
        alone=False,
    ),
    "adamw-at-20": Fault(
        from_start(lambda model: torch.optim.AdamW(model.parameters(), lr=20)),
        ("SG204",),
        _MATRICES,
        _RATE,
        step=1,
        late=1,
        alone=False,
    ),
    "sgd-at-30": Fault(
        from_start(lambda model: torch.optim.SGD(model.parameters(), lr=30)),
        ("SG204",),
        _MATRICES,
        _RATE,
        step=1,
        late=1,
        alone=False,
    ),
    "rate-times-3000": Fault(rate_leap(3000), ("SG204",), _MATRICES, "learning rate jumped|learning rate", alone=False),
    "rate-times-3000-early": Fault(
        rate_leap(3000, 20), ("SG204",), _MATRICES, "learning rate jumped|learning rate", step=20, alone=False
    ),
    "wiped-averages": Fault(
        averages(wipe), ("SG204",), _MATRICES, "exp_avg_sq|moment|average|optimizer's state", late=8, alone=False
    ),
    "swollen-averages": Fault(
        averages(swell), ("SG204",), _MATRICES, "exp_avg|moment|average|optimizer's state", late=8, alone=False
    ),
    "half-adam-eps": Fault(
        half_adam,
        ("SG203", "SG204", "SG108"),
        _MATRICES,
        r"\beps\b|its weights|optimizer",
        step=2,
        early=1,
        alone=False,
    ),
    "all-weights-nan": Fault(weights_of(_all_nan), ("SG203",), _MATRICES[:2], "weights", alone=False),
    "all-weights-nan-early": Fault(weights_of(_all_nan, 9), ("SG203",), _MATRICES[:2], "weights", step=9, alone=False),
    "corrupted-weights-early": Fault(
        weights_of(_times_60, 20), _HIGH, ("layers.3.weight",), "norm of its weights went", step=20, alone=False
    ),
    "scaled-output": Fault(bent(2, lambda h: h * 50), _HIGH, ("layers.2.weight",), "output", alone=False),
    "scaled-output-early": Fault(
        bent(2, lambda h: h * 3000, 25), _HIGH, ("layers.2.weight",), "output", step=25, alone=False
    ),
}
