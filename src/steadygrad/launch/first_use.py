"""Tells of the first call of a module that may be trained, or of an optimizer's first step, just before it.

What a program makes, it makes before its first forward pass: models, wrappers around them, one optimizer or several. Then is
the time to see them together. ``nn.Module.__call__`` is covered until that one call, and is then what it was; for a step
that comes first (a closure that calls the model) every optimizer has a hook until then. Knows the ``torch`` that is handed
in; must not import it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any


class FirstUse:
    """``await_`` it, and ``then`` is called once: before the next module call with gradients on, or the next step."""

    def __init__(self, torch: Any, then: Callable[[], None]) -> None:
        self._torch = torch
        self._then = then
        self._original: Any = None
        self._hook: Any = None

    def await_(self) -> None:
        """Cover the call, where it is not covered already."""
        if self._original is not None:
            return
        original = self._original = self._torch.nn.Module.__call__

        @functools.wraps(original)
        def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            # What is being compiled keeps the call as it stands; the optimizer's first step is the next occasion.
            waiting = self._original is not None
            if waiting and self._torch.is_grad_enabled() and not self._torch.compiler.is_compiling():
                self.cease()
                self._then()
            return original(module, *args, **kwargs)

        self._torch.nn.Module.__call__ = __call__
        # A hook of all optimizers runs before those of one, so what is hooked to that one now takes part in this step.
        if self._hook is None:
            # torch.optim takes the name of this module of its own out of its namespace.
            module: Any = sys.modules["torch.optim.optimizer"]
            self._hook = module.register_optimizer_step_pre_hook(self._before_step)

    def _before_step(self, *_: Any) -> None:
        if self._original is not None:
            self.cease(stepping=True)
            self._then()

    def cease(self, *, stepping: bool = False) -> None:
        """Uncover it. While hooks of a step are being called none can be taken away: that one waits for the next time."""
        if self._hook is not None and not stepping:
            self._hook.remove()
            self._hook = None
        original, self._original = self._original, None
        if original is None:
            return
        cover = self._torch.nn.Module.__call__
        if getattr(cover, "__wrapped__", None) is not original:
            return  # Somebody covered ours: it passes every call on from now.
        self._torch.nn.Module.__call__ = original
        # Imports torch, which is here by now.
        from steadygrad.torch_internals import correct_notes

        correct_notes(cover, original)
