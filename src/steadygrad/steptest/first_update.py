"""The first step of each parameter, the fall of the loss that it promises, and the part of weight decay in it.

May rely on the gradients of that step being there. Judges nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from steadygrad.copies.copying import Copied
from steadygrad.probe.backward import log10_norm


def first_update(copied: Copied, original: dict[str, Tensor]) -> tuple[dict[str, float], float]:
    """‖update‖ ÷ ‖weight‖ of every parameter, and the fall of the loss that the gradient predicts for it."""
    ratios: dict[str, float] = {}
    predicted = 0.0
    for name, parameter in copied.named_parameters():
        before = original.get(name)
        if before is None or not parameter.requires_grad or before.shape != parameter.shape:
            continue
        with torch.no_grad():
            update = parameter.detach() - before.detach()
            size, weight = log10_norm([update]), log10_norm([before.detach()])
            if weight > -math.inf:
                ratios[name] = 0.0 if size == -math.inf else 10.0 ** (size - weight)
            gradient = parameter.grad
            if gradient is not None:
                dense = gradient.to_dense() if gradient.is_sparse else gradient
                predicted -= float(torch.real((dense.conj() * update).sum()))
    return ratios, predicted


def decay_of(copied: Copied, original: dict[str, Tensor]) -> float:
    """‖weight decay's part of the first update‖ ÷ ‖the gradient's part‖, over the weight matrices of groups that decay."""
    assert copied.optimizer is not None
    decoupled = isinstance(copied.optimizer, torch.optim.AdamW)
    names = {id(parameter): name for name, parameter in copied.named_parameters()}
    decaying, learning = [], []
    for group in copied.optimizer.param_groups:
        factor = float(group.get("weight_decay", 0.0))
        for parameter in group["params"]:
            before = original.get(names.get(id(parameter), ""))
            gradient = parameter.grad
            if before is None or factor == 0.0 or parameter.dim() < 2 or gradient is None or gradient.is_sparse:
                continue
            with torch.no_grad():
                if decoupled or group.get("decoupled_weight_decay"):
                    pull = float(group["lr"]) * factor * before.detach()
                    decaying.append(log10_norm([pull]))
                    learning.append(log10_norm([parameter.detach() - before.detach() + pull]))
                else:
                    decaying.append(log10_norm([before.detach()]) + math.log10(abs(factor)))
                    learning.append(log10_norm([gradient]))
    size = [sum(10.0 ** (2 * norm) for norm in norms) ** 0.5 for norms in (decaying, learning)]
    return size[0] / size[1] if size[1] else math.inf if size[0] else 0.0
