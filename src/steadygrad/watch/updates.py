"""The effect of one step on the weights: exact, by a bounded copy of them, or on a few elements of each, which costs little.

Nothing here waits for a device before it is asked for numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steadygrad.clip.shards import local
from steadygrad.record.rows import Estimates, Updates
from steadygrad.torch_internals.tensors import foreach_norm
from steadygrad.watch.elements import ELEMENTS, Elements

HALVES = (torch.bfloat16, torch.float16)
"""Formats in which a step may be smaller than the distance to the next number."""

MOST_BYTES = 256 * 2**20
"""Of weights that are cloned for one sample; larger models are sampled in turns."""


ROWS = 256
"""Steps whose estimates are kept until they are taken: twice what a ring of norms holds, so that rows are judged before a step
is taken, while what the model was given is at hand."""


@dataclass
class Sample:
    """Weights of some parameters, as they were before a step."""

    step: int
    rate: float
    columns: list[int]
    """Places of the parameters in the rows."""
    now: list[Tensor]
    """The weights themselves."""
    kept: list[Tensor]
    count: int
    """The number of parameters."""
    pushed: dict[int, Tensor] = field(default_factory=dict)
    """By place among the kept: which elements of a 16-bit weight have a gradient."""
    _norms: tuple[Tensor, Tensor] | None = field(default=None, repr=False)
    _still: dict[int, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, parameters: Sequence[Tensor], step: int, rate: float, start: int = 0) -> Sample:
        """Clone what fits of the parameters, which are in depth order, beginning with parameter ``start``."""
        columns: list[int] = []
        left = MOST_BYTES
        for offset in range(len(parameters)):
            at = (start + offset) % len(parameters)
            tensor = local(parameters[at].detach())
            size = tensor.numel() * tensor.element_size()
            if size > left and columns:
                break
            left -= size
            columns.append(at)
        now = [local(parameters[at].detach()) for at in columns]
        halves = {at: parameters[column] for at, column in enumerate(columns) if now[at].dtype in HALVES}
        pushed = {at: local(p.grad.detach()) != 0 for at, p in halves.items() if p.grad is not None}
        return cls(step, rate, columns, now, [tensor.clone() for tensor in now], len(parameters), pushed)

    def finish(self) -> None:
        """Take the norms of the weights before the step and of their change. Stays on the device."""
        if self.kept:
            before = _stacked(self.kept)
            for kept, now in zip(self.kept, self.now, strict=True):
                kept.sub_(now)
            self._norms = before, _stacked(self.kept)
            for at, pushed in self.pushed.items():
                self._still[at] = (pushed & (self.kept[at] == 0)).sum() / pushed.sum()
        self.kept, self.now, self.pushed = [], [], {}

    @property
    def on_host(self) -> bool:
        return self._norms is None or self._norms[0].device.type == "cpu"

    def read(self) -> Updates:
        """Norms of the weights before the step, and update ÷ weight. Waits for the device."""
        weights, ratios = np.full(self.count, np.nan), np.full(self.count, np.nan)
        if self._norms is not None:
            before, moved = (to_host(one) for one in self._norms)
            weights[self.columns] = before
            ratios[self.columns] = _ratio(moved, before)
        still = {self.columns[at]: float(share) for at, share in self._still.items()}
        return Updates(self.step, weights, ratios, True, self.rate, still)


class Monitor:
    """Updates of all weight matrices, estimated on ``ELEMENTS`` elements of each.

    One copy of the elements a step; their changes are taken for several steps at once. Works on dense float weights of one
    device and dtype; of others it sees nothing.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """``parameters`` in depth order."""
        self.count = len(parameters)
        held = [(at, p) for at, p in enumerate(parameters) if p.dim() >= 2 and type(p.data) is Tensor]
        held = [(at, p) for at, p in held if p.is_floating_point() and p.numel() >= ELEMENTS and p.is_contiguous()]
        kinds = {(p.device, p.dtype) for _, p in held}
        if len(kinds) > 1:
            most = max(kinds, key=lambda kind: sum((p.device, p.dtype) == kind for _, p in held))
            held = [(at, p) for at, p in held if (p.device, p.dtype) == most]
        self.columns = [at for at, _ in held]
        self._parameters = [p for _, p in held]
        self._scale = np.array([(p.numel() / ELEMENTS) ** 0.5 for _, p in held])
        self._marks: list[tuple[int, float]] = []
        self.known = False
        """Whether the elements are known as they were before the coming step."""
        self.norms: list[float] = []
        """Of the elements, when they were last taken; empty where that would wait for a device."""
        self._places: list[int] = []
        self._elements = Elements([])
        self._late = 0
        """Steps whose elements are kept, and whose change is not taken yet."""
        self._on_host = True
        self._store = self._before = torch.zeros(0)
        self._lay()

    def before(self) -> None:
        """Keep the elements as they are before a step, where they are not known from the step before it."""
        if self.known or not self._parameters:
            return
        self._distill()
        if self._moved_away():
            if self._marks:
                return  # Until they are taken.
            self._lay()
        self._elements.copy_to(0)
        self.known = True
        if not self._marks:
            self._weigh()

    def after(self, step: int, rate: float, *, at_once: bool) -> list[float] | None:
        """Take the elements after a step whose elements are known from before it.

        Gives the greatest norm of each change since it last gave any, where that needs no waiting; every ``LATE`` steps at
        most, or ``at_once``.
        """
        if not self.known or len(self._marks) == ROWS:
            return None
        if self._moved_away():
            self.known = False
            return None
        self._late += 1
        self._elements.copy_to(self._late)
        self._marks.append((step, rate))
        return self._distill() if at_once or self._late == self._elements.late else None

    @property
    def full(self) -> bool:
        return len(self._marks) == ROWS

    def forget(self) -> None:
        """Forget what was kept of this step: we changed the weights meanwhile."""
        self.known = False

    def take(self) -> Estimates | None:
        """Return the measurements since the last call, for every parameter. Waits for the device."""
        self._distill()
        count = len(self._marks)
        if count == 0:
            return None
        steps, rates = zip(*self._marks, strict=True)
        self._marks = []
        weights, ratios = np.full(self.count, np.nan), np.full((count, self.count), np.nan)
        before, moved = to_host(self._before).astype(np.float64), to_host(self._store[:count]).astype(np.float64)
        weights[self.columns] = before * self._scale
        ratios[:, self.columns] = _ratio(moved, before)
        if self._moved_away():
            self._lay()
        else:
            self._weigh()
        return Estimates(np.array(steps, np.int64), np.array(rates, np.float64), weights, ratios)

    def _moved_away(self) -> bool:
        """Return whether a weight lies elsewhere in memory than it did."""
        return list(map(Tensor.data_ptr, self._parameters)) != self._places

    def _distill(self) -> list[float] | None:
        """Move the norms of the changes that are not taken yet into the store; keep the greatest of each weight."""
        late, self._late = self._late, 0
        if late == 0:
            return None
        end = len(self._marks)
        moved = self._store[end - late : end]
        self._elements.changes(late, out=moved)
        found: list[float] | None = moved.amax(dim=0).tolist() if self._on_host else None
        return found

    def _weigh(self) -> None:
        """Norms of the elements as they are now; what comes is compared with them."""
        self._before = self._elements.norms()
        self.norms = self._before.tolist() if self._on_host else []

    def _lay(self) -> None:
        self.known = False
        self._late = 0
        self._places = list(map(Tensor.data_ptr, self._parameters))
        self._elements = elements = Elements([p.detach().reshape(-1) for p in self._parameters])
        self._on_host = elements.device.type == "cpu"
        with torch.inference_mode(False):
            count = len(self._parameters)
            self._store = torch.zeros(ROWS, count, device=elements.device, dtype=elements.wide)
            self._before = torch.zeros(count, device=elements.device, dtype=elements.wide)


def norms_of(tensors: Sequence[Tensor]) -> np.ndarray[Any, Any]:
    """L2 norm of each, on the host. Waits for the device."""
    return to_host(_stacked([tensor.detach() for tensor in tensors]))


def to_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    """View a tensor as an array; on the CPU the very memory, without an operation of torch's."""
    tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    found: np.ndarray[Any, Any] = (tensor if tensor.device.type == "cpu" else tensor.cpu()).numpy()
    return found


def _ratio(moved: np.ndarray[Any, Any], before: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(before > 0, moved / before, np.nan)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Return the number format in which squares are summed: those of one weight of 1e30 do not fit into float32."""
    return torch.complex128 if dtype.is_complex else torch.float64


_PLAIN = ((Tensor, torch.float32), (Tensor, torch.float64))
"""Kinds of tensors whose norms torch takes at once."""


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    with torch.no_grad():
        kinds = {(type(t), t.device, t.dtype) for t in tensors}
        if len(kinds) == 1 and next(iter(kinds))[::2] in _PLAIN:
            stacked = torch.stack(foreach_norm(list(tensors))).double()
        else:
            wide = [torch.promote_types(t.dtype, torch.float32) for t in tensors]
            norms = [torch.linalg.vector_norm(local(t), dtype=kind) for t, kind in zip(tensors, wide, strict=True)]
            stacked = torch.stack([norm.to(norms[0].device, torch.float64) for norm in norms])
        if stacked.device.type == "cpu" and bool(torch.isinf(stacked).any()):
            # The squares of a weight of 1e30 do not fit into float32.
            stacked = torch.stack([torch.linalg.vector_norm(local(t), dtype=_wide(t.dtype)) for t in tensors])
        return stacked
