"""The one home of what is private or patched in torch: a function of torch's replaced while something is measured.

A class or a module of torch's is shared by all threads, and a replacement must be seen by the thread that asked for it
alone. So what is put in the place of the function looks up who is calling: a thread with a replacement gets that, every
other thread gets the original. It may rely on torch. It must not know what is measured, or why.
"""

from __future__ import annotations

import functools
import gc
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import get_ident
from types import FrameType, ModuleType
from typing import Any

import torch
from torch import fx, nn
from torch.compiler import is_dynamo_compiling
from torch.nn.utils import parametrize

from steadygrad.frames import not_counted

Function = Callable[..., Any]

_HERE = (lambda: None).__code__.co_filename
_frames: Any = torch._C._dynamo.eval_frame

# Modules of torch's that note, when they are first imported, what ``nn.Module.__call__`` is.
_NOTED = (
    ("torch._dynamo.utils", "unpatched_nn_module_call"),
    ("torch._dynamo.variables.nn_module", "unpatched_nn_module_call"),
    ("torch.fx._symbolic_trace", "_orig_module_call"),
)

_changing = threading.Lock()
"""Held while a cover is put on or taken off, never while anything is called."""


def passed_over(function: Function) -> Function:
    """For what passes a call on: torch's compiler leaves it as it is, and compiles what it calls; no warning counts it."""
    not_counted(inspect.unwrap(function))
    return _run_as_it_is(function, _frames._FrameAction.DEFAULT)


def never_compiled(function: Function) -> Function:
    """Where compiled code has this function called, torch's compiler leaves it as it is, and all that it calls."""
    return _run_as_it_is(function, _frames._FrameAction.SKIP)


def _run_as_it_is(function: Function, what_it_calls: Any) -> Function:
    strategy = _frames._FrameExecStrategy(_frames._FrameAction.SKIP, what_it_calls)
    _frames.set_code_exec_strategy(inspect.unwrap(function).__code__, strategy)
    return function


class _Cover:
    """What stands in the place of one function: each thread is sent to its own replacement, or to the original."""

    def __init__(self, owner: type | ModuleType, name: str) -> None:
        self.owner = owner
        self.name = name
        self.found: Any = vars(owner)[name]
        """What stood there, a ``classmethod`` or ``staticmethod`` as such."""
        kind = type(self.found) if isinstance(self.found, (classmethod, staticmethod)) else None
        original: Function = self.found if kind is None else self.found.__func__
        replacements: dict[int, list[Function]] = {}
        self.original = original
        self.replacements = replacements

        def covered(*args: Any, **kwargs: Any) -> Any:
            # What another thread compiles just now is compiled as if nothing stood here.
            if is_dynamo_compiling():
                return original(*args, **kwargs)
            mine = replacements.get(get_ident())
            return mine[-1](*args, **kwargs) if mine else original(*args, **kwargs)

        self.function = functools.wraps(original)(passed_over(covered))
        self.put: Any = self.function if kind is None else kind(self.function)

    def stands(self) -> bool:
        """Whether it is still what callers meet first, and nobody has put something else over it."""
        return vars(self.owner).get(self.name) is self.put


_covers: dict[tuple[int, str], list[_Cover]] = {}
"""Those that stand, by owner and name; the last one was put on last."""


@contextmanager
def replaced(owner: type | ModuleType, name: str, replacement: Function) -> Iterator[None]:
    """Within the block, calls of ``owner.name`` that this thread makes go to ``replacement(original, *args, **kwargs)``.

    ``original`` is the plain function: of a method it takes the instance first, of a class method the class. Other
    threads call the original as before, and may replace it too at the same time; the blocks may end in any order.
    """
    thread = get_ident()
    with _changing:
        cover = _standing(owner, name)
        mine = cover.replacements.setdefault(thread, [])
        ours: Function = functools.partial(replacement, mine[-1] if mine else cover.original)
        mine.append(ours)
    try:
        yield
    finally:
        with _changing:
            mine.remove(ours)
            if not mine:
                del cover.replacements[thread]
            _take_off_unused(owner, name)


def replace_everywhere(owner: type | ModuleType, name: str, replacement: Function) -> None:
    """Let ``owner.name``, a plain function, be ``replacement(original, *args, **kwargs)`` for all threads and for good."""
    original: Function = vars(owner)[name]

    def covered(*args: Any, **kwargs: Any) -> Any:
        if is_dynamo_compiling():
            return original(*args, **kwargs)
        return replacement(original, *args, **kwargs)

    setattr(owner, name, functools.wraps(original)(passed_over(covered)))


def _standing(owner: type | ModuleType, name: str) -> _Cover:
    """The cover that callers meet first; where somebody has put something over ours, another one over that."""
    covers = _covers.setdefault((id(owner), name), [])
    if not covers or not covers[-1].stands():
        cover = _Cover(owner, name)
        setattr(owner, name, cover.put)
        covers.append(cover)
    return covers[-1]


def _take_off_unused(owner: type | ModuleType, name: str) -> None:
    """Put back what stood there. A cover that something else stands on stays, and sends every call to the original."""
    covers = _covers[id(owner), name]
    while covers and not covers[-1].replacements and covers[-1].stands():
        cover = covers.pop()
        setattr(owner, name, cover.found)
        correct_notes(cover.function, cover.original)
    if not covers:
        del _covers[id(owner), name]


def this_thread() -> int | None:
    """A number for the thread; None in code that is being compiled, which may run in any."""
    return None if is_dynamo_compiling() else get_ident()


def runs_in(thread: int | None) -> bool:
    """Whether this is the thread that ``this_thread`` gave; code that is being compiled counts as running there."""
    return thread is None or is_dynamo_compiling() or get_ident() == thread


def correct_notes(noted: Any, call: Any) -> None:
    """Where a module of torch's has noted ``noted`` as what ``nn.Module.__call__`` is, let it note ``call``.

    A call that torch's compiler has noted is not traced: it goes to ``forward`` at once, where there are no hooks.
    """
    for name, attribute in _NOTED:
        module = sys.modules.get(name)
        if module is not None and getattr(module, attribute, None) is noted:
            setattr(module, attribute, call)


FILLS = ("_no_grad_zero_", "_no_grad_fill_")
"""In ``torch.nn.init``: what ``zeros_`` and ``constant_`` call, under whatever name they were imported."""


def caller() -> FrameType:
    """Asked for in a replacement: the frame of the call. Between the two stands the cover, which is nobody's code."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename.startswith(_HERE) and frame.f_back is not None:
        frame = frame.f_back
    return frame


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


def loader_at_work() -> bool:
    """Whether a ``DataLoader`` is in the middle of giving batches. Judged by types alone: an object may be anything."""
    base = torch.utils.data.dataloader._BaseDataLoaderIter
    return any(issubclass(type(one), base) for one in gc.get_objects())


@contextmanager
def computed_once() -> Iterator[None]:
    """Within the block, this thread computes a parametrised weight once, and again when what it is made of was written.

    ``parametrize.cached`` does so for all threads, and does not notice what is written.
    """
    kept: dict[tuple[int, ...], Any] = {}

    def forward(original: Function, weights: nn.Module) -> Any:
        made_of = [number for p in weights.parameters() for number in (p.data_ptr(), p._version)]
        key = (id(weights), *made_of)
        if key not in kept:
            kept[key] = original(weights)
        return kept[key]

    with replaced(parametrize.ParametrizationList, "forward", forward):
        yield
