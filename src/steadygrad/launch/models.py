"""The module that an optimizer trains, found among those that are alive.

An optimizer holds tensors and knows no module. The module is the smallest one alive that has all of them; of several with
the same trainable parameters (a net, and what is wrapped around it) the outermost that is called like a net. May rely on
``torch.nn``; must not call, move or change a module.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from steadygrad.torch_internals.held import is_constructed, own_children, own_parameters


def parameters_of(optimizer: Any) -> list[Tensor]:
    """Its parameters, group by group, each once."""
    found: dict[int, Tensor] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            found.setdefault(id(parameter), parameter)
    return list(found.values())


def models_of(optimizer: Any) -> list[nn.Module]:
    """The module that covers the optimizer's parameters; several where no single one does, none where none is alive."""
    wanted = {id(parameter) for parameter in parameters_of(optimizer)}
    house = _House(modules_alive())
    covering = [module for module in house.above(wanted) if wanted <= house.parameters(module)]
    if covering:
        return [_outermost(covering, wanted, house)]
    return _together(wanted, house)


def modules_alive() -> list[nn.Module]:
    """Every module that the garbage collector knows. Judged by its type alone: an object may be anything."""
    kinds: dict[type, bool] = {}
    found: list[nn.Module] = []
    for thing in gc.get_objects():
        kind = type(thing)
        is_module = kinds.get(kind)
        if is_module is None:
            is_module = kinds[kind] = any(base is nn.Module for base in kind.__mro__)
        if is_module and is_constructed(thing):
            found.append(thing)
    return found


def outermost_with(wanted: set[int], alive: list[nn.Module]) -> list[tuple[nn.Module, list[str]]]:
    """The modules that are in no other and have some of these parameters, each with the names that it has for them."""
    house = _House(alive)
    tops = [module for module in house.above(wanted) if house.is_outermost(module)]
    return [(top, [name for name, p in top.named_parameters() if id(p) in wanted]) for top in tops]


class _House:
    """The modules alive, with their parents and the parameters below each."""

    def __init__(self, modules: list[nn.Module]) -> None:
        self.modules = modules
        self._below: dict[int, frozenset[int]] = {}
        self._parents: dict[int, list[nn.Module]] = {}
        for module in modules:
            for child in own_children(module):
                self._parents.setdefault(id(child), []).append(module)

    def parameters(self, module: nn.Module) -> frozenset[int]:
        """Ids of the parameters of a module and all below it."""
        known = self._below.get(id(module))
        if known is None:
            self._below[id(module)] = frozenset()  # A module inside itself ends here.
            below = {id(parameter) for parameter in own_parameters(module)}
            for child in own_children(module):
                below |= self.parameters(child)
            known = self._below[id(module)] = frozenset(below)
        return known

    def is_outermost(self, module: nn.Module) -> bool:
        return not self._parents.get(id(module))

    def trainable(self, module: nn.Module) -> frozenset[int]:
        return frozenset(id(p) for one in _walk(module) for p in own_parameters(one) if p.requires_grad)

    def above(self, wanted: set[int]) -> list[nn.Module]:
        """Modules that own one of these parameters, and all that they are in."""
        found: dict[int, nn.Module] = {}
        waiting = [m for m in self.modules if any(id(p) in wanted for p in own_parameters(m))]
        while waiting:
            module = waiting.pop()
            if id(module) not in found:
                found[id(module)] = module
                waiting.extend(self._parents.get(id(module), ()))
        return list(found.values())


def _outermost(covering: list[nn.Module], wanted: set[int], house: _House) -> nn.Module:
    sets = {id(module): house.trainable(module) | wanted for module in covering}
    least = min(len(one) for one in sets.values())
    same = [module for module in covering if len(sets[id(module)]) == least]
    called = [module for module in same if _is_called(module)] or same
    # What contains more modules of the same parameters is further out.
    return max(called, key=lambda module: sum(1 for _ in _walk(module)))


def _is_called(module: nn.Module) -> bool:
    """Return whether it has a forward of its own, and is not a recipe of which only the steps are called (Lightning)."""
    has_forward = type(module).forward is not nn.Module.forward or "forward" in vars(module)
    return has_forward and not hasattr(type(module), "training_step")


def _together(wanted: set[int], house: _House) -> list[nn.Module]:
    """The largest modules that have nothing but these parameters, until none is left to be covered."""
    inside = [m for m in house.above(wanted) if (own := house.parameters(m)) and own <= wanted]
    inside.sort(key=lambda m: (len(house.parameters(m)), _is_called(m), sum(1 for _ in _walk(m))), reverse=True)
    taken: list[nn.Module] = []
    left = set(wanted)
    for module in inside:
        own = house.parameters(module)
        if own & left and own <= left:
            taken.append(module)
            left -= own
    if left:
        # Parameters of modules that have others too: the smallest that has each of them.
        for module in sorted(house.above(left), key=lambda m: len(house.parameters(m))):
            if house.parameters(module) & left and _is_called(module):
                taken.append(module)
                left -= house.parameters(module)
    return taken


def _walk(module: nn.Module) -> Iterator[nn.Module]:
    seen: set[int] = set()
    waiting = [module]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting.extend(own_children(one))
