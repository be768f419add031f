"""Gradients clipped before the step: between two values, by norm, unit by unit, or at a running quantile.

## What it does

Hooks a clip into the optimizer's step. The clip puts each element into [−1, 1], or bounds the global norm at 1, each unit's
gradient at 1 % of its weight, or the norm at the 90 % quantile of the norms seen.

## Mathematics

A clip bounds ‖update‖. A value clip bends the direction, a norm clip keeps it. The product of n factors that makes the
gradient large stays the same.

## What it changes

The optimizer: it gets a step hook, which is not part of its state_dict; register the hook again after loading. The model
stays.

## When it is wrong

A clip works against spikes. It also helps beside a cure of the depth: six folded layers that square their input train at a
rate of 0.01 with a clip, and at 0.0003 without. Where gradients explode with depth a clip only bounds updates and cures
nothing: the first layers still get gradients that are wrong by decades. Adam divides by the gradient's size, so a clip
changes little under it.

## References

- Pascanu et al. 2013, arXiv:1211.5063; Brock et al. 2021, arXiv:2102.06171; Seetharaman et al. 2020, arXiv:2007.14469.
- Zhang et al. 2020, arXiv:1905.11881 (why clipping helps where curvature grows with the gradient).
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad._check import check_subject
from steadygrad.clip import Clip, ClipBeforeStep
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.record import Candidate, Change, CheckRecord, Edit

GROUP = "clip"
SAFETY = "safe"
PHASE = 5
FINDINGS = ("SG201", "SG202", "SG203", "SG204")
CANDIDATES = {
    "clip-norm": ("clip", "safe"),
    "clip-value": ("clip", "safe"),
    "clip-adaptive": ("clip", "safe"),
    "clip-quantile": ("clip", "safe"),
}
AT_FIRST = 1
"""Candidates that are tried where nobody asked for a clip: the others hardly heal what one does not."""

CLIPS = {
    "norm": ("gradient norm clipped at 1", Clip.norm(1.0)),
    "value": ("gradients clipped to [-1, 1]", Clip.value(-1.0, 1.0)),
    "adaptive": ("gradients clipped by unit (1 % of the weight)", Clip.adaptive(0.01)),
    "quantile": ("gradient norm clipped at its 90 % quantile", Clip.quantile(0.9)),
}

DEPTH_EXPLODES = 3.0
"""Decades along the trunk from which a clip is said to bound updates only."""


def propose(copy: EditableCopy, report: CheckRecord) -> Iterable[Candidate]:
    """All four kinds, the one that keeps the direction first; two of them where they are not what was asked for."""
    for kind, (title, clip) in CLIPS.items():
        edit = Edit("clipping", kind, value=clip.low, high=clip.high)
        yield Candidate(f"clip-{kind}", title, GROUP, SAFETY, (edit,))


def apply_(copy: EditableCopy, edit: Edit) -> Change:
    """Register the clip with the optimizer."""
    clip = Clip(edit.to, edit.value or 0.0, 1.0 if edit.high is None else edit.high)
    copy.optimizer.register_step_pre_hook(ClipBeforeStep(clip))
    trunk = copy.net.trace.trunk
    if trunk is not None and trunk.decades > DEPTH_EXPLODES:
        # Other edits of the same plan may have mended that before.
        trunk = check_subject(copy.subject, trial=0).trunk
    warnings: tuple[str, ...] = ()
    if trunk is not None and trunk.decades > DEPTH_EXPLODES:
        warnings = (f"it bounds updates only: the gradient still gains {trunk.decades:.1f} decades on the trunk",)
    return Change("optimizer: a clip before each step", "optimizer", warnings=warnings)
