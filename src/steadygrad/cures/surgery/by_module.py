"""Exchange of whole modules: for wires at torch's own parameterless modules, such as ``nn.Sigmoid()``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import nn

from steadygrad.cures.surgery.wire import Wire, parent_of
from steadygrad.record import Operation


def exchangeable(model: nn.Module, wires: Sequence[Wire], operations: Sequence[Operation]) -> bool:
    """Whether each wire's site is a module that makes this one call and has no state of its own.

    A module that is called several times can be replaced, when all its calls are; it cannot get a norm for each call.
    """
    ran = Counter(operation.module for operation in operations)
    sites = Counter((wire.site.module, wire.how) for wire in wires)
    known = dict(model.named_modules(remove_duplicate=False))
    places = Counter(id(module) for module in known.values())
    for wire in wires:
        module = known.get(wire.site.module)
        if wire.how == "join" or module is None or module is model or not _is_stateless(module):
            return False
        calls = ran[wire.site.module]
        shared = places[id(module)] > 1
        if wire.how == "replace":
            if sites[wire.site.module, "replace"] != calls or (shared and calls > 1):
                return False
        elif calls != 1 or shared:
            return False
    return True


def _is_stateless(module: nn.Module) -> bool:
    own = type(module).__module__.startswith("torch.nn.modules.") and not isinstance(module, nn.Sequential)
    return own and not any(True for _ in module.children()) and not module.state_dict()


def exchange(model: nn.Module, wires: Sequence[Wire]) -> None:
    """Put new modules in the places of those at the sites; a norm goes with its activation into one ``nn.Sequential``."""
    for wire in wires:
        parent, name = parent_of(model, wire.site.module)
        there = getattr(parent, name)
        if wire.how == "replace":
            wire.module.train(there.training)
            setattr(parent, name, wire.module)
            continue
        pair = (wire.module, there) if wire.how == "before" else (there, wire.module)
        setattr(parent, name, nn.Sequential(*pair).train(there.training))
