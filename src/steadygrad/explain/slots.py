"""Hooks that keep the gradient of an output, put on a new graph in each step at little cost.

``Node.register_prehook`` makes a dict, a handle and a weak reference each time, which takes 25 microseconds on cold caches.
A slot is made once: torch is given the same dict again for each graph. It is free when no graph holds that dict any more,
which its count of references says.
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from steadygrad.torch_internals.compiling import never_compiled
from steadygrad.torch_internals.tensors import accumulated_hooks, hook_node_with

SLOTS = 4
"""Graphs at a time that a slot is kept for: the last step's output mostly lives until the next one takes its name."""


class Keep:
    """The gradient of one output of one call; a hook of the output's node."""

    __slots__ = ("_kept", "_output", "_place")

    def __init__(self, kept: dict[int, Tensor], place: int, output: int) -> None:
        self._kept, self._place, self._output = kept, place, output

    @never_compiled
    def __call__(self, gradients: tuple[Tensor | None, ...]) -> None:
        _keep(self._kept, self._place, gradients[self._output])


class Slot:
    """The same for a node whose first output it is; it moves from one node to the next."""

    def __init__(self) -> None:
        self.came = _Came()
        with torch.inference_mode(False), torch.enable_grad():
            self.holder: Any = torch.zeros(0, requires_grad=True, device="cpu")
        self.holder.register_hook(self.came)  # type: ignore[no-untyped-call]
        self.hooks: Any = accumulated_hooks(self.holder)
        self.alone = getrefcount(self.hooks)


class _Came:
    """The hook of a slot. Apart from it: torch holds hooks where Python's collector sees no circle."""

    __slots__ = ("given", "leaf", "place")

    given: Any
    leaf: Any
    place: int

    @never_compiled
    def __call__(self, gradient: Tensor) -> None:
        given, leaf = self.given(), self.leaf()
        if given is None:
            return
        _keep(given.cotangents, self.place, gradient)
        if leaf is not None and accumulated_hooks(leaf) and leaf.grad_fn is not None:
            # The program's own hooks of the output come after this one and may change it; those before the node come last.
            leaf.grad_fn.register_prehook(Keep(given.cotangents, self.place, 0))


def put_on(slots: Sequence[Slot], node: Any, leaf: Tensor, given: Any, place: int) -> bool:
    """Keep the gradient that comes to ``leaf``, the first output of ``node``, as ``given.cotangents[place]``.

    By the first slot whose hook no graph holds any more; False where there is none.
    """
    for slot in slots:
        if getrefcount(slot.hooks) == slot.alone:
            came = slot.came
            # Held weakly: what a step was given must not outlive it here.
            came.given, came.leaf, came.place = ref(given), ref(leaf), place
            hook_node_with(node, slot.holder)
            return True
    return False


def _keep(kept: dict[int, Tensor], place: int, gradient: Tensor | None) -> None:
    if gradient is not None:
        # The object itself: the engine then knows that it is held, and adds nothing to it in place.
        kept[place] = gradient.detach() if gradient.requires_grad else gradient
