"""What the model was given at a step, so that the step can be looked at again: inputs, random state, autocast, cotangents.

What a root module is called with is kept by reference for one step, on steps that will be read. Nothing is copied but the
random state, nothing is put on the module, and a graph that is being compiled is not heard of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from steadygrad.torch_internals import never_compiled
from steadygrad.watch import calls

COTANGENT_BYTES = 64 * 2**20
"""A cotangent larger than this is not kept until the next step: it would raise the peak of memory."""


EARLIER_BYTES = 64 * 2**20
"""Inputs of the earlier calls of a step that are kept until it: with accumulation the last batch is not the only one."""


@dataclass
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

    def input_norm(self) -> float:
        """L2 norm of all float inputs of a call, NaN where there is none; of several calls the greatest. Waits for the device."""
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
        self.arm()

    def arm(self) -> None:
        """Keep what the next call is given."""
        self.armed = True
        if not (self._listens or isinstance(self.root, torch.jit.ScriptModule)):
            self._listens = True
            calls.listen(self.root, self)

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
        """The model is called."""
        if not (self.armed and torch.is_grad_enabled()):
            return
        count = 1 if self.given is None else self.given.calls + 1
        random = on_device = None
        if self._replays:
            random = torch.default_generator.get_state()
            if self._on_cuda:
                on_device = torch.cuda.get_rng_state(self._device)
        earlier: list[Tensor] = []
        if self.given is not None:
            earlier = [*self.given.earlier, *(one for one in self.given.tensors() if _is_plain(one))]
            if sum(one.nbytes for one in earlier) > EARLIER_BYTES:
                earlier = []
        self.given = Given(args, kwargs, random, on_device, autocast_now(self._autocast_kinds), count, earlier=earlier)

    @never_compiled
    def after(self, output: Any) -> None:
        """It has given this: what will come back to it is kept as well."""
        given = self.given
        if given is None or not (self.armed and self._replays and torch.is_grad_enabled()):
            return
        leaves = (output,) if isinstance(output, Tensor) else tree_leaves(output)
        for place, leaf in enumerate(leaves):
            node = leaf.grad_fn if isinstance(leaf, Tensor) else None
            if node is not None and leaf.nbytes <= COTANGENT_BYTES:
                # A hook of the node, not of the tensor: half the cost, and it stays where the output is changed in place.
                node.register_prehook(_Keep(given.cotangents, place, leaf.output_nr))
        if self.measures_spread:
            self.measures_spread = False
            self.spread = _spread(leaves)


class _Keep:
    """The gradient that comes back to one output of one call."""

    __slots__ = ("_kept", "_output", "_place")

    def __init__(self, kept: dict[int, Tensor], place: int, output: int) -> None:
        self._kept, self._place, self._output = kept, place, output

    @never_compiled
    def __call__(self, gradients: tuple[Tensor | None, ...]) -> None:
        gradient = gradients[self._output]
        if gradient is not None:
            # The object itself: the engine then knows that it is held, and adds nothing to it in place.
            self._kept[self._place] = gradient.detach() if gradient.requires_grad else gradient


def _is_plain(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not tensor.is_sparse


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.detach().float()).cpu().numpy()[()])


def _spread(leaves: Sequence[Any]) -> float | None:
    """Of the first output that has one row a sample: ‖h − mean over the batch‖² ÷ ‖h‖². Waits for its device."""
    for leaf in leaves:
        if isinstance(leaf, Tensor) and leaf.dim() >= 1 and len(leaf) > 1 and leaf.is_floating_point():
            values = leaf.detach().double()
            whole = float(values.square().sum())
            return float((values - values.mean(0)).square().sum()) / whole if whole > 0 else 0.0
    return None


def autocast_now(kinds: tuple[str, ...]) -> tuple[tuple[str, torch.dtype, bool], ...]:
    """Of these devices those for which autocast is on, with its dtype, and whether it caches."""
    on: tuple[tuple[str, torch.dtype, bool], ...] = ()
    for kind in kinds:
        if torch.is_autocast_enabled(kind):
            on += ((kind, torch.get_autocast_dtype(kind), torch.is_autocast_cache_enabled()),)
    return on
