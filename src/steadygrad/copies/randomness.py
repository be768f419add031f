"""Random states as they were found: of Python, numpy and torch, on every device.

There is one generator for all threads. So where several threads work at once, the first to come keeps the states, and the
last to leave puts them back. Knows generators; runs nothing.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident

import torch

_turn = threading.Lock()
"""Held while somebody comes or leaves."""

_inside: set[int] = set()
"""Threads that are in an outermost block."""

_put_back: list[Callable[[], None]] = []
"""The way to restore what the first of them found."""


def seed_torch(seed: int) -> None:
    """Seed torch's generators that are in use.

    ``torch.manual_seed`` also asks devices that nobody has used yet to be seeded once they are, which would outlast us, and
    formats a stack for each of them, which takes as long as a small net's step.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


@contextmanager
def same_randomness() -> Iterator[None]:
    """Every generator a model may draw from is left as it was found."""
    thread = get_ident()
    if thread in _inside:
        put_back = found_randomness()
        try:
            yield
        finally:
            put_back()
        return
    with _turn:
        if not _inside:
            _put_back.append(found_randomness())
        _inside.add(thread)
    try:
        yield
    finally:
        with _turn:
            _inside.remove(thread)
            if not _inside:
                _put_back.pop()()


def found_randomness() -> Callable[[], None]:
    """A function that sets every generator to its state of now."""
    numpy = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy is not None else None
    python_state = random.getstate()
    cpu_state = torch.get_rng_state()
    accelerators = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]

    def put_back() -> None:
        torch.set_rng_state(cpu_state)
        if accelerators is not None:
            torch.cuda.set_rng_state_all(accelerators)
        random.setstate(python_state)
        if numpy is not None and numpy_state is not None:
            numpy.random.set_state(numpy_state)

    return put_back
