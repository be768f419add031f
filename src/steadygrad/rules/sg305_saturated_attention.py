"""Attention looks at one position only: its softmax is saturated."""

from __future__ import annotations

import math
from collections.abc import Iterable

from steadygrad.record import Finding, Severity, StepTest, Trace
from steadygrad.rules.grading import Progress, evidence, judged, other_places, outcome, progress

# bench/thresholds.py: mean entropy of the attention weights ÷ log(keys). Healthy architectures at initialisation: 0.5 and
# more; set-ups whose logits were made too large: 0.1 and less.
ENTROPY = 0.2


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first saturated attention."""
    if progress(trial) in (Progress.LEARNS, Progress.UNKNOWN):
        return
    sick = [o for o in trace.operations if o.attention_entropy is not None and o.attention_entropy < ENTROPY and o.module_type]
    if not sick:
        return
    first = sick[0]
    proof = [evidence("entropy of the attention weights", first.attention_entropy or 0.0, "of log(keys)", "over 0.5")]
    if first.attention_logit_std is not None and math.isfinite(first.attention_logit_std):
        proof.append(evidence("standard deviation of the logits", first.attention_logit_std, "absolute", "near 1"))
    yield judged(
        __name__,
        Severity.ERROR if progress(trial) in (Progress.STALLED, Progress.BOUNCES) else Severity.WARNING,
        f"attention is saturated: its weights have {first.attention_entropy:.2g} of the entropy of an even look",
        location=first.location,
        module=first.module,
        label="one position takes nearly all of the weight",
        evidence=proof,
        consequence=outcome(trial),
        cures=["logits divided by √(head dimension)", "QK-norm", "smaller initial weights of query and key"],
        count=len(sick),
        also=other_places(first),
        explains=("SG101", "SG105", "SG106", "SG201", "SG204"),
    )
