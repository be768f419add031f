"""Tells of the first call of a module that may be trained, or of an optimizer's first step, just before it.

What a program makes, it makes before its first forward pass: models, wrappers around them, one optimizer or several. Then is
the time to see them together. ``nn.Module.__call__`` is covered until that one call, and is then what it was; a step may come
first (a closure that calls the model), so all optimizers have a hook. Knows the ``torch`` that is handed in; must not import
it. A check that the program asks for is no use of what it made. What torch's compiler traces it sees as without us.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from steadygrad.launch.optimizers import ours_at_work


class FirstUse:
    """``await_`` it, and ``then`` is called once: before the next module call with gradients on, or the next step.

    ``stepping(optimizer)`` is called before each step of any optimizer.
    """

    def __init__(self, torch: Any, then: Callable[[], None], stepping: Callable[[Any], None]) -> None:
        self._torch = torch
        self._then, self._stepping = then, stepping
        self._cover: Any = None
        self._waits = self._hooked = False

    def await_(self) -> None:
        """Cover the call, where it is not covered already."""
        # Imports torch, which is here by now.
        from steadygrad.torch_internals.compiling import never_compiled
        from steadygrad.torch_internals.points import MODULE_CALL
        from steadygrad.torch_internals.replacing import put_over

        if not self._hooked:
            # A hook of all optimizers runs before those of one, so what is hooked to that one now takes part in this step. It
            # stays: what is compiled with it is compiled again without it.
            self._hooked = True
            # torch.optim takes the name of this module of its own out of its namespace.
            module: Any = sys.modules["torch.optim.optimizer"]
            module.register_optimizer_step_pre_hook(self._before_step)
            never_compiled(FirstUse._before_step)
            never_compiled(FirstUse._is_used)
        if self._waits:
            return
        self._waits = True

        def over(original: Callable[..., Any]) -> Callable[..., Any]:
            def __call__(module: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
                # What is being compiled keeps the call as it stands; the optimizer's first step is the next occasion.
                compiling = self._torch.compiler.is_compiling()
                if not compiling and self._waits and self._torch.is_grad_enabled() and self._is_used():
                    # Whoever covers it now must hear of this call.
                    return self._torch.nn.Module.__call__(module, *args, **kwargs)
                return original(module, *args, **kwargs)

            return __call__

        self._cover = put_over(*MODULE_CALL, over)

    def _before_step(self, optimizer: Any, *_: Any) -> None:
        if self._torch.compiler.is_compiling():
            return
        if self._waits and not ours_at_work(sys._getframe(1)):
            self.cease()
            self._then()
        self._stepping(optimizer)

    def _is_used(self) -> bool:
        """Run the first use, unless it belongs to a copy of ours; return whether the call was uncovered."""
        if ours_at_work(sys._getframe(1)):
            return False
        went = self.cease()
        self._then()
        return went

    def cease(self) -> bool:
        """Uncover it. False where somebody covered ours: it then passes every call on."""
        from steadygrad.torch_internals.points import MODULE_CALL
        from steadygrad.torch_internals.replacing import take_off

        self._waits = False
        cover, self._cover = self._cover, None
        return take_off(*MODULE_CALL, cover)
