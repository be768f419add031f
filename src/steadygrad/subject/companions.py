"""The companions of a model at module level of a script: the optimizer over its parameters, its loss, its data.

Takes them as they are and makes nothing up. May rely on attempts; must not know of targets.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from steadygrad.record import Assumption
from steadygrad.subject.device_and_dtype import place_batch
from steadygrad.subject.dry_run import attempts, in_short
from steadygrad.subject.lightning_data import is_data_module
from steadygrad.subject.model_candidates import is_loss

_LOSSES = ("criterion", "loss_fn", "loss_func", "loss_function", "lossfn", "loss")
_BATCHES = ("batch", "train_batch")
_PAIRS = (
    ("x", "y"),
    ("X", "y"),
    ("X", "Y"),
    ("inputs", "targets"),
    ("inputs", "labels"),
    ("x_train", "y_train"),
    ("X_train", "y_train"),
)
ROWS = 64
"""Of whole data sets, so many rows make the batch."""


@dataclass(frozen=True)
class Companions:
    """The companions found; None = there is none, or several and no way to choose."""

    optimizer: torch.optim.Optimizer | None
    loss_fn: Any
    data: Any
    words: dict[str, str] = field(default_factory=dict)
    """For "optimizer", "loss" and "batch": how a person would call it."""

    def fitting(self, model: nn.Module, place: str, seed: int) -> tuple[Any, Any, Any, Assumption | None]:
        """Batch, loss and optimizer as ``model`` takes them, and where they are from.

        A batch of pictures is flattened where only that goes in; one that does not go in at all is left.
        """
        name, left = self.words.get("batch", ""), ""
        batch, how, pair = self._batch(model, seed)
        if batch is not None:
            name = f"{name}{how}"
        elif name:
            name, left = "", f"; {name} is left out: {how}"
        loss_fn = self.loss_fn if pair else None
        used = [name, self.words.get("loss", "") if loss_fn is not None else "", self.words.get("optimizer", "")]
        said = ", ".join(filter(None, used))
        return (
            batch,
            loss_fn,
            self.optimizer,
            (Assumption("file", f"from {place}: {said}{left}", by_default=False) if said else None),
        )

    def _batch(self, model: nn.Module, seed: int) -> tuple[Any, str, bool]:
        """The data as the model takes them, what was done to them, whether a batch is a pair; None and why there are none."""
        batch = self.data
        if isinstance(batch, DataLoader):
            try:
                batch = next(iter(batch), None)
            except Exception as error:
                return None, in_short(error), True
            batch = tuple(batch) if isinstance(batch, list) else batch
        if batch is None:
            return None, "it is empty", True
        pair = isinstance(batch, tuple) and len(batch) == 2
        device = next((str(parameter.device) for parameter in model.parameters()), None)
        taken, how = _as_taken(model, place_batch(batch, device, None), seed)
        if taken is None or not isinstance(self.data, DataLoader):
            return taken, how, pair or taken is None
        return (_Flattened(self.data) if how else self.data), how, pair


class _Flattened:
    """A loader of pairs whose inputs are flattened."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return ((x.flatten(1), y) for x, y in self._loader)


def _as_taken(model: nn.Module, batch: Any, seed: int) -> tuple[Any, str]:
    """The batch as it goes into the model, and what was done to it; None and the error where it does not."""
    with attempts(model, seed) as attempt:
        whole = not isinstance(batch, tuple) or len(batch) != 2
        ran = attempt(batch if whole else batch[0])
        if ran.error is None or attempt(batch).error is None:
            return batch, ""
        if not whole and isinstance(batch[0], Tensor) and batch[0].dim() > 2:
            flat = batch[0].flatten(1)
            if attempt(flat).error is None:
                return (flat, batch[1]), " (flattened)"
    return None, in_short(ran.error)


def companions(module: ModuleType, model: nn.Module) -> Companions:
    """Find what stands beside ``model`` in its file, if the file trains it there: without its optimizer, nothing is taken.

    The only optimizer beside the only model is meant for it, also where it holds parameters of another one by mistake.
    """
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    held = {id(parameter) for parameter in model.parameters()}
    known = {name: value for name, value in values.items() if isinstance(value, torch.optim.Optimizer)}
    optimizers = {
        name: value
        for name, value in known.items()
        if any(id(p) in held for p in chain.from_iterable(group["params"] for group in value.param_groups))
    }
    models = {
        id(value) for value in values.values() if isinstance(value, nn.Module) and any(True for _ in value.parameters())
    }
    if not optimizers and models == {id(model)}:
        optimizers = known
    if len({id(value) for value in optimizers.values()}) != 1:
        return Companions(None, None, None)
    name, optimizer = next(iter(optimizers.items()))
    words = {"optimizer": f"{name} (which has taken steps already)" if optimizer.state else name}
    loss_name = _loss(values)
    if loss_name:
        words["loss"] = loss_name
    words["batch"], data = _data(values)
    return Companions(optimizer, values.get(loss_name), data, words)


def data_beside(module: ModuleType) -> tuple[str, Any]:
    """Name and value of a file's data module or loader of training batches, for a model that says itself how it trains."""
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    modules = [name for name, value in values.items() if is_data_module(value)]
    if len(modules) == 1:
        return modules[0], values[modules[0]]
    name, data = _data(values)
    return (name, data) if isinstance(data, DataLoader) else ("", None)


def _loss(values: Mapping[str, Any]) -> str:
    named = [
        name
        for name in _LOSSES
        if not isinstance(values.get(name), (type, Tensor)) and _takes_a_target(values.get(name))
    ]
    losses = [name for name, value in values.items() if isinstance(value, nn.Module) and is_loss(value)]
    return next(iter(named), losses[0] if len(losses) == 1 else "")


def _takes_a_target(value: Any) -> bool:
    if not callable(value):
        return False
    try:
        inspect.signature(value.forward if isinstance(value, nn.Module) else value).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _data(values: Mapping[str, Any]) -> tuple[str, Any]:
    loaders = [name for name, value in values.items() if isinstance(value, DataLoader)]
    chosen = next((name for name in loaders if "train" in name.lower()), next(iter(loaders), ""))
    if chosen:
        return chosen, values[chosen]
    for name in _BATCHES:
        if isinstance(values.get(name), (tuple, list, Mapping)) and _tensors(values[name]):
            batch = values[name]
            return name, tuple(batch) if isinstance(batch, list) else batch
    for first, second in _PAIRS:
        x, y = values.get(first), values.get(second)
        if isinstance(x, Tensor) and isinstance(y, Tensor) and x.dim() and y.dim() and len(x) == len(y) > 1:
            rows = f"the first {ROWS} rows of " if len(x) > ROWS else ""
            return f"{rows}({first}, {second})", (x[:ROWS].detach(), y[:ROWS].detach())
    return "", None


def _tensors(batch: Any) -> bool:
    items: Iterable[Any] = batch.values() if isinstance(batch, Mapping) else batch
    return all(isinstance(item, Tensor) for item in items)
