"""The inputs of the model at a step, kept for another look: inputs, random state, autocast, cotangents.

What a root module is called with is kept by reference for one step, on steps that will be read. Nothing is copied but the
random state, nothing is put on the module, and a graph that is being compiled is not heard of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, is_grad_enabled, nn

from steadygrad.explain.slots import SLOTS, Keep, Slot, put_on
from steadygrad.torch_internals.compiling import never_compiled
from steadygrad.torch_internals.tensors import any_autocast, tree_leaves
from steadygrad.watch import calls

COTANGENT_BYTES = 64 * 2**20
"""A cotangent larger than this is not kept until the next step: it would raise the peak of memory."""

EARLIER_BYTES = 64 * 2**20
"""Inputs of the earlier calls of a step that are kept until it: with accumulation the last batch is not the only one."""
_random_state = torch.default_generator.get_state


@dataclass(slots=True, weakref_slot=True)
class Given:
    """One forward call: what went in, under which conditions, and the gradients that came back to its outputs."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random: Tensor | None
    """None where no look will ask for it."""
    device_random: Tensor | None
    autocast: tuple[tuple[str, torch.dtype, bool], ...]
    calls: int = 1
    """Calls of this module since the optimizer's last step: more than one with accumulation."""
    cotangents: dict[int, Tensor] = field(default_factory=dict)
    """By the position of the output's leaf; none where no look will ask for them."""

    earlier: list[Tensor] = field(default_factory=list)
    """Inputs of the calls before it since the optimizer's last step, up to ``EARLIER_BYTES``."""

    def tensors(self) -> list[Tensor]:
        return [leaf for leaf in tree_leaves((self.args, self.kwargs)) if isinstance(leaf, Tensor)]

    def input_norm(self, without: Sequence[int] = ()) -> float:
        """L2 norm of all float inputs of a call, NaN where there is none; of several calls the greatest. Waits for the device.

        ``without``: samples of the last call that are left out; its inputs have one row each.
        """
        if without:
            rows = [_but(one, without) for one in self.tensors() if _is_plain(one)]
            return math.hypot(*(_norm(one) for one in rows)) if rows else math.nan
        norms = [_norm(one) for one in self.tensors() if _is_plain(one)]
        one_call = math.hypot(*norms) if norms else math.nan
        return max([one_call, *(_norm(one) for one in self.earlier)]) if norms else math.nan


class Capture:
    """Keeps what ``root`` was given at its last call, while ``armed``; it is from the start.

    ``replays``: with what a look needs to run it once more, random state and cotangents, which is most of the cost.
    """

    def __init__(self, root: nn.Module, *, replays: bool) -> None:
        self.root = root
        self.armed = False
        self.given: Given | None = None
        self.measures_spread = False
        """Whether the next call is to measure how far the outputs of its samples differ."""
        self.spread: float | None = None
        """Share of the output's energy that differs between samples, when it was last asked for."""
        self._replays = replays
        self._listens = False
        parameter = next(root.parameters(), None)
        self._device = parameter.device if parameter is not None else torch.device("cpu")
        device = self._device.type
        self._on_cuda = device == "cuda"
        self._autocast_kinds = ("cpu",) if device not in ("cuda", "mps", "xpu") else ("cpu", device)
        self._slots = [Slot() for _ in range(SLOTS)] if replays else []
        self.arm()

    def arm(self) -> None:
        """Keep what the next call is given."""
        self.armed = True
        if not (self._listens or isinstance(self.root, torch.jit.ScriptModule)):
            self._listens = True
            calls.listen(self.root, self)

    def begin_anew(self) -> None:
        """Note that a step was taken since the call before the last: what is kept of the last belongs to the coming one."""
        if self.given is not None:
            self.given.calls, self.given.earlier = 1, []

    def rest(self) -> None:
        """Keep nothing of the coming calls."""
        self.armed = False

    def remove(self) -> None:
        """Keep nothing ever again."""
        self.armed = self._listens = False
        calls.leave(self.root, self)
        self.given = None

    @never_compiled
    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that the model is called."""
        if not (self.armed and is_grad_enabled()):
            return
        held = self.given
        random = on_device = None
        if self._replays:
            random = _random_state()
            if self._on_cuda:
                on_device = torch.cuda.get_rng_state(self._device)
        autocast = autocast_now(self._autocast_kinds) if any_autocast() else ()
        self.given = given = Given(args, kwargs, random, on_device, autocast)
        if held is not None:
            given.calls = held.calls + 1
            earlier = [*held.earlier, *(one for one in held.tensors() if _is_plain(one))]
            if sum(one.nbytes for one in earlier) <= EARLIER_BYTES:
                given.earlier = earlier

    @never_compiled
    def after(self, output: Any) -> None:
        """Note the model's output, and keep the gradient that will reach it."""
        given = self.given
        if given is None or not (self.armed and self._replays and is_grad_enabled()):
            return
        leaves = (output,) if isinstance(output, Tensor) else tree_leaves(output)
        for place, leaf in enumerate(leaves):
            node = leaf.grad_fn if isinstance(leaf, Tensor) else None
            if node is not None and leaf.nbytes <= COTANGENT_BYTES:
                # A hook of the node, not of the tensor: it stays where the output is changed in place.
                number = leaf.output_nr
                if number or not put_on(self._slots, node, leaf, given, place):
                    node.register_prehook(Keep(given.cotangents, place, number))
        if self.measures_spread:
            self.measures_spread = False
            self.spread = _spread(leaves)


def _is_plain(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not tensor.is_sparse


def _but(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    kept = [row for row in range(len(tensor) if tensor.dim() else 0) if row not in rows]
    return tensor[kept] if tensor.dim() else tensor


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.detach().float()).cpu().numpy()[()])


def _spread(leaves: Sequence[Any]) -> float | None:
    """Return ‖h − mean over the batch‖² ÷ ‖h‖² of the first output that has one row a sample. Waits for its device."""
    for leaf in leaves:
        if isinstance(leaf, Tensor) and leaf.dim() >= 1 and len(leaf) > 1 and leaf.is_floating_point():
            values = leaf.detach().double()
            whole = float(values.square().sum())
            return float((values - values.mean(0)).square().sum()) / whole if whole > 0 else 0.0
    return None


def autocast_now(kinds: tuple[str, ...]) -> tuple[tuple[str, torch.dtype, bool], ...]:
    """Return the devices among these for which autocast is on, with its dtype, and whether it caches."""
    on: tuple[tuple[str, torch.dtype, bool], ...] = ()
    for kind in kinds:
        if torch.is_autocast_enabled(kind):
            on += ((kind, torch.get_autocast_dtype(kind), torch.is_autocast_cache_enabled()),)
    return on
