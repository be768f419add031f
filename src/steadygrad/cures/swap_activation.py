"""Another activation in place of one that squashes or dies, with the initialisation that suits it.

## What it does

Puts ReLU, Leaky ReLU, ELU, SELU, GELU or SiLU in place of every hidden activation, module or function call. It draws the
weights in front again at the scale that the new activation needs. Gates (a sigmoid that multiplies something) stay.

## Mathematics

A sigmoid passes at most 1/4 of the gradient and a tanh at most all of it; far from 0 both pass nearly nothing. ReLU passes
all of it on one side. Leaky ReLU, ELU, SELU, GELU and SiLU pass some of it on the other side too, so no unit can die.

## What it changes

The function of the model. state_dict keys and shapes stay. Old weights load, but they were learned for another activation.

## When it is wrong

Some activations must squash: gates, attention, outputs between 0 and 1. Beyond some 100 plain layers no activation alone is
enough.

## References

- Nair and Hinton 2010 (ReLU); Maas et al. 2013 (Leaky ReLU); Clevert et al. 2016, arXiv:1511.07289 (ELU).
- Klambauer et al. 2017, arXiv:1706.02515 (SELU); Hendrycks and Gimpel 2016, arXiv:1606.08415 (GELU).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from torch import nn

from steadygrad.cures import initialise
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.cures.surgery import Wire
from steadygrad.errors import CannotCureError
from steadygrad.record import Candidate, Change, CheckRecord, Edit, Severity

GROUP = "activation"
SAFETY = "unsafe"
PHASE = 0
FINDINGS = ("SG101", "SG102", "SG103", "SG105", "SG106", "SG201", "SG203", "SG204", "SG205", "SG301")

POWERS = ("pow", "square")
"""Activations that grow faster than their input: exchanging another one is no remedy against explosion."""
CANDIDATES = {
    "relu": ("activation", "unsafe"),
    "leaky-relu": ("activation", "unsafe"),
    "elu": ("activation", "unsafe"),
    "selu": ("activation", "unsafe"),
    "gelu": ("activation", "unsafe"),
    "silu": ("activation", "unsafe"),
}

MODULES: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "leaky_relu": nn.LeakyReLU,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
    }
)
TITLES = {"relu": "ReLU", "leaky_relu": "Leaky ReLU", "elu": "ELU", "selu": "SELU", "gelu": "GELU", "silu": "SiLU"}


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """ReLU first, then the others, each with the initialisation that suits it; nothing where they are all in place."""
    seen = {finding.code for finding in report.findings if finding.severity is not Severity.INFO}
    if seen and seen <= {"SG201", "SG203", "SG204"} and not any(o.name.strip("_") in POWERS for o in copy.net.hidden):
        return
    hidden = copy.net.hidden if initialise.mostly_plain(copy.net) else ()
    for name, title in TITLES.items():
        wrong = [operation for operation in hidden if operation.name.strip("_") != name]
        if not wrong:
            continue
        sites = tuple(copy.net.site(operation) for operation in wrong)
        layers = tuple(copy.net.site(layer.operation) for layer in initialise.drawn_again(copy.net))
        scheme = initialise.SUITED.get(name, "he")
        edits = (Edit("swap_activation", name, sites), Edit("initialise", scheme, layers))
        scheme_title = initialise.SCHEMES[scheme].removesuffix(" initialisation")
        yield Candidate(name.replace("_", "-"), f"{title} + {scheme_title}", GROUP, SAFETY, edits)


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Swap at the edit's sites. Raises ``CannotCureError`` for an activation that is not known."""
    if edit.to not in MODULES:
        raise CannotCureError(f"no activation {edit.to!r}; there are {', '.join(MODULES)}")
    wires = [Wire("replace", site, MODULES[edit.to]()) for site in edit.sites]
    copy.wires.extend(wires)
    return Change(f"activation: {len(wires)} × {TITLES[edit.to]}", "activation")
