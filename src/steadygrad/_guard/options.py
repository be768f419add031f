"""The options of a guard, checked: one sentence for each that is invalid. Nothing is attached here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from steadygrad.act.on_alarm import OnAlarm
from steadygrad.clip import Clip
from steadygrad.errors import SettingsError, SubjectError
from steadygrad.listen.listener import Listener
from steadygrad.listen.notify import Notify
from steadygrad.subject.optimizers import kind_of

if TYPE_CHECKING:
    from steadygrad.journal import Journal

SNAPSHOT_EVERY = 100
SNAPSHOT_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Options:
    """The options of ``guard``, checked. Raises ``SettingsError`` for an invalid value."""

    clip: Clip | None
    on_alarm: OnAlarm
    journal: str | Journal | None
    probe_every: int
    overhead: float
    every: int
    snapshot_every: int
    snapshot_bytes: int
    trackers: tuple[Listener, ...] = ()
    notify: str | None = None

    def __post_init__(self) -> None:
        if self.clip is not None and not isinstance(self.clip, Clip):
            raise SettingsError(
                f"clip is {self.clip!r}, expected a steadygrad.Clip such as Clip.value(-1, 1) or Clip.norm(1.0)"
            )
        if self.journal is not None and not isinstance(self.journal, str):
            from steadygrad.journal import Journal  # With SQLite: for a run that is recorded.

            if not isinstance(self.journal, Journal):
                raise SettingsError(f"journal is {self.journal!r}, expected a path such as 'run.sgj'")
        for name, least in (("probe_every", 0), ("every", 1), ("snapshot_every", 1), ("snapshot_bytes", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise SettingsError(f"{name} is {value!r}, expected a whole number, {least} or more")
        if isinstance(self.overhead, bool) or not isinstance(self.overhead, (int, float)) or not 0 < self.overhead <= 1:
            raise SettingsError(
                f"overhead is {self.overhead!r}, expected a share of a step, above 0 and at most 1, such as 0.01"
            )
        for one in self.trackers:
            if not isinstance(one, Listener):
                raise SettingsError(
                    f"trackers has {one!r}, expected one such as steadygrad.integrations.tensorboard.Tracker('logs')"
                )
        if self.notify is not None:
            if not isinstance(self.notify, str):
                raise SettingsError(f"notify is {self.notify!r}, expected an address or a command in one text")
            Notify(self.notify)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The trackers, and whoever is notified."""
        if self.notify is None:
            return self.trackers
        return *self.trackers, Notify(self.notify, run=_name(self.journal))


def _name(journal: str | Journal | None) -> str:
    path = journal if journal is None or isinstance(journal, str) else journal.path
    return "" if path is None else Path(path).name


def several(given: Any) -> list[Any]:
    """One thing or any iterable of them as a list."""
    if isinstance(given, (nn.Module, torch.optim.Optimizer)):
        return [given]
    try:
        return list(given)
    except TypeError:
        return [given]


def check_subjects(roots: Sequence[Any], optimizers: Sequence[Any]) -> None:
    """Raise ``SubjectError`` where these are no models, no optimizers, or do not belong together."""
    for root in roots:
        if not isinstance(root, nn.Module):
            raise SubjectError(f"the model is {type(root).__name__}, expected a torch.nn.Module or a list of them")
    if not roots or not optimizers:
        raise SubjectError(f"there is no {'optimizer' if roots else 'model'} to guard; pass at least one")
    own = {id(p) for root in roots for p in root.parameters()}
    for optimizer in optimizers:
        if not isinstance(optimizer, torch.optim.Optimizer):
            hint = "; pass its .optimizer" if hasattr(optimizer, "optimizer") else ""
            raise SubjectError(f"the optimizer is {kind_of(optimizer)}, expected one of torch.optim{hint}")
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if not held:
            raise SubjectError("the optimizer holds no parameters; make it with model.parameters()")
        if not any(id(p) in own for p in held):
            raise SubjectError(
                f"none of the optimizer's {len(held)} parameters is the model's: was the model copied or wrapped after the "
                "optimizer was made? Make the optimizer from the parameters of the model that is trained"
            )
    if len({id(one) for one in optimizers}) < len(optimizers):
        raise SubjectError("the same optimizer was passed twice; pass each once")


def check_parts(options: Options) -> None:
    """Raise ``SettingsError`` where processes that each see a part of the gradient cannot do alike what was asked."""
    instead = "wrap the model with fully_shard, whose gradients are known as a whole"
    if options.clip is not None:
        raise SettingsError(
            f"clip={options.clip} would clip each process's part of the gradient by another factor under "
            f"FullyShardedDataParallel; call model.clip_grad_norm_(…), or {instead}"
        )
    if options.on_alarm.kind != "warn":
        raise SettingsError(
            f"on_alarm={options.on_alarm.kind!r} would act in one process and not in another: under "
            f"FullyShardedDataParallel each sees its part of the gradient alone; use on_alarm='warn', or {instead}"
        )
