"""What a transformers ``Trainer`` of a script would train: its model, batches, optimizer and clip, had without training.

Knows a trainer by its class; the library is never imported here. Works on a shallow copy, so that the trainer keeps no
optimizer of ours. Must not run a model.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from torch import nn

from steadygrad.errors import TargetError, UserCodeError, in_one_line
from steadygrad.record import Assumption

_LIBRARY = "transformers."


@dataclass(frozen=True)
class TrainerParts:
    """The parts of a trainer; None = it has none, or it cannot be had without training."""

    model: nn.Module
    batch: Any
    optimizer: Any
    clip: str | None
    said: Assumption


def is_trainer(value: Any) -> bool:
    """Return whether it is a ``Trainer`` of transformers, or of a class made from it."""
    return any(kind.__name__ == "Trainer" and kind.__module__ == f"{_LIBRARY}trainer" for kind in type(value).__mro__)


def trainers_in(module: ModuleType) -> list[str]:
    """Names of the trainers at module level."""
    return [name for name, value in vars(module).items() if is_trainer(value)]


def trainer_parts(trainer: Any, name: str, place: str) -> TrainerParts:
    """Take a trainer apart. Raises ``TargetError`` where it computes a loss of its own, ``UserCodeError`` for its data."""
    own = [one for one in ("compute_loss", "training_step") if not _is_library(getattr(type(trainer), one))]
    if getattr(trainer, "label_smoother", None) is not None:
        own.append("label_smoothing_factor")
    if getattr(trainer, "compute_loss_func", None) is not None:
        own.append("compute_loss_func")
    if own:
        raise TargetError(
            f"{name} in {place} has a loss of its own ({own[0]}), which only its training computes; check it there: "
            f"steadygrad run --only-check {place}"
        )
    twin = copy.copy(trainer)
    used, optimizer, why_not = [], None, ""
    try:
        optimizer = twin.create_optimizer() or twin.optimizer
        used.append("the optimizer of create_optimizer")
    except Exception as error:
        why_not = f"; its optimizer cannot be had without training ({in_one_line(error, 120)})"
    loader = None
    if trainer.train_dataset is not None:
        try:
            loader = twin.get_train_dataloader()
        except Exception as error:
            raise UserCodeError(
                f"{name} in {place} raised this when it was asked for its batches; fix it there"
            ) from error
        used.append("the batches of get_train_dataloader")
    bound = getattr(trainer.args, "max_grad_norm", None)
    if bound:
        used.append(f"max_grad_norm {bound:g}")
    mixed = next((kind for kind in ("bf16", "fp16") if getattr(trainer.args, kind, False)), "")
    words = ", ".join(used) or "the model"
    without = f", without the autocast of {mixed}" if mixed else ""
    return TrainerParts(
        trainer.model,
        loader,
        optimizer,
        f"norm:{bound}" if bound else None,
        Assumption("file", f"from {place}: {name} with {words}{without}{why_not}", by_default=False),
    )


def _is_library(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith(_LIBRARY)
