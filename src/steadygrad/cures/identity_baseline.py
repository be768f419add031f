"""What a model that maps its input has to beat: the loss where its answer is the input itself.

A normalising flow or a denoiser answers with no constant. Its start can lie so far above the loss of its own input that it
falls by 90 % and is still worse than no model at all.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from steadygrad.copies.copying import clone_batch
from steadygrad.copies.nested import tensors_in
from steadygrad.copies.randomness import same_randomness, seed_torch
from steadygrad.cures.editable_copy import EditableCopy
from steadygrad.probe.run_probe import scalar
from steadygrad.steptest.constant_answers import Answer
from steadygrad.torch_internals.tensors import tree_map


def identity_loss(copy: EditableCopy) -> float | None:
    """Loss on the batch where the output of the input's shape is the input, and every other output 0.

    None where no output has the shape of an input, or the loss takes no such answer.
    """
    subject = copy.subject
    given = [tensor for tensor in tensors_in(subject.batch) if tensor.is_floating_point() and tensor.dim() > 1]
    echoed = 0

    def echo(output: Any) -> Any:
        nonlocal echoed
        if not isinstance(output, Tensor):
            return output
        same = next((tensor for tensor in given if tensor.shape == output.shape), None)
        echoed += same is not None
        return torch.zeros_like(output) if same is None else same.clone()

    answer = tree_map(echo, copy.run())
    if not echoed:
        return None
    try:
        with torch.no_grad(), same_randomness():
            seed_torch(subject.seed)
            found = float(scalar(subject.objective(Answer(answer), clone_batch(subject.batch))[0]))
    except (AttributeError, TypeError, RuntimeError, ValueError, IndexError):
        # An objective that asks for more than an output: there is nothing to compare with.
        return None
    # A model that computes its own loss would answer 0 for it.
    return found if math.isfinite(found) and found != 0.0 else None
