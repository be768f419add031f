"""A snapshot: parameters, buffers, optimizer state and random state as they were after one step, and back again.

Everything is put back in place: the tensors of model and optimizer stay the same objects. Learning rates are left as they
are now, because a schedule goes on from where it is.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.errors import SteadygradError


@dataclass(frozen=True)
class Snapshot:
    """The state kept of one step."""

    steps: tuple[int, ...]
    """Steps that each optimizer had taken."""
    tensors: tuple[tuple[Tensor, Tensor], ...]
    """(the user's own, as it was)."""
    states: tuple[dict[Tensor, dict[str, Any]], ...]
    """For each optimizer: by parameter, its entries; tensors are clones."""
    randomness: tuple[Any, ...]


def size_of(roots: Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """Bytes that a snapshot takes."""
    held = [*_tensors(roots, optimizers)]
    held += [v for o in optimizers for s in o.state.values() for v in s.values() if isinstance(v, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def take(roots: Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer], steps: Sequence[int]) -> Snapshot:
    """Clone it all, on the devices where it is. Changes nothing."""
    with torch.no_grad():
        return Snapshot(
            tuple(steps),
            tuple((tensor, tensor.detach().clone()) for tensor in _tensors(roots, optimizers)),
            tuple(_state(optimizer) for optimizer in optimizers),
            _randomness(),
        )


def restore(snapshot: Snapshot, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Put it back, bit for bit. Optimizer state that came into being since is taken away."""
    with torch.no_grad():
        for tensor, kept in snapshot.tensors:
            tensor.copy_(kept)
        for optimizer, kept_state in zip(optimizers, snapshot.states, strict=True):
            for parameter in [p for p in optimizer.state if p not in kept_state]:
                del optimizer.state[parameter]
            for parameter, entries in kept_state.items():
                now = optimizer.state[parameter]
                for name, value in entries.items():
                    if isinstance(value, Tensor) and isinstance(now.get(name), Tensor):
                        now[name].copy_(value)
                    else:
                        now[name] = copy.deepcopy(value)
                for name in [n for n in now if n not in entries]:
                    del now[name]
    torch.set_rng_state(snapshot.randomness[0])
    random.setstate(snapshot.randomness[1])
    for device, state in enumerate(snapshot.randomness[2]):
        torch.cuda.set_rng_state(state, device)


def save(
    path: str, roots: Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer], steps: Sequence[int]
) -> None:
    """Model and optimizer as ``torch.load(path, weights_only=True)`` reads them, written in one go.

    Raises ``SteadygradError`` where it cannot be written.
    """
    _write(
        path,
        {
            "model": [root.state_dict() for root in roots],
            "optimizer": [optimizer.state_dict() for optimizer in optimizers],
            "steps": list(steps),
        },
    )


def save_kept(
    path: str, roots: Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer], kept: Snapshot
) -> None:
    """A snapshot as ``save`` writes the present: the same keys, with what was kept in the place of what is.

    Raises ``SteadygradError`` where it cannot be written.
    """
    was = {id(tensor): clone for tensor, clone in kept.tensors}
    models = [
        {name: was.get(id(tensor), tensor) for name, tensor in root.state_dict(keep_vars=True).items()}
        for root in roots
    ]
    states = []
    for optimizer, of_it in zip(optimizers, kept.states, strict=True):
        plain = optimizer.state_dict()
        held = [p for group in optimizer.param_groups for p in group["params"]]
        states.append({**plain, "state": {at: of_it[p] for at, p in enumerate(held) if p in of_it}})
    plain_models = [
        {name: value.detach() if isinstance(value, Tensor) else value for name, value in one.items()} for one in models
    ]
    _write(path, {"model": plain_models, "optimizer": states, "steps": list(kept.steps)})


def _write(path: str, held: dict[str, Any]) -> None:
    target = Path(path)
    part = target.with_name(target.name + ".part")
    try:
        torch.save(held, part)
        part.replace(target)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise SteadygradError(f"cannot save {path}: {error}") from None


def _tensors(roots: Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer]) -> list[Tensor]:
    found: dict[int, Tensor] = {}
    for root in roots:
        for tensor in (*root.parameters(), *root.buffers()):
            found[id(tensor)] = tensor
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            found.update((id(p), p) for p in group["params"])
    return list(found.values())


def _state(optimizer: torch.optim.Optimizer) -> dict[Tensor, dict[str, Any]]:
    return {
        parameter: {n: v.detach().clone() if isinstance(v, Tensor) else copy.deepcopy(v) for n, v in entries.items()}
        for parameter, entries in optimizer.state.items()
    }


def _randomness() -> tuple[Any, ...]:
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return torch.get_rng_state(), random.getstate(), devices
