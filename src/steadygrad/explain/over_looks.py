"""The numbers of one look that are compared with those of later ones, read off its trace."""

from __future__ import annotations

import math
from collections.abc import Mapping

from steadygrad.detect.looked import Key, Seen
from steadygrad.explain.diagnose import weight_before
from steadygrad.record import Operation, Parameter, Trace

FAR = 6
"""Calls between a norm and the activation behind it that are looked through: views, dropout, a scale."""


def seen_in(trace: Trace) -> dict[Key, Seen]:
    """Every attention, and every activation with a norm in front of it."""
    parameters = {one.name: one for one in trace.parameters}
    found: dict[Key, Seen] = {}
    for one in trace.operations:
        key = one.index, one.name, one.module
        if one.attention_entropy is not None:
            # The first thing that it takes is the queries, or the logits themselves.
            weight = weight_before(trace, next(iter(one.parents), None))
            found[key] = Seen(weight, one.location, one.attention_logit_std, one.attention_entropy)
        elif one.saturation is not None:
            norm = _norm_before(trace, one)
            gain = None if norm is None else parameters.get(f"{norm.module}.weight".lstrip("."))
            if norm is not None and gain is not None:
                share = one.saturation.saturated_share
                found[key] = Seen(gain.name, norm.location, saturated=share, gain=_root_mean_square(gain))
    return found


def _norm_before(trace: Trace, activation: Operation) -> Operation | None:
    """The norm whose output the activation takes, through linear layers in between."""
    known: Mapping[int, Operation] = {one.index: one for one in trace.operations}
    at = activation
    for _ in range(FAR):
        if not at.parents or at.parents[0] not in known:
            return None
        at = known[at.parents[0]]
        if at.kind == "normalisation":
            return at
        if at.kind in ("activation", "attention"):
            return None
    return None


def _root_mean_square(parameter: Parameter) -> float:
    return parameter.norm / math.sqrt(max(1, math.prod(parameter.shape)))
