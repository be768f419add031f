"""The parts of torch's compiler that we use: code it leaves alone, and what it has compiled.

May rely on torch's frame evaluation. Must not know what is replaced, or measured.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import nn
from torch.compiler import is_dynamo_compiling

from steadygrad.frames import not_counted

Function = Callable[..., Any]

_frames: Any = torch._C._dynamo.eval_frame

COMPILED_PREFIX = "_orig_mod."
"""The prefix that ``torch.compile`` puts before the name of every parameter of a module that it wraps."""
_WRAPPED = COMPILED_PREFIX.rstrip(".")

# Modules of torch's that note, when they are first imported, what ``nn.Module.__call__`` is.
_NOTED = (
    ("torch._dynamo.utils", "unpatched_nn_module_call"),
    ("torch._dynamo.variables.nn_module", "unpatched_nn_module_call"),
    ("torch.fx._symbolic_trace", "_orig_module_call"),
)

_changing = threading.Lock()
"""Held while the stance is changed, never while anything is called."""


def passed_over(function: Function) -> Function:
    """Let torch's compiler leave this call alone and compile what it calls; no warning counts it."""
    not_counted(inspect.unwrap(function))
    return _run_as_it_is(function, "DEFAULT")


def never_compiled(function: Function) -> Function:
    """Keep torch's compiler from compiling this function, which compiled code calls, and all that it calls."""
    return _run_as_it_is(function, "SKIP")


def _run_as_it_is(function: Function, what_it_calls: str) -> Function:
    code = inspect.unwrap(function).__code__
    if hasattr(_frames, "set_code_exec_strategy"):
        strategy = _frames._FrameExecStrategy(_frames._FrameAction.SKIP, getattr(_frames._FrameAction, what_it_calls))
        _frames.set_code_exec_strategy(code, strategy)
    else:
        # Torch 2.6 leaves out the function alone, and may compile what it calls.
        _frames.skip_code(code)
    return function


def this_thread() -> int | None:
    """A number for the thread; None in code that is being compiled, which may run in any."""
    return None if is_dynamo_compiling() else get_ident()


def runs_in(thread: int | None) -> bool:
    """Return whether this is the thread that ``this_thread`` gave; code that is being compiled counts as running there."""
    return thread is None or is_dynamo_compiling() or get_ident() == thread


def correct_notes(noted: Any, call: Any) -> None:
    """Let a module of torch's that has noted ``noted`` as ``nn.Module.__call__`` note ``call`` instead.

    A call that torch's compiler has noted is not traced: it goes to ``forward`` at once, where there are no hooks.
    """
    for name, attribute in _NOTED:
        module = sys.modules.get(name)
        if module is not None and getattr(module, attribute, None) is noted:
            setattr(module, attribute, call)


def inside_compiled(model: nn.Module) -> nn.Module | None:
    """The module that ``torch.compile`` was given, where ``model`` is what it made; else None."""
    # Not by hasattr: a ``__getattr__`` of the user's own may answer everything.
    modules = model._modules  # A traced module's has no get.
    return modules[_WRAPPED] if _WRAPPED in modules else None  # noqa: SIM401


def is_compiled_in_place(module: nn.Module) -> bool:
    """Return whether ``module.compile()`` was called."""
    return module._compiled_call_impl is not None


def anything_is_compiled() -> bool:
    """Return whether this process has compiled anything yet; imports nothing."""
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return any(one is not None for one in getattr(compiler, "cached_backends", {}).values())


class _Stance:
    """The stance of torch's compiler: "force_eager" for the threads named, for all others the one found."""

    def __init__(self, found: Any) -> None:
        self._found = found
        self.eager: list[int] = []
        """The threads, one as often as it asked."""

    @property
    def stance(self) -> str:
        return "force_eager" if get_ident() in self.eager else str(self._found.stance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Within the block, this thread runs what was compiled as it was before; ``set_stance`` would do so for all threads."""
    if "torch._dynamo" not in sys.modules:
        # Nothing is compiled where the compiler was never imported, and importing it takes longer than most probes.
        yield
        return
    from torch._dynamo import eval_frame

    compiler: Any = eval_frame
    thread = get_ident()
    with _changing:
        stance = compiler._stance
        if not isinstance(stance, _Stance):
            stance = _Stance(stance)
            compiler._set_stance(stance)
        stance.eager.append(thread)
    try:
        yield
    finally:
        with _changing:
            stance.eager.remove(thread)
            if not stance.eager and compiler._stance is stance:
                compiler._set_stance(stance._found)
