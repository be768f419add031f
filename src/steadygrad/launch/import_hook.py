"""Does something at the moment a module has been imported by somebody else, without importing it.

One finder stands before the others until the module is asked for, finds it through them, and is gone. May rely on the
standard library alone; must not know which module it waits for, or why.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

Then = Callable[[ModuleType], None]


def when_imported(name: str, then: Then) -> None:
    """Call ``then(module)`` as soon as the module ``name`` has been run; at once where it is there already."""
    module = sys.modules.get(name)
    if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
        then(module)
    else:
        sys.meta_path.insert(0, _Arrival(name, then))


class _Arrival:
    def __init__(self, name: str, then: Then) -> None:
        self.name, self.then = name, then

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for finder in list(sys.meta_path):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _call_after(spec, self.then)
                return spec
        return None


def _call_after(spec: ModuleSpec, then: Then) -> None:
    """The loader stays the one that was found: an attribute of its own covers its ``exec_module`` for one call."""
    loader = spec.loader
    if loader is None:
        return
    run = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        run(module)
        then(module)

    # A loader that takes no attributes loads the module as ever, and nothing is called.
    with contextlib.suppress(AttributeError):
        loader.exec_module = exec_module  # type: ignore[method-assign]
