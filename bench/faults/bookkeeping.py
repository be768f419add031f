"""Faults of the loop around the step: gradients not cleared or not made, clips at the wrong place or twice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from bench.faults.fault import AT, STEPS, Fault, adam
from bench.faults.training import Net, Script
from steadygrad import Clip


def not_cleared(at: int, kind: type[torch.optim.Optimizer] = torch.optim.SGD) -> Callable[[], Script]:
    """``zero_grad`` is called before that step alone."""

    def make() -> Script:
        model = Net()
        optimizer = kind(model.parameters(), lr=1e-3)  # type: ignore[call-arg]
        return Script(model, optimizer, at + 150, zeroes=lambda step: step < at)

    return make


def no_backward(at: int) -> Callable[[], Script]:
    """From that step on the step is taken on the gradients of the last backward pass."""

    def make() -> Script:
        model = Net()
        return Script(model, adam(model), at + 150, zeroes=lambda step: step < at, backs=lambda step: step < at)

    return make


def scaled_clip(at: int) -> Callable[[], Script]:
    """float16: the clip bounds gradients that are still multiplied by the loss scale."""

    def make() -> Script:
        model = Net()
        return Script(
            model,
            adam(model),
            at + 150,
            between=lambda _: nn.utils.clip_grad_norm_(model.parameters(), 1.0),  # type: ignore[arg-type, return-value]
            scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10),
            unscales=lambda step: step < at,
            autocast=torch.float16,
        )

    return make


def clip_after_step() -> Script:
    """The clip stands behind the step, and bounds what is then cleared."""
    model = Net()
    return Script(
        model,
        adam(model),
        STEPS,
        after=lambda _: nn.utils.clip_grad_norm_(model.parameters(), 1.0),  # type: ignore[arg-type, return-value]
    )


def clip_of_part() -> Script:
    """The clip is given the first layers alone."""
    model = Net()
    part = [p for layer in model.layers[:3] for p in layer.parameters()]
    return Script(
        model,
        adam(model),
        STEPS,
        between=lambda _: nn.utils.clip_grad_norm_(part, 1.0),  # type: ignore[arg-type, return-value]
    )


def clip(value: float) -> Callable[[], Script]:
    """A clip where it belongs."""

    def make() -> Script:
        model = Net()
        return Script(
            model,
            adam(model),
            STEPS,
            between=lambda _: nn.utils.clip_grad_norm_(model.parameters(), value),  # type: ignore[arg-type, return-value]
        )

    return make


def clip_twice() -> Script:
    """Two clips in one step, by norm and by value."""
    script = clip(1.0)()

    def between(_: int) -> None:
        nn.utils.clip_grad_norm_(script.model.parameters(), 1.0)
        nn.utils.clip_grad_value_(script.model.parameters(), 0.01)

    script.between = between
    return script


_WHOLE = ("",)
_NOT_CLEARED = "zero_grad|not cleared|only grow|add up|grow"
_TWICE = "double|twice|two clips|both|also clips"

FAULTS: dict[str, Fault] = {
    "zero-grad-forgotten": Fault(
        not_cleared(1), ("SG307",), _WHOLE, _NOT_CLEARED, step=2, early=1, late=84, drift=20, alone=False
    ),
    "zero-grad-forgotten-late": Fault(
        not_cleared(AT), ("SG307",), _WHOLE, _NOT_CLEARED, late=84, drift=20, alone=False
    ),
    "zero-grad-forgotten-adam": Fault(
        not_cleared(1, torch.optim.Adam),
        ("SG307",),
        _WHOLE,
        _NOT_CLEARED,
        step=2,
        early=1,
        late=84,
        drift=20,
        alone=False,
    ),
    "zero-grad-forgotten-adam-late": Fault(
        not_cleared(AT, torch.optim.Adam), ("SG307",), _WHOLE, _NOT_CLEARED, late=84, drift=20, alone=False
    ),
    "no-backward": Fault(
        no_backward(AT), ("SG307",), _WHOLE, "backward|same gradient|old|stale", late=84, drift=20, alone=False
    ),
    "clip-before-unscale": Fault(
        scaled_clip(1), ("SG306",), _WHOLE, "unscale", step=1, late=84, drift=20, alone=False, info=True
    ),
    "clip-before-unscale-late": Fault(
        scaled_clip(AT), ("SG306",), _WHOLE, "unscale", late=84, drift=20, alone=False, info=True
    ),
    "clip-after-step": Fault(
        clip_after_step, ("SG306",), _WHOLE, "after|behind", step=1, late=84, drift=20, alone=False, info=True
    ),
    "clip-of-part": Fault(
        clip_of_part, ("SG306",), _WHOLE, r"part|only|\d+ of \d+", step=1, late=84, drift=20, alone=False, info=True
    ),
    "clip-and-guard": Fault(
        clip(1.0),
        ("SG306",),
        _WHOLE,
        _TWICE,
        step=1,
        late=84,
        drift=20,
        alone=False,
        info=True,
        options={"clip": Clip.norm(1.0)},
    ),
    "clip-twice": Fault(clip_twice, ("SG306",), _WHOLE, _TWICE, step=1, late=84, drift=20, alone=False, info=True),
    "clip-always": Fault(
        clip(1e-3),
        ("SG306",),
        _WHOLE,
        "always|every step|100|% of",
        step=1,
        late=STEPS,
        drift=STEPS,
        alone=False,
        info=True,
    ),
}
