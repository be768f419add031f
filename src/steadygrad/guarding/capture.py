"""What the model was given at a step, so that the step can be looked at again: inputs, random state, autocast, cotangents.

Two hooks on a root module keep references for one step, on steps that will be read. Nothing is copied but the random state.
They do nothing while a graph is being compiled, and a copy or a pickle of the model holds an idle function of Python's own
in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

COTANGENT_BYTES = 64 * 2**20
"""A cotangent larger than this is not kept until the next step: it would raise the peak of memory."""


@dataclass
class Given:
    """One forward call: what went in, under which conditions, and the gradients that came back to its outputs."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    random: Tensor
    device_random: Tensor | None
    autocast: tuple[tuple[str, torch.dtype, bool], ...]
    calls: int = 1
    """Calls of this module since the optimizer's last step: more than one with accumulation."""
    cotangents: dict[int, Tensor] = field(default_factory=dict)
    """By the position of the output's leaf."""

    def tensors(self) -> list[Tensor]:
        return [leaf for leaf in tree_leaves((self.args, self.kwargs)) if isinstance(leaf, Tensor)]


class _Hook:
    """A hook that copies and pickles as something idle of the standard library."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> None:
        if torch.compiler.is_compiling():
            return
        self._call(*args)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return nullcontext().__exit__

    def __reduce__(self) -> Any:
        return getattr, (nullcontext(), "__exit__")


class Capture:
    """Keeps what ``root`` was given at its last call, while ``armed``."""

    def __init__(self, root: nn.Module) -> None:
        self.root = root
        self.armed = True
        self.given: Given | None = None
        self._handles: list[RemovableHandle] = []
        parameter = next(root.parameters(), None)
        self._device = parameter.device if parameter is not None else torch.device("cpu")
        if isinstance(root, torch.jit.ScriptModule):
            return
        self._handles = [
            root.register_forward_pre_hook(_Hook(self._before), with_kwargs=True),
            root.register_forward_hook(_Hook(self._after), with_kwargs=True),
        ]

    def stepped(self) -> None:
        """The optimizer has stepped: the next call is the first of another step."""
        self.given = None

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()
        self.given = None

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.armed or not torch.is_grad_enabled():
            return
        calls = 1 if self.given is None else self.given.calls + 1
        random = torch.get_rng_state()
        on_device = torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None
        self.given = Given(args, kwargs, random, on_device, autocast_now(self._device.type), calls)

    def _after(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        given = self.given
        if not self.armed or given is None or not torch.is_grad_enabled():
            return
        leaves = [output] if isinstance(output, Tensor) else tree_leaves(output)
        for place, leaf in enumerate(leaves):
            made = isinstance(leaf, Tensor) and leaf.requires_grad and leaf.grad_fn is not None
            if made and leaf.numel() * leaf.element_size() <= COTANGENT_BYTES:
                leaf.register_hook(_Keep(given, place))


class _Keep:
    """A tensor hook: the gradient that comes back to one output of one call."""

    __slots__ = ("given", "place")

    def __init__(self, given: Given, place: int) -> None:
        self.given, self.place = given, place

    def __call__(self, gradient: Tensor) -> None:
        self.given.cotangents[self.place] = gradient.detach()


def autocast_now(device: str) -> tuple[tuple[str, torch.dtype, bool], ...]:
    """The devices for which autocast is on, with its dtype, and whether it caches."""
    kinds = {device, "cpu"} if device in ("cpu", "cuda", "mps", "xpu") else {"cpu"}
    cached = torch.is_autocast_cache_enabled()
    return tuple((k, torch.get_autocast_dtype(k), cached) for k in sorted(kinds) if torch.is_autocast_enabled(k))
