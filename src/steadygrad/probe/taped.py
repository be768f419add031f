"""The contents of a tape after a forward pass: drafts, which may change until the trace is written from them.

May rely on the record's locations and on the look at attention. Must not know how a call is seen, nor what is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from steadygrad.probe.attention import Look
from steadygrad.probe.calls import SCALINGS
from steadygrad.probe.layout import Layout
from steadygrad.probe.units import Inputs
from steadygrad.record import Location
from steadygrad.record.comparisons import DIFFERENCES, REGRESSION_LOSSES
from steadygrad.record.trace import TargetStatistics


@dataclass(slots=True)
class Taped:
    """One operation as it ran; the mutable draft of ``record.Operation``."""

    index: int
    name: str
    kind: str
    module: str
    module_type: str
    call: Location | None
    construction: Location | None
    contained: bool
    """Whether one of torch's own containers made the call, so that the construction is the user's expression."""
    shape: tuple[int, ...]
    dtype: torch.dtype
    node: Node | None
    passes_through: bool
    """Whether the gradient goes through it unweighed: sums, views, dropout."""
    sample: Tensor | None = None
    positions: Tensor | None = None
    """A few elements as (samples, positions, features), where the call has positions."""
    inputs: Inputs | None = None
    """Of an activation: what went in."""
    layout: Layout | None = None
    """Where the samples of the batch lie in the output."""
    function: Any = None
    options: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    weight: str = ""
    fan_in: int | None = None
    attention: Look | None = None
    parents: tuple[int, ...] = ()
    crossed: tuple[tuple[int, ...], ...] = ()
    """Shapes of two operands that broadcasting holds each against each."""
    target: TargetStatistics | None = None
    dropped: float | None = None
    """Of a dropout: the share of its input that it drops."""
    likelihood: float | None = None
    """Of log-probabilities: the sign of the gradient that the targets' entries get."""

    @property
    def location(self) -> Location | None:
        """The user's expression: the call, or the construction where torch's own container makes the call."""
        return (self.construction or self.call) if self.contained else (self.call or self.construction)


@dataclass(slots=True)
class Reuse:
    """One parameter's uses in order: the nodes, and the output of the last."""

    name: str
    parameter: Tensor
    nodes: list[Node] = field(default_factory=list)
    operations: list[int] = field(default_factory=list)
    last: Tensor | None = None


@dataclass(slots=True)
class SequenceCall:
    """One fused recurrent call (``torch.lstm`` and kin): what went in, what came out, who made it."""

    operation: int
    sequence: Tensor
    output: Tensor
    batch_first: bool
    directions: int


def sequence_calls(operation: int, name: str, args: Any, output: Any) -> list[SequenceCall]:
    """The fused recurrent call, where its steps can be distinguished; else nothing."""
    if name not in ("rnn_tanh", "rnn_relu", "lstm", "gru") or not isinstance(output, tuple):
        return []
    sequence = args[0]
    # The packed overloads take (data, batch_sizes, ...), where time is not a dimension of its own.
    if sequence.dim() != 3 or isinstance(args[3], (list, tuple)) or not sequence.requires_grad:
        return []
    return [SequenceCall(operation, sequence, output[0], bool(args[8]), 2 if args[7] else 1)]


def note_operands(taped: Taped, name: str, tensors: list[Tensor], args: Any, kwargs: Any) -> None:
    """The arguments of a call, as far as a record holds them."""
    taped.passes_through |= taped.kind == "arithmetic" and len(tensors) == 1 and name.strip("_") in SCALINGS
    taped.crossed = crossed(tensors)
    taped.target = target_of(name, tensors)
    taped.dropped = dropped(name, args, kwargs)


def crossed(tensors: list[Tensor]) -> tuple[tuple[int, ...], ...]:
    """The shapes of a column and a row of as many numbers, which together make a square; nothing for others."""
    shapes = tuple(tuple(tensor.shape) for tensor in tensors[:2])
    if len(shapes) == 2 and {len(shape) for shape in shapes} == {1, 2}:
        row, column = sorted(shapes, key=len)
        if column == (row[0], 1) and row[0] > 1:
            return shapes
    return ()


def dropped(name: str, args: Any, kwargs: Any) -> float | None:
    """The share that a call of one of torch's dropouts drops as it trains; None for other calls."""
    if not name.strip("_").endswith(("dropout", "dropout1d", "dropout2d", "dropout3d")):
        return None
    share = kwargs.get("p", args[1] if len(args) > 1 else None)
    return float(share) if isinstance(share, (int, float)) else None


def target_of(name: str, tensors: list[Tensor]) -> TargetStatistics | None:
    """Measure the target: of two operands of one size, where one has a path to weights, the other."""
    if (
        name.strip("_") not in REGRESSION_LOSSES | DIFFERENCES
        or len(tensors) < 2
        or tensors[0].numel() != tensors[1].numel()
    ):
        return None
    output, target = sorted(tensors[:2], key=lambda one: one.requires_grad, reverse=True)
    real = output.is_floating_point() and target.is_floating_point() and target.numel() > 1
    if not real or not output.requires_grad or target.requires_grad:
        return None
    with torch.no_grad():
        std, mean = torch.std_mean(target.detach().double())
        negative = float((target < 0).double().mean())
        return TargetStatistics(
            float(mean), float(std), negative, float(output.detach().double().square().mean().sqrt())
        )
