"""Findings of SG107 about parameters that get a gradient, of which nothing remains: no optimizer holds them, or no module.

May rely on records and on what is read from them. Must not look at cuts but to leave alone what they explain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Parameter, Severity, StepTest, Trace
from steadygrad.rules.lost_paths import RULE
from steadygrad.rules.read_steptest import Progress, outcome, progress

# Share of what gets a gradient that no module has, from which it is an error where no step was taken that could tell. Of 936
# set-ups of the truth table that train, probed alone, none has any; layers in a list are 0.67 in the usual net.
MOST = 0.5


def elements(parameters: Iterable[Parameter]) -> int:
    """How many numbers they hold."""
    return sum(math.prod(parameter.shape) for parameter in parameters)


def not_held(
    trace: Trace, trial: StepTest | None, trainable: Sequence[Parameter], *, major: float
) -> Iterable[Finding]:
    """Parameters that get a gradient, and that no step will move."""
    missed = [p for p in trainable if p.connected and p.optimized is False]
    share = elements(missed) / max(1, elements(trainable))
    if not missed:
        return
    none = all(p.optimized is False for p in trainable)
    stands = none or progress(trial) not in (Progress.LEARNS, Progress.UNKNOWN)
    yield Finding(
        *RULE,
        (Severity.ERROR if stands else Severity.WARNING) if share >= major else Severity.INFO,
        f"{len(missed)} parameters ({percent(share)} of the trainable ones) get a gradient, but the optimizer does not hold them",
        location=trace.optimizer,
        module=missed[0].name,
        label="it holds other tensors than the model's" if none else "these are not among what it holds",
        evidence=(Evidence("trainable elements not held by the optimizer", share, "share", "0%"),),
        consequence=outcome(trial),
        cures=(CureRef("building the optimizer from model.parameters(), after the model is complete"),),
        count=len(missed),
        explains=("SG106",),
    )


def unregistered(trace: Trace, trial: StepTest | None, *, major: float) -> Iterable[Finding]:
    """Weights that learn and are not kept: in a plain list, or made in the pass itself."""
    explained = {trace.cuts[p.cut].location for p in trace.parameters if p.cut is not None}
    strays = [p for p in trace.parameters if not p.registered and p.location not in explained]
    if explained:
        strays = [p for p in strays if p.location is not None]
    made = [p for p in strays if p.made_in_pass]
    left = [p for p in strays if not p.made_in_pass and len(p.shape) > 1]
    learns = progress(trial) is Progress.LEARNS
    with_gradient = elements(p for p in trace.parameters if p.connected and p.log10_gradient > -math.inf)
    unseen = progress(trial) is Progress.UNKNOWN and elements(strays) >= MOST * with_gradient
    severity = Severity.ERROR if unseen or progress(trial) is Progress.STALLED else Severity.WARNING
    if made:
        share = elements(made) / max(1, with_gradient)
        yield Finding(
            *RULE,
            Severity.INFO if learns and share < major else Severity.WARNING if learns else severity,
            f"{len(made)} parameters are made again in each forward pass, so they lose what they learn",
            location=made[0].location,
            module="",
            label="made again in each pass",
            evidence=(Evidence("elements with a gradient that are made in the pass", share, "share", "0%"),),
            consequence=outcome(trial),
            cures=(CureRef("making it once in __init__, as an attribute of the module, and using that in forward"),),
            count=len(made),
            explains=("SG106",),
        )
    if left and not learns:
        placed = next((stray for stray in left if stray.location is not None), None)
        yield Finding(
            *RULE,
            severity,
            f"{len(left)} tensors get a gradient, but no module has them as parameters: no optimizer will see them",
            location=placed.location if placed is not None else None,
            module="",
            label="a layer that the model does not know of" if placed is not None else "",
            evidence=(Evidence("unregistered tensors", float(len(left)), "tensors", "0"),),
            consequence=outcome(trial),
            cures=(
                CureRef(
                    "nn.Parameter assigned to an attribute, nn.ParameterList, or nn.ModuleList in place of a plain list"
                ),
            ),
            count=len(left),
            explains=("SG106",),
        )
