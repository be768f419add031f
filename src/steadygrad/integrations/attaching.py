"""The common part of the trainers' callbacks: a guard around the trainer's own optimizers, and the check of the first step.

The same as ``steadygrad run`` does, at the moment at which the trainer has made everything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from steadygrad._guard.attach import guard
from steadygrad._guard.guard import Guard
from steadygrad.act.on_alarm import OnAlarm
from steadygrad.errors import SubjectError, TrainingStopped
from steadygrad.launch.checking import CheckAtStart
from steadygrad.launch.losses import Losses
from steadygrad.launch.models import models_of
from steadygrad.subject.optimizers import innermost


class Attached:
    """A guard, and what checks its first step. ``options`` are those of ``guard``.

    ``stop`` is called where ``on_alarm`` ends the run, in place of the exception that ``guard`` would raise.
    """

    def __init__(
        self,
        optimizers: Sequence[Any],
        *,
        on_alarm: str | Callable[..., Any] | OnAlarm,
        stop: Callable[[TrainingStopped], None],
        check: bool,
        options: dict[str, Any],
    ) -> None:
        """Guard the optimizers; raise ``SubjectError`` where no module has their parameters."""
        own = [innermost(one) for one in optimizers]
        models = list({id(model): model for one in own for model in models_of(one)}.values())
        if not models:
            raise SubjectError(
                "no parameter of the trainer's optimizers belongs to a torch.nn.Module: nothing to guard"
            )
        if not isinstance(on_alarm, OnAlarm):
            on_alarm = OnAlarm.parse(on_alarm) if isinstance(on_alarm, str) else OnAlarm(on_alarm)
        self.guard: Guard = guard(models, own, on_alarm=replace(on_alarm, stop=stop), **options)
        self._check: CheckAtStart | None = None
        together = torch.distributed.is_available() and torch.distributed.is_initialized()
        if check and len(models) == len(own) == 1 and options.get("probe_every", 1) and not together:
            clip = options.get("clip")
            self._check = CheckAtStart(
                models[0], own[0], lambda: self.guard, None if clip is None else str(clip), options.get("say") or _say
            )
            self._losses = Losses(self._check.backward)
            self._hook = register_optimizer_step_pre_hook(self._before_step)

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if self._check is not None:
            self._check.before_step(optimizer)

    def detach(self) -> None:
        """Detach the guard: the training is over."""
        if self._check is not None:
            self._check.close()
            self._hook.remove()
            del self._losses
            self._check = None
        self.guard.detach()


def as_list(given: Any) -> list[Any]:
    """One tracker, or several, as a list."""
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _say(line: str) -> None:
    sys.stderr.write(f"steadygrad: {line}\n")
