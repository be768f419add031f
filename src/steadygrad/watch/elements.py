"""A few elements of each weight as they were after the last steps, copied in one go and compared later, several steps at once.

On the CPU they are copied as bytes by Python itself: torch's and numpy's code leaves the caches between two steps, and a
concatenation there takes three times as long. Nothing here waits for a device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

ELEMENTS = 256
"""Elements of each weight by which its update is estimated. On 36 layers of a perceptron, a convolutional net and a transformer,
120 steps under AdamW and SGD, the estimate of update ÷ weight was within 0.8 to 1.25 times the exact one on 78 of 100 steps, and
within 0.5 to 2 times on 98 of 100."""
LATE = 32
"""Steps whose elements are kept before they are compared, at most: the three operations of a comparison cost as much for one."""
LATE_BYTES = 2**20
"""And bytes: more would push what a step needs out of the caches."""


class Elements:
    """Rows of elements: row 0 as they were before the first of the steps, and one for each step up to ``late``."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        """``weights``: flat, dense, of one device and dtype, and alive in this memory whenever ``copy_to`` is called."""
        self._views = [_middle(one) for one in weights]
        self.device = self._views[0].device if self._views else torch.device("cpu")
        dtype = self._views[0].dtype if self._views else torch.float32
        self.wide = torch.promote_types(dtype, torch.float32)
        width = ELEMENTS * len(self._views)
        self.late = max(1, min(LATE, LATE_BYTES // max(1, width * dtype.itemsize)))
        with torch.inference_mode(False):
            self._rows = torch.zeros(self.late + 1, width, device=self.device, dtype=dtype)
        self._each = list(self._rows.unbind(0))
        self._sources: list[memoryview] = []
        self._bytes: list[memoryview] = []
        if self.device.type == "cpu" and self._views:
            # Not by Tensor.numpy(), which forbids the program to resize its own weights from then on.
            self._sources = [np.from_dlpack(one.view(torch.uint8)).data for one in self._views]
            self._bytes = [row.view(torch.uint8).numpy().data for row in self._each]

    def copy_to(self, row: int) -> None:
        """The elements as they are now."""
        if self._bytes:
            self._bytes[row][:] = b"".join(self._sources)
        else:
            torch.cat(self._views, out=self._each[row])

    def changes(self, late: int, out: Tensor) -> None:
        """Norms of the changes from row to row, ``(late, weights)``; the last row is row 0 from now on."""
        changes = (self._rows[1 : late + 1] - self._rows[:late]).view(late, -1, ELEMENTS)
        torch.linalg.vector_norm(changes, dim=2, dtype=out.dtype, out=out)
        self._each[0].copy_(self._each[late])

    def norms(self) -> Tensor:
        """The norm of row 0, for each weight."""
        found: Tensor = torch.linalg.vector_norm(self._each[0].view(-1, ELEMENTS), dim=1, dtype=self.wide)
        return found


def _middle(flat: Tensor) -> Tensor:
    """Neighbours in memory: elements that lie apart would each take a line of the cache."""
    begin = (flat.numel() - ELEMENTS) // 2
    return flat[begin : begin + ELEMENTS]
