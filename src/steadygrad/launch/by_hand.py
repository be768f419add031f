"""Watches the gradients of a program that has no ``torch.optim.Optimizer``: it changes its weights by itself.

A stand-in takes an optimizer's place: each backward pass counts as a step, which begins when the gradients are there and is taken
when the next pass begins; what the program does to its weights between the two is the update. What it does to its gradients is
out of sight, so clips and stale gradients are not judged, and no action is taken. Imports torch, which is there by then.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steadygrad.clip.shards import local
from steadygrad.launch.models import models_of
from steadygrad.torch_internals.held import step_post_hooks, step_pre_hooks
from steadygrad.watch import backward

PATIENCE = 8
"""Passes after which weights that never changed are taken for weights that nobody trains: a program that looks at gradients."""
FEW = 64
"""Elements of each weight by which a change is seen."""

NOTE = (
    "no torch.optim.Optimizer was made: gradients are watched at each backward pass, and the weights that the program changes "
    "by itself; --clip, --on-alarm and the check of the first step need an optimizer"
)


class ByHand(torch.optim.Optimizer):
    """Stands where an optimizer would; never takes a step. Made without the constructor, which others watch."""

    @classmethod
    def of(cls, parameters: list[Tensor]) -> ByHand:
        """The stand-in for these."""
        made: ByHand = cls.__new__(cls)
        vars(made).update(
            defaults={},
            state=defaultdict(dict),
            param_groups=[{"params": parameters}],
            _optimizer_step_pre_hooks=OrderedDict(),
            _optimizer_step_post_hooks=OrderedDict(),
        )
        return made


def leaves_of(loss: Tensor) -> list[Tensor]:
    """The parameters that a backward pass from here would reach."""
    found: dict[int, Tensor] = {}
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node: Any = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            found.setdefault(id(leaf), leaf)
        waiting += [below for below, _ in node.next_functions]
    return list(found.values())


def watched_by_hand(
    loss: Tensor, guard_it: Callable[[ByHand], Any], say: Callable[[str], None], give_up: Callable[[], None]
) -> Passes | None:
    """Watch what this loss reaches, where it is modules' parameters; None where it is not.

    ``guard_it`` gives the guard of the stand-in. ``give_up`` is called where no weight changes.
    """
    stand_in = ByHand.of(leaves_of(loss))
    if not models_of(stand_in):
        return None
    passes = Passes(stand_in, say, give_up)
    passes.follow(guard_it(stand_in))
    return passes


class Passes:
    """Opens a step of the stand-in after each backward pass, and ends it before the next one."""

    def __init__(self, stand_in: ByHand, say: Callable[[str], None], give_up: Callable[[], None]) -> None:
        self.optimizer = stand_in
        self._parameters: list[Tensor] = stand_in.param_groups[0]["params"]
        self._say, self._give_up = say, give_up
        self._few: list[Tensor] = []
        self._open = self._moves = False
        self._count = 0
        self._watch: Any = None
        self._begins = _Begins(self)
        backward.listen(self._begins)

    def follow(self, guard: Any) -> None:
        """Follow the guard's own listeners from now on: when this is called, the gradients have been read."""
        self._watch = guard.optimizers[0].watch
        self._watch.alone = True
        backward.listen(self)

    def leave(self) -> None:
        """Note that the last step ends; no further call follows."""
        self.end()
        backward.leave(self._begins)
        backward.leave(self)

    def backward_begins(self, loss: Tensor | None) -> None:
        """The other listener's, which comes before the guard's."""

    def backward_ended(self, loss: Tensor | None, scaler: Any) -> None:
        if self._watch is None or all(p.grad is None for p in self._parameters):
            return
        self._count += 1
        if not self._moves:
            self._few = _few(self._parameters)
        self._open = True
        _call(step_pre_hooks(self.optimizer), self.optimizer)

    def end(self) -> None:
        """Note that the program has finished changing its weights."""
        if not self._open:
            return
        self._open = False
        _call(step_post_hooks(self.optimizer), self.optimizer)
        self._watch.loop.forget_step()
        if not self._moves:
            self._moves = any(not torch.equal(a, b) for a, b in zip(self._few, _few(self._parameters), strict=True))
            if self._moves:
                self._few = []
                self._say(NOTE)
            elif self._count >= PATIENCE:
                self._give_up()

    @staticmethod
    def forget(journal: str | None) -> None:
        """Remove the journal of what turned out to be no training."""
        for name in () if journal is None else (journal, f"{journal}-wal", f"{journal}-shm"):
            with contextlib.suppress(OSError):
                Path(name).unlink()

    @property
    def trains(self) -> bool:
        """Return whether the program has changed a weight."""
        return self._moves


class _Begins:
    """Hears of a backward pass before the guard does."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes

    def backward_begins(self, loss: Tensor | None) -> None:
        self._passes.end()

    def backward_ended(self, loss: Tensor | None, scaler: Any) -> None:
        """Do nothing: the guard reads the gradients first."""


def _call(hooks: dict[int, Any], optimizer: ByHand) -> None:
    for hook in list(hooks.values()):
        hook(optimizer, (), {})


def _few(parameters: list[Tensor]) -> list[Tensor]:
    return [local(p.detach()).reshape(-1)[:FEW].clone() for p in parameters]
