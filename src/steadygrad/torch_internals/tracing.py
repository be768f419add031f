"""Torch's symbolic tracer and its parametrisations, run in one thread so that no other thread notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any

from torch import fx, nn
from torch.nn.utils import parametrize

from steadygrad.torch_internals.compiling import Function
from steadygrad.torch_internals.replacing import replaced
from steadygrad.torch_internals.tensors import version_of

_tracing = threading.RLock()
"""Held during a trace: what ``torch.fx`` keeps of the trace under way, it keeps once for all threads."""


def trace_in_this_thread(tracer: fx.Tracer, model: nn.Module) -> fx.Graph:
    """``tracer.trace(model)``, of which other threads see nothing; by itself it takes their modules for the model's."""
    from torch.fx import _symbolic_trace

    tracing: Any = _symbolic_trace
    with _tracing, ExitStack() as until_traced:

        def patch_method(
            original: Function, patcher: Any, owner: type, name: str, new: Function, **options: Any
        ) -> None:
            if owner is not nn.Module:
                original(patcher, owner, name, new, **options)
                return
            until_traced.enter_context(replaced(owner, name, lambda _, *args, **kwargs: new(*args, **kwargs)))
            tracing._is_fx_tracing_flag = _InThisThread()

        with replaced(tracing._Patcher, "patch_method", patch_method):
            return tracer.trace(model)


class _InThisThread:
    """True in the thread that made it, false in all others."""

    def __init__(self) -> None:
        self._thread = get_ident()

    def __bool__(self) -> bool:
        return get_ident() == self._thread


@contextmanager
def computed_once() -> Iterator[None]:
    """Within the block, this thread computes a parametrised weight once, and again when what it is made of was written.

    ``parametrize.cached`` does so for all threads, and does not notice what is written.
    """
    kept: dict[tuple[int, ...], Any] = {}

    def forward(original: Function, weights: nn.Module) -> Any:
        made_of = [number for p in weights.parameters() for number in (p.data_ptr(), version_of(p))]
        key = (id(weights), *made_of)
        if key not in kept:
            kept[key] = original(weights)
        return kept[key]

    with replaced(parametrize.ParametrizationList, "forward", forward):
        yield
