"""Running a model on a guess without leaving a mark: on a copy, silently, with randomness as it was.

Lazy modules stay lazy in the user's object: each attempt has a copy of its own there. May rely on the copying of this
room; must not make guesses.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from steadygrad.copies.copying import clone_batch, on_copy
from steadygrad.copies.randomness import seed_torch
from steadygrad.copies.silence import silent
from steadygrad.errors import in_one_line
from steadygrad.objective import call_model

Run = Callable[[nn.Module, Any], Any]

_PACKAGE = str(Path(__file__).parent.parent) + "/"
_TORCH = str(Path(torch.__file__).parent) + "/"


@dataclass(frozen=True)
class Ran:
    """The result of an attempt: an output, or the exception of the user's code."""

    output: Any
    elements: int
    """Activation elements that the leaf modules gave."""
    modules: int
    """The number of completed calls of modules: how far it got."""
    error: Exception | None = None


class Attempts:
    """Forward passes of copies of one model."""

    def __init__(self, model: nn.Module, seed: int, shared: nn.Module | None) -> None:
        self.model = model
        self._seed = seed
        self._shared = shared

    def __call__(self, inputs: Any, *, run: Run = call_model, grad: bool = False) -> Ran:
        """Run on a clone of ``inputs``; without ``grad`` no graph is kept, so that large guesses are cheap."""
        with ExitStack() as stack:
            copied = self._shared
            if copied is None:
                copied = stack.enter_context(on_copy(self.model, None)).model
            stack.enter_context(silent())
            seed_torch(self._seed)
            ran = _run(copied, clone_batch(inputs), run, grad)
            if not grad and isinstance(ran.error, RuntimeError) and "does not require grad" in str(ran.error):
                # A model that differentiates in its own forward (a physics-informed one) needs the graph.
                ran = _run(copied, clone_batch(inputs), run, True)
            return ran


@contextmanager
def attempts(model: nn.Module, seed: int) -> Iterator[Attempts]:
    """Attempts on one copy, or on a fresh one each where layers take their shape from what they meet first."""
    tensors = (*model.parameters(), *model.buffers())
    lazy = any(isinstance(tensor, UninitializedTensorMixin) for tensor in tensors)
    with ExitStack() as stack:
        shared = None if lazy else stack.enter_context(on_copy(model, None)).model
        yield Attempts(model, seed, shared)


def _run(model: nn.Module, inputs: Any, run: Run, grad: bool) -> Ran:
    elements, calls = 0, 0

    def count(_module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal elements, calls
        elements += output.numel() if isinstance(output, Tensor) else 0
        calls += 1

    with ExitStack() as stack:
        for module in model.modules():
            if not any(True for _ in module.children()):
                stack.callback(module.register_forward_hook(count).remove)
        try:
            with torch.set_grad_enabled(grad):
                output = run(model, inputs)
                return Ran(output, elements, calls)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            return Ran(None, elements, calls, error)


def in_short(error: BaseException) -> str:
    """ "RuntimeError: mat1 and mat2 shapes cannot be multiplied (4x30 and 40x10) (net.py:12)"."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_PACKAGE, _TORCH))]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return in_one_line(error) + where
