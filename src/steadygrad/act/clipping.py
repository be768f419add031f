"""The clip of a guarded optimizer: takes the norms that the pulse has read, and touches gradients only to change them.

What it computes is what the clip's own function computes, bit for bit; only the second reading of all gradients and the
multiplication by one are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from steadygrad.clip import Clip, clip_adaptive_
from steadygrad.clip.gradients import gradients_of, scale_
from steadygrad.clip.norm import EPSILON, UNCLIPPED, clip_norm_, factor_for_norm, scale_to_norm_
from steadygrad.clip.per_parameter import scale_each_
from steadygrad.clip.shards import values_here
from steadygrad.clip.value import clamp_, untouched_below

TURN_EVERY = 50
"""Steps on which a clip acts, of which one is measured for how far the direction turned."""
TURNS = 100
"""Such measurements that are kept."""

Host = Sequence[float]


@dataclass
class Clipper:
    """One clip, the state that it needs, and how often it has acted."""

    clip: Clip
    steps: int = 0
    acted: int = 0
    turns: list[float] = field(default_factory=list)
    """Cosines between the gradient before and after, on some of the steps on which it acted."""
    state: Any = None

    def __post_init__(self) -> None:
        self.state = self.clip.state()

    def __call__(
        self, gradients: Sequence[Tensor], row: Tensor, host: Host | None, parameters: Sequence[Tensor], scale: float
    ) -> float:
        """Clip the gradients in place. ``row``: their norms; ``host``: the same where that needs no waiting.

        ``scale`` is the loss scale that the gradients still hold, and ``row`` no longer. Gives the factor on the total norm,
        NaN where that stays on the device.
        """
        self.steps += 1
        if not gradients:
            return 1.0
        clip = self.clip
        if clip.kind == "norm" and clip.norm_type == 2.0:
            return self._by_norm(gradients, row, host, parameters, clip.high)
        if self.state is not None:
            bound = self.state.bound(float(torch.linalg.vector_norm(row)))
            return self._by_norm(gradients, row, host, parameters, bound) if math.isfinite(bound) else 1.0
        if clip.kind == "per-parameter":
            if host is not None and _none_above(host, clip.high * UNCLIPPED - EPSILON):
                return 1.0
            factors = factor_for_norm(row, clip.high).unbind(0)
            return self._measured(gradients, row, lambda: scale_each_(_plain(parameters, gradients), factors))
        if clip.kind == "value":
            low, high = clip.low * scale, clip.high * scale
            if host is not None and _none_above(host, untouched_below(clip.low, clip.high)):
                return 1.0
            return self._measured(gradients, row, lambda: clamp_(_plain(parameters, gradients), low, high))
        if clip.kind == "adaptive":
            return self._measured(gradients, row, lambda: clip_adaptive_(parameters, clip.high * scale))
        return self._measured(gradients, row, lambda: clip_norm_(parameters, clip.high * scale, clip.norm_type))

    def tightened(self, median: float) -> tuple[Clip, Clip]:
        """Halve the bound; gives the old clip and the new one. ``median``: of the total norm, for clips without a bound."""
        old = self.clip
        if old.kind == "value":
            new = replace(old, low=old.low / 2, high=old.high / 2)
        elif self.state is not None:
            new = Clip.norm(median)
        else:
            new = replace(old, high=old.high / 2)
        self.clip, self.state = new, new.state()
        return old, new

    def as_plain(self) -> dict[str, Any]:
        """Numbers and lists that ``load_plain`` takes."""
        state = None if self.state is None else self.state.state_dict()
        return {"clip": str(self.clip), "steps": self.steps, "acted": self.acted, "turns": self.turns, "state": state}

    def load_plain(self, plain: dict[str, Any]) -> None:
        """Go on from ``as_plain``'s; the state of another kind of clip is left aside."""
        self.steps, self.acted, self.turns = int(plain["steps"]), int(plain["acted"]), list(plain["turns"])
        if plain["clip"] != str(self.clip):
            return
        if self.state is not None and plain["state"] is not None:
            self.state.load_state_dict(plain["state"])

    def _by_norm(
        self, gradients: Sequence[Tensor], row: Tensor, host: Host | None, parameters: Sequence[Tensor], bound: float
    ) -> float:
        if host is not None and math.hypot(*host) <= bound * UNCLIPPED - EPSILON:
            return 1.0
        total = torch.linalg.vector_norm(row)
        if host is None:
            scale_to_norm_(_plain(parameters, gradients), total, bound)
            return math.nan
        # Read through the memory that numpy shares: no operation of torch's, so nothing that a device could wait for.
        factor = factor_for_norm(total.numpy()[()], bound)
        if factor == 1.0:
            return 1.0
        scale_(_plain(parameters, gradients), torch.tensor(factor, dtype=total.dtype))
        self.acted += 1
        return float(factor)

    def _measured(self, gradients: Sequence[Tensor], row: Tensor, change: Callable[[], Any]) -> float:
        """Measure the fall of the total norm by a second read, for clips that change some elements and not others."""
        tensors = [values_here(gradient) for gradient in gradients]
        before = [g.clone() for g in tensors] if self.acted % TURN_EVERY == 0 and row.device.type == "cpu" else None
        change()
        if row.device.type != "cpu":
            return math.nan
        tensors = [values_here(gradient) for gradient in gradients]
        was, now = _norm(before) if before is not None else _total(row), _norm(tensors)
        if not now < was * UNCLIPPED:
            return 1.0
        self.acted += 1
        if before is not None and was > 0 and now > 0:
            dot = sum(float((a.conj() * b).real.sum()) for a, b in zip(before, tensors, strict=True))
            self.turns = [*self.turns[1 - TURNS :], dot / (was * now)]
        return now / was if was > 0 else 1.0


def _none_above(host: Host, bound: float) -> bool:
    """Return whether no norm is above the bound; a NaN is above every bound."""
    return all(map(float(bound).__ge__, host))


def _plain(parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
    """The gradients as tensors that can be changed; sparse and partial ones are settled with their parameter."""
    if all(type(gradient) is Tensor and not gradient.is_sparse for gradient in gradients):
        return list(gradients)
    return gradients_of(parameters)


def _norm(tensors: Sequence[Tensor]) -> float:
    norms = [torch.linalg.vector_norm(tensor).to(torch.float64) for tensor in tensors]
    return float(torch.linalg.vector_norm(torch.stack(norms)))


def _total(row: Tensor) -> float:
    return float(torch.linalg.vector_norm(row.to(torch.float64)))
