"""Writes down what each process of a program computes, step by step, without the program's help: Python imports it by its name.

The folder of this file goes first on ``PYTHONPATH``, where it reaches every process that the program starts, and ``RECORD_INTO``
names the folder to write to: one file of JSON lines a process. A line is one backward pass, before it begins (what goes backward,
and the leaves below it), or one optimizer's step, once it is taken (its weights, gradients and state); with it the states of
``random``, numpy and torch. Both hooks lie below anything that ``steadygrad run`` covers. What steadygrad does on copies of its
own is left out. Knows torch alone, and draws nothing.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib.util
import json
import os
import random
import sys
from time import process_time
from typing import Any

INTO = os.environ.get("RECORD_INTO", "")

PASSED_ON = ("/steadygrad/watch/", "/steadygrad/launch/", "/steadygrad/_guard/", "/steadygrad/torch_internals/")
"""Files of steadygrad's through which the program's own calls pass."""


class _Writer:
    """The file of this process; a forked child opens its own."""

    def __init__(self) -> None:
        self.process, self.file, self.spent, self.inside = 0, None, 0.0, False

    def line(self, what: str, **told: Any) -> None:
        if self.process != os.getpid():
            self.process = os.getpid()
            self.file = open(self._free(), "w", encoding="utf-8")  # noqa: SIM115, PTH123 - until the process ends.
        self.file.write(json.dumps({"what": what, **told}) + "\n")
        self.file.flush()

    def _free(self) -> str:
        """By rank, and by the name that ``multiprocessing`` gave; with a number where a process of this name was before."""
        processes = sys.modules.get("multiprocessing.process")
        name = processes.current_process().name if processes is not None else "MainProcess"
        number, start = 1, os.path.join(INTO, f"{os.environ.get('RANK', '0')}-{name}")  # noqa: PTH118
        while os.path.exists(f"{start}-{number}.jsonl"):  # noqa: PTH110
            number += 1
        return f"{start}-{number}.jsonl"


_writer = _Writer()


def _record(what: str, frame: Any, tell: Any) -> None:
    """A line, unless it is of steadygrad's own making; "at" in seconds of the processor, without its own."""
    began = process_time()
    if _writer.inside or _is_steadygrads(frame):
        return
    _writer.inside = True
    try:
        _writer.line(what, at=began - _writer.spent, **tell(), random=_random_states())
    finally:
        _writer.inside = False
        _writer.spent += process_time() - began


def _is_steadygrads(frame: Any) -> bool:
    """Whether steadygrad asked for it: its frame is met before the program's."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    while frame is not None:
        path = frame.f_code.co_filename
        if path == main:
            return False
        if "/steadygrad/" in path and not any(part in path for part in PASSED_ON):
            return True
        frame = frame.f_back
    return False


def _digest(tensors: Any) -> str:
    import torch

    found = hashlib.blake2b(digest_size=8)
    with torch._C.DisableTorchFunction(), torch.no_grad():
        for one in tensors:
            if one is None:
                found.update(b"none")
                continue
            one = getattr(one, "_local_tensor", one).detach()
            if one.is_sparse:
                one = one.coalesce()
                _add(found, one.indices())
                one = one.values()
            _add(found, one)
    return found.hexdigest()


def _add(found: Any, one: Any) -> None:
    import torch

    found.update(repr((tuple(one.shape), str(one.dtype))).encode())
    if one.layout != torch.strided:
        one = one.to_dense()
    if one.untyped_storage().nbytes() < one.numel() * one.element_size():
        found.update(b"freed")  # Weights that are gathered again when they are needed.
        return
    # A copy: what numpy has looked at can never be resized again, as sharded weights are.
    found.update(one.clone().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if one.numel() else b"")


def _random_states() -> str:
    import torch

    found = hashlib.blake2b(digest_size=8)
    found.update(repr(random.getstate()).encode())
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        kind, keys, *rest = numpy.get_state()
        found.update(repr((kind, keys.tobytes(), rest)).encode())
    found.update(torch.get_rng_state().numpy().tobytes())
    return found.hexdigest()


def _leaves(outputs: Any) -> list[Any]:
    """Tensors at the ends of a graph, in the order of a walk from its outputs."""
    found, seen, waiting = [], set(), [one.grad_fn for one in outputs if getattr(one, "grad_fn", None) is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        waiting += [below for below, _ in node.next_functions if below is not None]
    return found


def _backward(outputs: Any) -> dict[str, Any]:
    outputs = [one for one in outputs if hasattr(one, "detach")]
    loss = float(outputs[0].detach()) if len(outputs) == 1 and outputs[0].numel() == 1 else None
    return {"loss": loss, "outputs": _digest(outputs), "leaves": _digest(_leaves(outputs))}


def _stepped(optimizer: Any) -> dict[str, Any]:
    own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states = [optimizer.state.get(parameter, {}) for parameter in own]
    kept = [value for state in states for _, value in sorted(state.items()) if hasattr(value, "detach")]
    return {
        "weights": _digest(own),
        "gradients": _digest([parameter.grad for parameter in own]),
        "state": _digest(kept),
    }


def _install(torch: Any) -> None:
    autograd, original = torch.autograd, torch.autograd._engine_run_backward

    @functools.wraps(original)
    def run_backward(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():
            _record("backward", sys._getframe(1), lambda: _backward(outputs))
        return original(outputs, *args, **kwargs)

    autograd._engine_run_backward = run_backward
    atexit.register(_record, "end", None, dict)
    sys.modules["torch.optim.optimizer"].register_optimizer_step_post_hook(
        lambda optimizer, args, kwargs: _record("step", sys._getframe(1), lambda: _stepped(optimizer))
    )


class _WhenItComes:
    """In front of the finders of modules, until one is imported."""

    def __init__(self, name: str, then: Any) -> None:
        self.name, self.then = name, then

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            original = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                original(module)
                self.then(module)

            spec.loader.exec_module = exec_module
        return spec


if INTO:
    # Generators that a program does not seed begin somewhere else in each process.
    random.seed(0)
    sys.meta_path.insert(0, _WhenItComes("numpy.random", lambda module: module.seed(0)))
    sys.meta_path.insert(0, _WhenItComes("torch", _install))
