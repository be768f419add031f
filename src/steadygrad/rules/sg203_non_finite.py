"""An operation makes an inf or a NaN out of finite numbers."""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import evidence, judged, other_places

_SAYS = {"nan": "NaN", "inf": "infinity"}


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding: the first culprit."""
    found = trace.nonfinite
    if found is None:
        return
    value = _SAYS.get(found.value, found.value)
    if found.direction in ("input", "parameter"):
        thing = f"the batch ({found.name})" if found.direction == "input" else f"the parameter {found.name}"
        message, label = f"{thing} holds {value} before anything is computed", ""
    elif found.direction == "forward":
        message, label = f"{found.name} makes {value} out of finite numbers", f"the first {value} of the forward pass"
    else:
        message = f"the derivative of {found.name} is {value}, although its output is finite"
        label = f"the first {value} of the backward pass"
    yield judged(
        __name__,
        Severity.ERROR,
        message,
        location=found.location,
        module=found.module,
        label=label,
        evidence=[evidence("loss", trace.loss, "value", "finite")],
        consequence="every weight becomes NaN at the first step",
        cures=_cures(found.name, found.direction),
        also=other_places(trace.operations[found.operation]) if found.operation is not None and found.operation < len(trace.operations) else (),
        explains=tuple(f"SG{n}" for n in (101, 102, 103, 104, 105, 106, 107, 108, 201, 202, 204, 205, 301, 302, 303, 304, 305)),
    )


def _cures(name: str, direction: str) -> list[str]:
    if direction == "input":
        return ["cleaning the data: torch.isfinite(x).all() on each batch"]
    if direction == "parameter":
        return ["loading or initialising the weights again"]
    name = name.strip("_")
    if name.startswith("log"):
        return ["a logarithm of x.clamp_min(eps), or the fused form (log_softmax, logsigmoid, log1p)"]
    if name in ("sqrt", "norm", "rsqrt", "pow", "vector_norm", "std"):
        return ["x + eps under the root: its derivative at 0 is infinite"]
    if name in ("exp", "cosh", "sinh", "expm1"):
        return ["the greatest value subtracted before the exponential, or torch.logsumexp"]
    if name in ("div", "truediv", "reciprocal", "divide", "true_divide"):
        return ["eps added to the denominator"]
    if "softmax" in name or "attention" in name:
        return ["at least one position left open in every row of the mask"]
    return ["an epsilon, a clamp or a mask applied before it, not after"]
