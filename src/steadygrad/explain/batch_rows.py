"""The samples of a batch that made a step's gradient large: the rows without which its norm is the usual one.

The backward pass is linear in the gradients that came back to the model's outputs (the cotangents): with those of some rows
set to zero it gives the gradient without these samples, from one graph that is kept. Where samples act on each other, or
where the loss is taken inside the model, ordinary rows of the same batch are put in their place in the inputs instead. Works
on a copy, with what a capture kept of the step; knows neither the loss nor the targets.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from time import perf_counter as clock
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import clone_batch, on_copy
from steadygrad.copies.unheard import unheard
from steadygrad.explain.capture import Given
from steadygrad.explain.replay import replay_objective, why_impossible, with_cotangents
from steadygrad.objective import loss_in
from steadygrad.probe.backward import log10_norm
from steadygrad.torch_internals.held import BatchNorm
from steadygrad.torch_internals.tensors import tree_leaves, tree_map
from steadygrad.watch import calls

USUAL = 3.0
"""Times the usual norm up to which a step counts as usual: of 26,000 healthy ones 1 in 1,000 had more than 2.4, none 3.5."""
FEW = 0.5
"""Share of the batch that the rows named may make up: more of them are the batch."""
ORDINARY = 0.25
"""Share of the batch that is put in the place of other rows: those whose inputs, outputs and cotangents are smallest."""
SAME = 1e-3
"""Share of the mean output by which others may change with a sample. Measured: 0 for samples, 0.02 to 0.3 for steps of time."""


@dataclass(frozen=True)
class RowsAtFault:
    """The fewest samples of a batch that explain its gradient."""

    rows: tuple[int, ...]
    """Places along the first dimension, ascending."""
    norm_without: float
    """Gradient norm of a batch of the others; NaN where what came back to them is not finite either."""
    of: int
    """Samples in the batch."""


def rows_at_fault(
    model: nn.Module, given: Given, usual: float, *, most: int = 8, seconds: float = 10.0
) -> RowsAtFault | None:
    """The rows of the batch without which the gradient of ``model`` has a norm of at most ``USUAL`` times ``usual``.

    None where it has that with them, where no ``most`` rows explain it, where the first dimension does not separate samples
    apart, and where it takes longer than ``seconds``. ``usual`` has the scale of the cotangents: those of a GradScaler are
    larger by its scale. Leaves no mark, and nothing raises but what interrupts the user's program.
    """
    try:
        if why_impossible(model, given) is not None or not 0 < usual < math.inf:
            return None
        with unheard(), calls.paused(), on_copy(model, None) as copied:
            return _Step(copied.model, given, clock() + seconds).explained(USUAL * usual, most)
    except Exception:  # a model may refuse a batch that is not the one it was given, with whatever it likes
        return None


class _Step:
    """The step at hand, on the copy of the model."""

    def __init__(self, model: nn.Module, given: Given, until: float) -> None:
        self._model, self._given, self._until = model, given, until
        self._output = replay_objective(given)(model, clone_batch((given.args, given.kwargs)))[1]
        leaves, back = tree_leaves(self._output), list(given.cotangents.values())
        own = loss_in(self._output)
        self._inside = any(one.numel() == 1 for one in back) or any(leaves[at] is own for at in given.cotangents)
        """Whether the loss is taken inside the model: cotangents then do not separate samples."""
        self._mixed = any(isinstance(m, BatchNorm) and (m.training or m.running_mean is None) for m in model.modules())
        """Whether samples act on each other by batch norm."""
        known = [one for one in given.tensors() if one.dim()][:1] if self._inside else back
        (self._of,) = {len(one) for one in known}
        self._in, self._out, self._back = (self._by_row(one) for one in (given.tensors(), leaves, back))
        sizes = [_row_norms(one) for one in (*self._in, *self._out, *self._back) if one.is_floating_point()]
        above = torch.stack([size / (size.median() + 1e-300) for size in sizes]).nan_to_num(nan=math.inf)
        self._order: list[int] = above.amax(0).argsort().tolist()
        """Rows, the most ordinary ones first: rows at fault come to lie in the same halves."""

    def explained(self, enough: float, most: int) -> RowsAtFault | None:
        """The fewest rows without which the norm is at most ``enough``."""
        most = min(most, int(FEW * self._of))
        broken = _broken(self._in) or _broken(self._out) | _broken(self._back)
        if not self._in or len(broken) > most:
            return None
        others = [row for row in self._order if row not in broken]
        if broken and any(row in _broken(self._back) for row in others):
            _, output = self._replaced(others, broken)
            finite = not _broken(self._by_row(tree_leaves(output)))
            return RowsAtFault(tuple(sorted(broken)), math.nan, self._of) if finite else None
        for inputs in (True,) if self._inside or broken else (True, False) if self._mixed else (False,):
            found = self._search(inputs, broken, enough, most)
            if found is not None:
                return found if found.rows and self._apart(found.rows) else None
        return None

    def _search(self, inputs: bool, broken: Collection[int], enough: float, most: int) -> RowsAtFault | None:
        """Halve the group with the largest gradient until it is one row, name that, and look whether it was the last.

        ``inputs``: other rows are put in the place of those left out; or else what came back to these is set to zero.
        """
        norm = self._by_inputs if inputs else self._by_cotangents
        named, weakest = set(broken), math.inf
        groups = [(-math.inf, tuple(row for row in self._order if row not in named))]
        while True:
            kept = [row for row in self._order if row not in named]
            without = norm(kept, named) * (1.0 if inputs else self._of / len(kept))
            if without <= enough:
                # Where the batch as a whole is at fault, none of its rows has a gradient larger than all of the others.
                few = not named or weakest > (enough if inputs else without)
                return RowsAtFault(tuple(sorted(named)), without, self._of) if few else None
            if len(named) == most or weakest <= enough / USUAL:
                return None
            size, rows = heappop(groups)
            while len(rows) > 1:
                for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                    heappush(groups, (-norm(half, named), half))
                size, rows = heappop(groups)
            named.update(rows)
            weakest = min(weakest, -size)

    def _by_cotangents(self, kept: Collection[int], named: Collection[int]) -> float:
        return self._norm(with_cotangents(self._output, self._only(kept)))

    def _by_inputs(self, kept: Collection[int], named: Collection[int]) -> float:
        return self._norm(self._replaced(kept, named)[0])

    def _norm(self, total: Tensor) -> float:
        """Gradient norm, infinite where it is not finite."""
        if clock() > self._until:
            raise TimeoutError
        # Not autograd.grad: checkpoints of the reentrant kind refuse it.
        held = list(self._model.parameters())
        for one in held:
            one.grad = None
        total.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        log10 = log10_norm([one.grad for one in held])
        return math.inf if math.isnan(log10) else 10.0**log10

    def _only(self, kept: Collection[int]) -> dict[int, Tensor]:
        """The cotangents, zero for the rows that are not kept."""
        others = sorted(set(range(self._of)).difference(kept))
        only = {at: one.clone() for at, one in self._given.cotangents.items()}
        for one in only.values():
            one[others] = 0
        return only

    def _replaced(self, kept: Collection[int], named: Collection[int]) -> tuple[Tensor, Any]:
        """The step with ordinary rows, none of those named, in the place of the rows that are not kept, cotangents too."""
        spare = [row for row in self._order if row not in named][: max(1, int(ORDINARY * self._of))]
        source = [spare[row % len(spare)] for row in range(self._of)]
        for row in kept:
            source[row] = row
        given = self._given
        args, kwargs, cotangents = tree_map(
            lambda leaf: leaf[source] if self._by_row([leaf]) else leaf,
            clone_batch((given.args, given.kwargs, given.cotangents)),
        )
        total, output = replay_objective(replace(given, cotangents=cotangents))(self._model, (args, kwargs))
        return total, output

    def _apart(self, rows: Sequence[int]) -> bool:
        """Return whether samples lie along the first dimension: another one in some places changes nothing in the others.

        Unknown where batch norm mixes them, nor where the loss is all that comes out.
        """
        if self._inside or self._mixed:
            return True
        changed = {0, *rows} if self._of > 2 else set(rows)
        kept = [row for row in range(self._of) if row not in changed]
        after = self._by_row(tree_leaves(self._replaced(kept, changed)[1]))
        return all(
            float((a[kept] - b[kept]).abs().sum()) <= SAME * float(a[kept].abs().sum())
            for a, b in zip(self._out, after, strict=True)
            if a.is_floating_point()
        )

    def _by_row(self, leaves: Sequence[Any]) -> list[Tensor]:
        return [one.detach() for one in leaves if isinstance(one, Tensor) and one.dim() and len(one) == self._of]


def _row_norms(tensor: Tensor) -> Tensor:
    """(rows,)"""
    norms: Tensor = torch.linalg.vector_norm(tensor.reshape(len(tensor), -1).to("cpu", torch.float64), dim=1)
    return norms


def _broken(tensors: Sequence[Tensor]) -> set[int]:
    """Rows that are not finite in one of these."""
    norms = [_row_norms(one) for one in tensors if one.is_floating_point()]
    return {row for one in norms for row in torch.nonzero(~one.isfinite()).flatten().tolist()}
