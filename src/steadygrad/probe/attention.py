"""Samples of attention: a few rows of its weights or logits, and their entropy.

Seen in fused attention and in any softmax over a tensor of three or more dimensions. Rows are taken while the model runs,
because that is when they exist; the entropy is computed afterwards. Knows tensors; knows nothing of the tape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ROWS = 256
"""Rows kept of one call: the mean entropy of random ones is known to a few percent."""

MASKED = -1e8
"""A logit below this was put there to shut a key out: masks are -inf, the dtype's least number or -1e9; computed ones are not."""


@dataclass(frozen=True, slots=True)
class Look:
    """Some rows of one attention, (rows, keys)."""

    rows: Tensor
    logits: bool
    """Whether the rows have yet to go through a softmax."""
    keys: Tensor | None = None
    """Keys that each row may look at; None: all of them."""


def look(name: str, args: Any, kwargs: Any, output: Tensor) -> Look | None:
    """The rows of one call; None where there is nothing to choose between, or the call is not known."""
    if name == "softmax":
        return _weights(args, kwargs, output.detach())
    query, key = (kwargs.get("query"), kwargs.get("key")) if len(args) < 2 else (args[0], args[1])
    if query is None or key is None or query.dim() < 3 or key.shape[-2] < 2:
        return None
    mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
    masked = mask is not None or kwargs.get("is_causal", len(args) > 5 and args[5])
    # The last query sees every key under a causal mask, so that no mask need be known.
    some = query.detach()[..., -1:, :] if masked else query.detach()[..., :: max(1, query.shape[-2] // 4), :]
    keys = key.detach()
    if keys.shape[:-2] != some.shape[:-2]:
        return None
    scale = kwargs.get("scale") or query.shape[-1] ** -0.5
    return Look(((some[:4] @ keys[:4].transpose(-2, -1)) * scale).flatten(0, -2).float(), logits=True)


def _weights(args: Any, kwargs: Any, weights: Tensor) -> Look | None:
    dimension = kwargs.get("dim", args[1] if len(args) > 1 else -1)
    logits = kwargs.get("input", args[0] if args else None)
    if weights.dim() < 3:
        return None
    rows = _some(weights, dimension)
    if rows.shape[-1] < 2:
        return None
    if not isinstance(logits, Tensor) or logits.shape != weights.shape:
        return Look(rows.float(), logits=False)
    open_ = (_some(logits.detach(), dimension) > MASKED).sum(-1)
    return Look(rows.float(), logits=False, keys=open_)


def _some(values: Tensor, dimension: Any) -> Tensor:
    """A few of the rows along a dimension, (rows, keys): not each of the same place in its sequence, as a plain stride takes."""
    if isinstance(dimension, int):
        values = values.movedim(dimension, -1)
    rows = values.reshape(-1, values.shape[-1]) if values.is_contiguous() else values.flatten(0, -2)
    stride = max(1, len(rows) // ROWS)
    starts = torch.arange(0, len(rows) - stride + 1, stride, device=rows.device)[:ROWS]
    return rows[starts + torch.arange(len(starts), device=rows.device) % stride]


def entropy(seen: Look | None) -> tuple[float | None, float | None]:
    """Mean entropy of the rows ÷ log(keys open to each), in [0, 1], and the std of their logits; None = not known."""
    if seen is None:
        return None, None
    weights, spread = seen.rows, math.nan
    if not seen.logits:
        spread = _spread_of_logs(weights)
    else:
        finite = seen.rows[torch.isfinite(seen.rows).all(-1)]
        if not len(finite):
            return None, None
        weights = torch.softmax(finite, -1)
        spread = float((finite - finite.mean(-1, keepdim=True)).std(correction=0))
    each = torch.special.entr(weights).sum(-1)
    if seen.keys is not None:
        # A query that may look at one key has nothing to choose.
        chooses = seen.keys > 1
        each, keys = each[chooses], seen.keys[chooses]
        share = float((each / keys.log()).mean())
    else:
        share = float(each.mean()) / math.log(weights.shape[-1])
    return (share if math.isfinite(share) else None), (spread if math.isfinite(spread) else None)


def _spread_of_logs(weights: Tensor) -> float:
    """Standard deviation of the logits, which the weights' logarithms are but for one number a row; what is 0 was shut out."""
    open_ = weights > 0
    logs = torch.where(open_, weights, 1.0).log()
    keys = open_.sum(-1, keepdim=True)
    chooses = keys.squeeze(-1) > 1
    apart = torch.where(open_, logs - logs.sum(-1, keepdim=True) / keys, 0.0).square().sum(-1) / keys.squeeze(-1)
    return float(apart[chooses].mean().sqrt()) if bool(chooses.any()) else math.nan
