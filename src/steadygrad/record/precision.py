"""The record of a verdict at another precision: what a number format does to each operation, and which stay higher.

Standard library only. A *share* is of elements, in [0, 1]; an *error* is ‖rounded − exact‖ ÷ ‖exact‖; *decades* are log10 of
the gradient's norm behind an operation in the rounded net ÷ that in the net as it is (negative = lost).
"""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.record.finding import Severity
from steadygrad.record.span import Location

PRECISIONS = {
    "bf16": "bfloat16, not scaled",
    "fp16": "float16, not scaled",
    "fp8": "float8: e4m3, gradients e5m2, scaled per tensor",
    "mxfp8": "e4m3 in blocks of 32 with a power of two each",
    "nvfp4": "e2m1 in blocks of 16 with an e4m3 scale each",
}
"""The formats that operands are rounded to, in words."""

HIGHER = {"bf16": "float32", "fp16": "float32", "fp8": "bf16", "mxfp8": "bf16", "nvfp4": "bf16"}
"""The precision of the operations that stay higher."""


@dataclass(frozen=True, slots=True)
class OperandRounding:
    """The effect of the format on one operand of an operation, over all of its calls in one pass."""

    flushed: float
    """Share that becomes zero, of the elements that are not."""
    saturated: float
    """Share that is beyond the greatest number, of the same: it becomes that, in float16 and bfloat16 infinite."""
    error: float
    """NaN where the operand is zero, not finite, or was not seen."""


@dataclass(frozen=True, slots=True)
class OperationRounding:
    """One operation of the user's source, as one module runs it: all of its calls."""

    name: str
    """torch's own name: "linear", "matmul"."""
    module: str
    """Path of the innermost module that runs it ("" = the model itself)."""
    location: Location | None
    weight: str
    """The parameter among its operands ("" = none)."""
    calls: int
    """In one pass."""
    first: OperandRounding
    """The input; of two operands without a weight the first."""
    second: OperandRounding
    """The weight; of two operands without a weight the second."""
    gradient: OperandRounding
    """The gradient that arrives at the output."""
    harm: float
    """Error of the gradient of all weights where this operation alone is rounded."""
    weight_error: float
    """Error of the gradient of its own weight where all operations are rounded; NaN without one."""
    weight_cosine: float
    """Cosine between that gradient and the exact one; NaN without a weight."""
    decades: float
    """Of the gradient that arrives at its output where all operations are rounded."""
    kept: bool
    """Whether it must stay higher."""

    @property
    def label(self) -> str:
        """What the report calls it: "blocks.0.fc", by its weight, or "blocks.0 matmul"."""
        return self.weight.removesuffix(".weight") if self.weight else f"{self.module or 'model'} {self.name}"


@dataclass(frozen=True, slots=True)
class UpdateRounding:
    """The fate of the first update where one weight is stored in the format itself, without a float32 copy."""

    weight: str
    swallowed: float
    """Share of the elements that the optimizer moves and that round back to what they were."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Steps of the real optimizer on a copy of the net, rounded in one way."""

    what: str
    """The way, in words: "all operations in fp8"."""
    losses: tuple[float, ...]
    """Before each step of the first training."""
    behind: float
    """Part of the reference's fall that is missing at the end, the mean of one to five trainings; negative: it fell further."""


@dataclass(frozen=True, slots=True)
class PrecisionFinding:
    """One thing that the format does not bear: where, how it is seen, and what to do."""

    severity: Severity
    kind: str
    """ "operations", "loss-scale", "weights"."""
    message: str
    locations: tuple[Location, ...]
    advice: str


@dataclass(frozen=True)
class PrecisionRecord:
    """The verdict on one model at one precision."""

    target: str
    precision: str
    higher: str
    """The precision of what is kept, and of the run that the others are compared with."""
    optimizer: str
    steps: int
    tolerance: float
    """Part of the fall that may be missing."""
    noise: float
    """Part of the fall by which the net as it is and the higher precision differ: as much may be missing too."""
    operations: tuple[OperationRounding, ...]
    """In the order of the forward pass."""
    updates: tuple[UpdateRounding, ...]
    """Only of formats that weights are stored in: bf16 and fp16."""
    reference: tuple[float, ...]
    """Losses of the same steps with every operation higher."""
    trained: tuple[Trained, ...]
    loss_scale: float
    """Factor on the loss of float16 under which it was trained; 1: none is needed."""
    weights: str
    """How weights may be stored: "as they are", "rounded to nearest", "rounded stochastically", "in float32 only"."""
    unseen: tuple[str, ...]
    """Operations that multiply matrices and were left as they are, by torch's name."""
    findings: tuple[PrecisionFinding, ...]
    seconds: float

    def __repr__(self) -> str:
        """Return the verdict on one line."""
        kept = f"{len(self.kept)} of {len(self.operations)} stay higher"
        return f"<{type(self).__name__}: {self.precision}, {kept}; print it to see all>"

    @property
    def kept(self) -> tuple[OperationRounding, ...]:
        """Return the operations that must stay higher."""
        return tuple(one for one in self.operations if one.kept)

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the paths of the modules whose operations must stay higher."""
        return tuple(dict.fromkeys(one.module for one in self.kept))

    @property
    def as_it_is(self) -> bool:
        """Whether every operation may be rounded, and no loss scale is needed."""
        return not self.kept and self.loss_scale == 1.0
