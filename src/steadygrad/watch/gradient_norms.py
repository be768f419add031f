"""The pulse: the L2 norm of each parameter's gradient, by one pass over them, into a ring that is read later.

Lives on the hot path of training: nothing here reads a device's number, allocates for each step, or knows what a norm
means. On a device it is one foreach pass; on the CPU each norm goes straight to its place, which saves stacking them, and
the ring is read through its own memory, which no operation of torch's takes part in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.clip.shards import local, values_here
from steadygrad.record.rows import ABSENT, Rows
from steadygrad.watch.distributed import Meshes, meshes_of

ROWS = 64
"""Steps that the ring holds. Larger reads later; at 64 the policy's fixed cost is under a hundredth of a read's."""


class Ring:
    """Norms of the last steps of one optimizer's parameters.

    ``beat`` reads the gradients of one step; ``unread`` gives what no one has read yet. Parameters without a gradient cost
    nothing but a look at ``.grad``.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.filled = 0
        self._marks: list[list[float]] = []
        """Of each row: step, seconds of ``perf_counter``, factor, learning rate. A list costs less to grow than four arrays."""
        self._clock = time.time() - time.perf_counter()
        self._active: list[Tensor] = []
        self._idle: list[Tensor] = self.parameters
        self._columns: np.ndarray[Any, Any] = np.zeros(0, np.int64)
        self._meshes: Meshes | None = None
        self._store = torch.zeros(ROWS, 0)
        self._here = True
        self._host: np.ndarray[Any, Any] = self._store.numpy()
        self._rows = list(self._store.unbind(0))
        self._views: list[Any] = []
        """The rows once more, as Python itself can read them: between two steps numpy's code leaves the caches, and taking
        sixteen numbers out with it then costs what reading a gradient does."""
        self._present = self._store
        self._cells: list[Tensor] = []
        """Where all gradients are plain and on the CPU: the row at hand, and the places in it. One row, not all of them: a
        place takes more memory than the number in it."""
        self._view = memoryview(b"")
        self._groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
        self._plain = True
        self._older: list[Rows] = []

    def beat(self, step: int, now: float, rate: float, scale: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """Norms of this step's gradients into the next row; gives the gradients and, until the next call, the row.

        ``now``: seconds of ``time.perf_counter``; ``scale``: the loss scale that the gradients still hold, and the row
        does not.
        """
        gradients = [p.grad for p in self._active]
        try:
            if self._idle and any(p.grad is not None for p in self._idle):
                raise TypeError("another parameter has a gradient now")
            row = self._written(gradients, scale)
        except (TypeError, RuntimeError):
            # A gradient is gone, is new, or is of another kind than before: looked for only when it happens.
            self._lay()
            gradients = [p.grad for p in self._active]
            row = self._written(gradients, scale)
        self._marks.append([step, now, 1.0, rate])
        self.filled += 1
        return gradients, row  # type: ignore[return-value]

    def _written(self, gradients: list[Any], scale: Tensor | None) -> Tensor:
        if self._cells:
            for gradient, cell in zip(gradients, self._cells, strict=True):
                torch.linalg.vector_norm(gradient, out=cell)
            if scale is not None:
                self._present.div_(scale.to(self._present.device))
            self._views[self.filled][:] = self._view
            return self._present
        row = self._rows[self.filled]
        if not gradients:
            return row
        if self._plain:
            torch.stack(torch._foreach_norm(gradients), out=row)
        else:
            self._write_mixed(gradients, row)
        if self._meshes is not None:
            self._meshes.add_up_(row)
        return row if scale is None else row.div_(scale.to(row.device))

    def widen(self, gradients: list[Tensor], scale: Tensor) -> bool:
        """The last row once more, where float32 does not hold the squares of gradients that a loss scale has made large."""
        if not (self._cells and bool(torch.isinf(self._present).any())):
            return False
        norms = torch.stack(torch._foreach_norm(gradients, 2, torch.float64))
        self._present.copy_(norms / scale.to(norms.device))
        self._views[self.filled - 1][:] = self._view
        return True

    def _write_mixed(self, gradients: list[Tensor], row: Tensor) -> None:
        """Several devices or dtypes, sparse gradients, shards of a mesh, halves (whose norms are taken in float32)."""
        tensors = [values_here(gradient) for gradient in gradients]
        for (_, dtype), columns in self._groups.items():
            of_kind = [tensors[column] for column in columns]
            wide = dtype in (torch.float16, torch.bfloat16)
            norms = torch._foreach_norm(of_kind, 2, torch.float32) if wide else torch._foreach_norm(of_kind)
            row[columns] = torch.stack(norms).to(row.device, row.dtype)

    def clipped(self, factor: float) -> None:
        """What the clip has multiplied the last row's gradients by."""
        self._marks[-1][2] = factor

    def take_back(self) -> None:
        """The last row never was."""
        self.filled -= 1
        del self._marks[-1]

    @property
    def full(self) -> bool:
        return self.filled == ROWS

    def latest(self) -> list[float] | None:
        """The last row's present columns; None where they can't be read without waiting for a device."""
        if not self._here:
            return None
        row: list[float] = self._views[self.filled - 1].tolist()
        return row

    @property
    def columns(self) -> np.ndarray[Any, Any]:
        """Which parameters the columns of ``latest`` are."""
        return self._columns

    def unread(self) -> Rows | None:
        """Rows since the last call, one column for each parameter; None where there are none."""
        blocks, self._older = [*self._older, *self._take()], []
        if not blocks:
            return None
        if len(blocks) == 1:
            return blocks[0]
        return Rows(
            *(
                np.concatenate([getattr(b, name) for b in blocks])
                for name in ("steps", "times", "norms", "factors", "rates")
            )
        )

    def _take(self) -> list[Rows]:
        count, self.filled = self.filled, 0
        if count == 0:
            return []
        steps, times, factors, rates = np.array(self._marks, np.float64).T
        self._marks = []
        norms = np.full((count, len(self.parameters)), ABSENT, np.float32)
        norms[:, self._columns] = self._host[:count] if self._here else self._store[:count].cpu().numpy()
        return [
            Rows(
                steps.astype(np.int64),
                times + self._clock,
                norms,
                factors.astype(np.float32),
                rates.astype(np.float32),
            )
        ]

    def _lay(self) -> None:
        """Columns for the parameters that have a gradient now; what was read so far is kept."""
        self._older += self._take()
        present = [p.grad is not None for p in self.parameters]
        self._active = [p for p, there in zip(self.parameters, present, strict=True) if there]
        self._idle = [p for p, there in zip(self.parameters, present, strict=True) if not there]
        self._columns = np.flatnonzero(np.array(present, bool))
        gradients: list[Tensor] = [p.grad for p in self._active]  # type: ignore[misc]
        self._meshes = meshes_of(gradients)
        tensors = [local(gradient) for gradient in gradients]
        self._groups = {}
        for column, tensor in enumerate(tensors):
            self._groups.setdefault((tensor.device, tensor.dtype), []).append(column)
        device = tensors[0].device if tensors else torch.device("cpu")
        self._plain = (
            self._meshes is None
            and len(self._groups) == 1
            and not any(tensor.is_sparse for tensor in tensors)
            and next(iter(self._groups))[1] in (torch.float32, torch.float64)
        )
        dtype = (
            torch.float64
            if any(kind in (torch.float64, torch.complex128) for _, kind in self._groups)
            else torch.float32
        )
        with torch.inference_mode(False):
            self._store = torch.full((ROWS, len(tensors)), ABSENT, device=device, dtype=dtype)
        self._here = device.type == "cpu"
        self._host = self._store.numpy() if self._here else np.zeros((0, 0), np.float32)
        self._rows = list(self._store.unbind(0))
        self._views = [row.data for row in self._host]
        self._cells = []
        if self._plain and self._here:
            with torch.inference_mode(False):
                self._present = torch.zeros(len(tensors), dtype=dtype)
            self._cells = list(self._present.unbind(0))
            self._view = self._present.numpy().data
