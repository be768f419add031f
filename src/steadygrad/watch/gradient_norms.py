"""The L2 norm of each parameter's gradient, by one pass over them, into a ring that is read later.

Lives on the hot path of training: nothing here waits for a device, allocates for each step, or knows what a norm means. On
the CPU the ring is read through its own memory, which no operation of torch takes part in. A row is open from the first read
of a step until ``commit``: a read replaces what an earlier read of the same step found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.clip.shards import local, values_here
from steadygrad.record.rows import ABSENT, Rows, joined
from steadygrad.torch_internals.tensors import foreach_norm
from steadygrad.watch.distributed import Meshes, meshes_of

ROWS = 128
"""Steps that the ring holds. A judgement takes 0.6 to 1 ms however few its rows: at 128 that is under 8 microseconds a step."""
FEW = 32
"""Norms on the CPU that are kept as a list until they are taken; of more a copy takes less room than a list of numbers."""

_vector_norm = torch.linalg.vector_norm


class Ring:
    """Norms of the last steps of one optimizer's parameters.

    ``parameters`` are in the optimizer's own order, which is mostly the order in which a clip gets them; ``columns[i]`` is the
    place of the i-th in the rows that ``unread`` gives. Parameters without a gradient cost nothing but a look at ``.grad``.
    """

    def __init__(self, parameters: Sequence[Tensor], columns: Sequence[int]) -> None:
        self.parameters = list(parameters)
        self._places = np.array(columns, np.int64)
        self.filled = 0
        self.room = ROWS
        """Rows after which there is room for no more: those with other columns, which wait to be taken too, are counted."""
        self._marks: list[tuple[int, float, Any, float, Any, list[float] | None]] = []
        """Of each row: step, seconds of ``perf_counter``, factor, learning rate, loss, and its norms where they are few. A list
        costs less to grow than arrays."""
        self._at = 0
        """Where the row at hand lies, the open one or the one that was committed last."""
        self._clock = time.time() - time.perf_counter()
        self.active: list[Tensor] = []
        """The parameters that have a gradient, in the order of the open row."""
        self._idle: list[Tensor] = self.parameters
        self.columns: np.ndarray[Any, np.dtype[np.int64]] = np.zeros(0, np.int64)
        """The columns of the numbers of an open row."""
        self._meshes: Meshes | None = None
        self._store = torch.zeros(ROWS, 0)
        self.on_host = True
        self._host: np.ndarray[Any, Any] = self._store.numpy()
        self._rows = list(self._store.unbind(0))
        self._views: list[Any] = [row.data for row in self._host]
        """The rows once more, as Python itself can read them: between two steps numpy's code leaves the caches."""
        self._present = self._store
        self._cells: list[Tensor] = []
        """Where all gradients are plain and on the CPU: the row at hand, and the places in it."""
        self._view = memoryview(b"")
        self._groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
        self.plain = True
        """Whether all gradients are dense float32 or float64 tensors of one kind and device, which torch sums as a row does."""
        self._few = False
        self._older: list[Rows] = []

    def read(self, scale: Tensor | None = None) -> list[Tensor]:
        """Norms of the gradients that there are now into the open row; gives the gradients.

        ``scale``: the loss scale that the gradients still hold, and the row does not.
        """
        gradients: list[Any] = [p.grad for p in self.active]
        try:
            if self._idle and any(p.grad is not None for p in self._idle):
                raise TypeError("another parameter has a gradient now")
            self._write(gradients, scale)
        except (TypeError, RuntimeError):
            # A gradient is gone, is new, or is of another kind than before: looked for only when it happens.
            self._lay()
            gradients = [p.grad for p in self.active]
            self._write(gradients, scale)
        return gradients

    @property
    def row(self) -> Tensor:
        """The row at hand, a number for each of ``active``: the open one, or the one committed last while none is read."""
        return self._present if self._cells else self._rows[self._at]

    def host(self) -> list[float] | None:
        """The row at hand as numbers; None where they can't be read without waiting for a device."""
        if self._cells:
            found: list[Any] = self._view.tolist()
            return found
        return self._views[self._at].tolist() if self.on_host else None

    def measure(self) -> Tensor:
        """Norms of the gradients as they are now, beside the open row. Same shape and scale as ``row``."""
        kept = self.row.clone()
        self._write([p.grad for p in self.active], None)
        now = self.row.clone()
        self.row.copy_(kept)
        return now

    def raise_to(self, now: Tensor) -> None:
        """Raise the open row to the greater of itself and ``now``; NaN in either stays NaN."""
        row = self.row
        torch.maximum(row, now, out=row)

    def widen(self, gradients: Sequence[Tensor], scale: Tensor | None) -> list[float] | None:
        """The norms of the row that was committed last once more, in float64: float32 does not hold every sum of squares."""
        if not self._cells:
            return None
        norms = torch.stack(foreach_norm(list(gradients), 2, torch.float64))
        self.row.copy_(norms if scale is None else norms / scale.to(norms.device))
        found: list[Any] = self._view.tolist()
        if self._few:
            self._marks[-1] = (*self._marks[-1][:-1], found)
        else:
            self._views[self._at][:] = self._view
        return found

    def latest(self) -> list[float]:
        """The row that was committed last. Waits for its device."""
        found: list[float] = self._rows[self._at].tolist()
        return found

    def commit(self, step: int, now: float, rate: float, loss: Any, factor: Any, norms: list[float] | None) -> None:
        """Close the open row. ``loss`` and ``factor``: numbers, or functions that give them when the row is read.

        ``norms``: what ``host`` gives.
        """
        at, self._at = self._at, self.filled
        if self._cells and not self._few:
            self._views[self.filled][:] = self._view
        elif not self._cells and at != self.filled:
            # Rows were taken since it was read.
            self._rows[self.filled].copy_(self._rows[at])
        self._marks.append((step, now, factor, rate, loss, norms if self._few else None))
        self.filled += 1

    def clipped(self, factor: float) -> None:
        """Note that a clip has multiplied the gradients of the row committed last by this."""
        step, now, before, rate, loss, numbers = self._marks[-1]
        self._marks[-1] = (step, now, before * factor, rate, loss, numbers)

    def take_back(self) -> None:
        """Drop the row that was committed last: its step was not taken."""
        self.filled -= 1
        del self._marks[-1]

    def unread(self) -> Rows | None:
        """Rows committed since the last call, one column for each parameter; None where there are none."""
        blocks, self._older, self.room = [*self._older, *self._take()], [], ROWS
        return joined(blocks) if blocks else None

    def _write(self, gradients: list[Any], scale: Tensor | None) -> None:
        if self._cells:
            for gradient, cell in zip(gradients, self._cells, strict=True):
                _vector_norm(gradient, out=cell)
            if scale is not None:
                self._present.div_(scale.to(self._present.device))
            return
        self._at = self.filled
        row = self._rows[self._at]
        if not gradients:
            return
        if self.plain:
            torch.stack(foreach_norm(gradients), out=row)
        else:
            self._write_mixed(gradients, row)
        if self._meshes is not None:
            self._meshes.add_up_(row)
        if scale is not None:
            row.div_(scale.to(row.device))

    def _write_mixed(self, gradients: list[Tensor], row: Tensor) -> None:
        """Several devices or dtypes, sparse gradients, shards of a mesh, halves (whose norms are taken in float32)."""
        tensors = [values_here(gradient) for gradient in gradients]
        for (_, dtype), columns in self._groups.items():
            of_kind = [tensors[column] for column in columns]
            wide = dtype in (torch.float16, torch.bfloat16)
            norms = foreach_norm(of_kind, 2, torch.float32) if wide else foreach_norm(of_kind)
            row[columns] = torch.stack(norms).to(row.device, row.dtype)

    def _take(self) -> list[Rows]:
        count, self.filled = self.filled, 0
        if count == 0:
            return []
        marks, self._marks = self._marks, []
        steps, times, factors, rates, losses, numbers = zip(*marks, strict=True)
        norms = np.full((count, len(self.parameters)), ABSENT, np.float32)
        if self._few:
            norms[:, self.columns] = np.array(numbers)
        else:
            norms[:, self.columns] = self._host[:count] if self.on_host else self._store[:count].cpu().numpy()
        return [
            Rows(
                np.array(steps, np.int64),
                np.array(times) + self._clock,
                norms,
                _numbers(factors).astype(np.float32),
                np.array(rates, np.float32),
                _numbers(losses),
            )
        ]

    def _lay(self) -> None:
        """Columns for the parameters that have a gradient now; what was committed so far is kept."""
        self._older += self._take()
        self.room = ROWS - sum(map(len, self._older))
        present = [p.grad is not None for p in self.parameters]
        self.active = [p for p, there in zip(self.parameters, present, strict=True) if there]
        self._idle = [p for p, there in zip(self.parameters, present, strict=True) if not there]
        self.columns = self._places[np.flatnonzero(np.array(present, bool))]
        gradients: list[Tensor] = [p.grad for p in self.active]  # type: ignore[misc]
        self._meshes = meshes_of(gradients)
        tensors = [local(gradient) for gradient in gradients]
        self._groups = {}
        for column, tensor in enumerate(tensors):
            self._groups.setdefault((tensor.device, tensor.dtype), []).append(column)
        device = tensors[0].device if tensors else torch.device("cpu")
        self.plain = (
            self._meshes is None
            and len(self._groups) == 1
            and not any(tensor.is_sparse for tensor in tensors)
            and next(iter(self._groups))[1] in (torch.float32, torch.float64)
        )
        wide = any(kind in (torch.float64, torch.complex128) for _, kind in self._groups)
        dtype = torch.float64 if wide else torch.float32
        with torch.inference_mode(False):
            self._store = torch.full((ROWS, len(tensors)), ABSENT, device=device, dtype=dtype)
        self.on_host = device.type == "cpu"
        self._host = self._store.numpy() if self.on_host else np.zeros((0, 0), np.float32)
        self._rows = list(self._store.unbind(0))
        self._views = [row.data for row in self._host]
        self._cells, self._few, self._at = [], False, 0
        if self.plain and self.on_host:
            with torch.inference_mode(False):
                self._present = torch.zeros(len(tensors), dtype=dtype)
            self._cells = list(self._present.unbind(0))
            self._view = self._present.numpy().data
            self._few = len(tensors) <= FEW


def taken(row: Tensor, places: Sequence[int]) -> Tensor | None:
    """These numbers of a row, in this order; None where one is not in it (below 0), or asked for twice."""
    known = min(places) >= 0 and len(set(places)) == len(places)
    return row[torch.tensor(places)] if known else None


def _numbers(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers, and what functions that were put off until now give."""
    return np.array([value() if callable(value) else value for value in values], np.float64)
