"""Wires at calls as they happen, for a model that cannot be traced: its own ``forward`` runs under a function mode.

The model keeps its class, methods and keys; it deep-copies and pickles. What it cannot do any more is be scripted.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steadygrad.cures.surgery.wire import Wire, attach, in_place, named, paths_by_module
from steadygrad.errors import CannotCureError
from steadygrad.record import Location
from steadygrad.source.spans import location_of, user_frame
from steadygrad.torch_internals.compiling import runs_in, this_thread

Key = tuple[str, str, int]
Loop = tuple[str, str, Location | None]
"""Module, function and expression of a call that is made again and again."""


def reroute(model: nn.Module, wires: Sequence[Wire]) -> None:
    """Let ``model`` run with the wires; those it was rerouted with before stay."""
    if isinstance(model, nn.Sequential):
        raise CannotCureError(
            "an nn.Sequential that cannot be traced runs all that it holds, so nothing can be added to it"
        )
    paths = attach(model, wires)
    earlier = vars(model).get("forward")
    routes = list(earlier.routes) if isinstance(earlier, Rerouted) else []
    loops = dict(earlier.loops) if isinstance(earlier, Rerouted) else {}
    for wire, path in zip(wires, paths, strict=True):
        if wire.how == "carry":
            loops[wire.site.module, wire.site.name, wire.site.call] = path
            continue
        key = (wire.site.module, wire.site.name, wire.site.occurrence)
        source = wire.source
        routes.append((wire.how, key, path, (source.module, source.name, source.occurrence) if source else None))
    vars(model)["forward"] = Rerouted(model, routes, loops)


class Rerouted:
    """Stands in for ``model.forward``: the same signature, the same code, some calls rerouted."""

    def __init__(
        self, model: nn.Module, routes: list[tuple[str, Key, str, Key | None]], loops: dict[Loop, str]
    ) -> None:
        self.model = model
        self.routes = routes
        self.loops = loops

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(type(self.model).forward.__get__(self.model))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _Router(self.model, self.routes, self.loops) as router:
            result = type(self.model).forward(self.model, *args, **kwargs)
        for _, name, place in self.loops.keys() - router.carried.keys():
            raise RuntimeError(
                f"the loop that a cure goes around, {name} at {place}, did not run: its source was moved or changed; "
                "cure the model again"
            )
        return result


class _Router(TorchFunctionMode):
    """Counts the calls of each module, and reroutes those that a wire names."""

    def __init__(
        self, model: nn.Module, routes: Sequence[tuple[str, Key, str, Key | None]], loops: Mapping[Loop, str]
    ) -> None:
        super().__init__()
        self._names = paths_by_module(model)
        self._stack = [""]
        self._seen: Counter[tuple[str, str]] = Counter()
        self._inputs: dict[Key, Tensor] = {}
        self._wanted = {source for _, _, _, source in routes if source is not None}
        self._routes: dict[Key, list[tuple[str, nn.Module, Key | None]]] = {}
        self._watched = {key[:2] for _, key, _, _ in routes} | {key[:2] for key in self._wanted}
        self._loops = {loop: model.get_submodule(path) for loop, path in loops.items()}
        self._looping = {loop[:2] for loop in loops}
        self.carried: dict[Loop, Tensor] = {}
        """What each loop carries to its next step."""
        for how, key, path, source in routes:
            self._routes.setdefault(key, []).append((how, model.get_submodule(path), source))

    def __enter__(self) -> _Router:
        from torch.nn.modules import module as calls

        self._thread = this_thread()
        self._hooks = [
            calls.register_module_forward_pre_hook(self._entered),
            calls.register_module_forward_hook(self._left, always_call=True),
        ]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def _entered(self, module: nn.Module, _: Any) -> None:
        # The hooks are those of all modules and all threads; only this thread's calls are rerouted.
        if not runs_in(self._thread):
            return
        # As the tape names them: a module that is not registered makes its calls in the model's name.
        self._stack.append(self._names.get(id(module), ""))

    def _left(self, module: nn.Module, _: Any, __: Any) -> None:
        if len(self._stack) > 1 and runs_in(self._thread):
            self._stack.pop()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        place = (self._stack[-1], named(name))
        result = self._routed(func, name, place, args, kwargs) if place in self._watched else func(*args, **kwargs)
        if place not in self._looping:
            return result
        loop = (*place, location_of(user_frame(sys._getframe(1))))
        if loop not in self._loops:
            return result
        before = self.carried.get(loop)
        carried: Tensor = self._loops[loop](result, torch.zeros_like(result) if before is None else before)
        if in_place(name):
            carried = result.copy_(carried)
        self.carried[loop] = carried
        return carried

    def _routed(self, func: Callable[..., Any], name: str, place: tuple[str, str], args: Any, kwargs: Any) -> Any:
        key = (*place, self._seen[place])
        self._seen[place] += 1
        if key in self._wanted:
            self._inputs[key] = args[0]
        written = args[0] if in_place(name) and key in self._routes else None
        if written is not None:
            args = (written.clone(), *args[1:])
        result: Any = None
        replaced = False
        routes = sorted(self._routes.get(key, ()), key=lambda route: _ORDER[route[0]])
        for how, module, source in routes:
            if how == "before":
                args = (module(args[0]), *args[1:])
                continue
            if how == "replace":
                result, replaced = module(args[0]), True
                continue
            if not replaced:
                result, replaced = func(*args, **kwargs), True
            result = module(result) if source is None else module(result, self._inputs[source])
        if not replaced:
            result = func(*args, **kwargs)
        return result if written is None else written.copy_(result)


_ORDER = {"before": 0, "replace": 1, "after": 2, "join": 3}
