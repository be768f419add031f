"""The first operation that made an inf, a NaN or nothing but zeros out of good numbers, forward or backward.

Runs only after a plain probe has met a number that is not finite, or a gradient of exactly zero, because looking at every
element of every output costs a pass of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from steadygrad.copies.nested import tensors_in
from steadygrad.probe.graph import graph_of
from steadygrad.probe.tape import Tape
from steadygrad.probe.taped import Taped
from steadygrad.record import NonFinite

_MULTIPLYING = frozenset(
    {
        "exp",
        "exp2",
        "prod",
        "mul",
        "rmul",
        "pow",
        "square",
        "div",
        "truediv",
        "softmax",
        "sigmoid",
        "cumprod",
        "float_power",
    }
)
"""Operations without zeros for good numbers, unless the number format cannot hold the result."""


class _Lookout(TorchFunctionMode):
    """Looks at every output until one holds what no input held."""

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[int, str, str] | None = None
        self.emptied: tuple[int, str, str] | None = None
        self.tape: Tape | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.found is not None:
            return func(*args, **kwargs)
        inputs = [tensor.detach() for tensor in (*tensors_in(args), *tensors_in(kwargs)) if _real(tensor)]
        had_nan, had_inf = any(t.isnan().any() for t in inputs), any(t.isinf().any() for t in inputs)
        asked = any(isinstance(a, float) and a in (float("inf"), float("-inf")) for a in (*args, *kwargs.values()))
        output = func(*args, **kwargs)
        for tensor in tensors_in(output):
            if not inputs or not _real(tensor):
                continue
            value = tensor.detach()
            if value.isnan().any() and not had_nan:
                self._note(func, "nan")
            elif value.isinf().any() and not had_inf and not asked and not had_nan:
                self._note(func, "inf")
            elif (
                self.emptied is None
                and getattr(func, "__name__", "").strip("_") in _MULTIPLYING
                and tensor.grad_fn is not None
                and not value.any()
                and _overlap(inputs)
                and not any(isinstance(one, (int, float)) and one == 0 for one in args)
            ):
                self.emptied = (len(self.tape.operations) if self.tape is not None else 0, func.__name__, "zero")
        return output

    def _note(self, func: Any, value: str) -> None:
        if self.found is None and self.tape is not None:
            self.found = (len(self.tape.operations), getattr(func, "__name__", ""), value)


def first_nonfinite(
    model: nn.Module, run: Callable[[], Tensor], tape: Tape, describe: Callable[[Taped], int | None]
) -> NonFinite | None:
    """Run forward and backward once more and name the first culprit; None if everything is finite this time.

    ``run`` computes the loss; ``tape`` is a fresh tape; ``describe`` gives the record's index of a taped operation.
    """
    lookout = _Lookout()
    lookout.tape = tape
    with lookout, tape.recording(model):
        loss = run()
    # Zeros are only the culprit where nothing stopped being finite.
    if (seen := lookout.found or (lookout.emptied if bool(torch.isfinite(loss)) else None)) is not None:
        index, name, value = seen
        taped = next(
            (taped for taped in tape.operations[index : index + 1] if taped.name == (name.strip("_") or name)), None
        )
        return _named(taped, name, value, "forward", describe)
    if loss.grad_fn is None:
        return None
    with _backward_lookout(loss, tape) as caught, contextlib.suppress(StopIteration):
        loss.backward()  # type: ignore[no-untyped-call]
    if not caught:
        return None
    owner, name, value = caught[0]
    return _named(tape.operations[owner] if owner is not None else None, name, value, "backward", describe)


@contextlib.contextmanager
def _backward_lookout(loss: Tensor, tape: Tape) -> Iterator[list[tuple[int | None, str, str]]]:
    caught: list[tuple[int | None, str, str]] = []
    handles = []
    for node in graph_of(loss.grad_fn).nodes:  # type: ignore[arg-type]

        def look(made: tuple[Tensor, ...], arrived: tuple[Tensor, ...], node: Any = node) -> None:
            if caught or not all(_finite(gradient) for gradient in arrived):
                return
            bad = next((gradient for gradient in made if not _finite(gradient)), None)
            if bad is not None:
                caught.append((tape.owner_of(node), node.name(), "nan" if bad.isnan().any() else "inf"))

        handles.append(node.register_hook(look))
    try:
        yield caught
    finally:
        for handle in handles:
            handle.remove()


def _named(
    taped: Taped | None, name: str, value: str, direction: str, describe: Callable[[Taped], int | None]
) -> NonFinite:
    return NonFinite(
        value=value,
        direction=direction,
        operation=describe(taped) if taped is not None else None,
        name=taped.name if taped is not None else name,
        module=taped.module if taped is not None else "",
        location=taped.location if taped is not None else None,
    )


def _overlap(inputs: list[Tensor]) -> bool:
    """Return whether somewhere all have numbers that are not zero, so that their product is none but for the format."""
    try:
        whole = torch.broadcast_tensors(*inputs)  # type: ignore[no-untyped-call]
        return bool(torch.stack([one != 0 for one in whole]).all(0).any())
    except RuntimeError:
        return all(bool(one.any()) for one in inputs)


def _real(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _finite(gradient: Tensor | None) -> bool:
    return gradient is None or bool(
        torch.isfinite(gradient.coalesce().values() if gradient.is_sparse else gradient).all()
    )
