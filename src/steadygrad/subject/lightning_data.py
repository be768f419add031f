"""The batches that a LightningModule or a LightningDataModule brings, made as a fit makes them, without a mark on either.

Knows both by their methods; Lightning itself is never imported here. Must not know of losses or optimizers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn

from steadygrad.copies.copying import on_copy, unwrapped
from steadygrad.errors import BatchError, UserCodeError
from steadygrad.objective import has_training_step
from steadygrad.record import Assumption

_NOT_WRITTEN = "MisconfigurationException"
"""Raised by Lightning's own ``train_dataloader``, which stands in for one that nobody wrote."""


def is_data_module(value: Any) -> bool:
    """Return whether it acts like a LightningDataModule."""
    return (
        not isinstance(value, (nn.Module, type))
        and callable(getattr(value, "train_dataloader", None))
        and callable(getattr(value, "setup", None))
    )


def loader_of(data: Any) -> Any:
    """The training batches of a data module; ``data`` itself stays as it was. Raises ``BatchError`` where it has none."""
    loader = _made(copy.copy(data))
    if loader is None:
        raise BatchError(f"{type(data).__name__} has no train_dataloader; write one, or give a DataLoader")
    return loader


def own_loader(model: nn.Module) -> tuple[Any, Assumption | None]:
    """The batches of a module's own ``train_dataloader``, made on a copy, and the word on it; None where it has none."""
    own = unwrapped(model)
    if not (has_training_step(own) and callable(getattr(own, "train_dataloader", None))):
        return None, None
    with on_copy(own, None) as copied:
        loader = _made(copied.model)
    if loader is None:
        return None, None
    return loader, Assumption("file", "the batches of train_dataloader", by_default=False)


def _made(owner: Any) -> Any:
    """What ``train_dataloader`` gives after ``prepare_data`` and ``setup("fit")``, as in a fit."""
    for name, arguments in (("prepare_data", ()), ("setup", ("fit",))):
        method = getattr(owner, name, None)
        if callable(method):
            _call(owner, name, method, *arguments)
    loader = _call(owner, "train_dataloader", owner.train_dataloader)
    if isinstance(loader, (Mapping, list, tuple)):
        return _Together(loader)
    return loader


def _call(owner: Any, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return method(*arguments)
    except Exception as error:
        if name == "train_dataloader" and type(error).__name__ == _NOT_WRITTEN:
            return None
        raise UserCodeError(
            f"{name} of {type(owner).__name__} raised this when it was asked for its batches; fix it, or give some with "
            "--batch file.py:name"
        ) from error


class _Together:
    """Several loaders drawn from together: a batch of each, in the dict or list that they came in."""

    def __init__(self, loaders: Any) -> None:
        self._loaders = loaders

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self._loaders, Mapping):
            return (dict(zip(self._loaders, one, strict=True)) for one in zip(*self._loaders.values(), strict=False))
        return (list(one) for one in zip(*self._loaders, strict=False))
