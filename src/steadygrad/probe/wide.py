"""The same pass in float64, where a signal became too small for the model's own number format on its way forward.

The backward pass is rescaled as it runs and exact at any depth; a forward pass is not linear and cannot be. An activation of
exactly zero gives no gradient, so the trunk reads minus infinity where the arithmetic loses a number of decades.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.silence import silent
from steadygrad.probe.run_probe import probe
from steadygrad.record import Trace
from steadygrad.subject.with_copy import SubjectCopy
from steadygrad.torch_internals.tensors import tree_map


def in_float64(run: SubjectCopy, trace: Trace) -> Trace:
    """The trace with the trunk and the gradients of a pass in float64; as it is where they say nothing more.

    They count only where the decades lost are more than the model's own format can hold: of any other model the gradient is
    zero as it is trained.
    """
    if trace.trunk is None or trace.trunk.decades != -math.inf or _empty(trace) or trace.dtype not in _NAMES:
        return trace
    copied = run.copied
    try:
        with ExitStack() as stack:
            stack.enter_context(silent())
            for module in (run.model, *([copied.loss] if copied.loss is not None else [])):
                stack.enter_context(_widened(module))
            batch = tree_map(_wide, run.batch)
            wide = probe(run.model, run.objective, batch, seed=run.seed, loss=copied.loss, originals=copied.originals)
    except Exception:
        # A model that makes tensors of its own format as it runs: what was measured in it stands.
        return trace
    if wide.trunk is None or not -math.inf < wide.trunk.decades < math.log10(trace.smallest_normal):
        return trace
    if [step.operation for step in wide.trunk.steps] != [step.operation for step in trace.trunk.steps]:
        return trace
    parameters = zip(trace.parameters, wide.parameters, strict=True)
    return replace(
        trace,
        trunk=wide.trunk,
        parameters=tuple(replace(one, log10_gradient=other.log10_gradient) for one, other in parameters),
    )


@contextmanager
def _widened(module: nn.Module) -> Iterator[None]:
    """Within the block, its numbers are float64; after it, the very tensors that they were."""
    tensors = [tensor for tensor in (*module.parameters(), *module.buffers()) if _wide(tensor) is not tensor]
    before = [(tensor, tensor.data, tensor.grad) for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.grad = None
            tensor.data = tensor.data.double()
        yield
    finally:
        for tensor, data, gradient in before:
            tensor.grad = None
            tensor.data = data
            tensor.grad = gradient


def _wide(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and value.dtype in _NARROWER else value


def _empty(trace: Trace) -> bool:
    """Whether a matrix is all zero: then so is the gradient in front of it, in any format."""
    return any(parameter.norm == 0.0 and len(parameter.shape) > 1 for parameter in trace.parameters)


_NARROWER = (torch.float32, torch.float16, torch.bfloat16)
_NAMES = tuple(str(dtype).removeprefix("torch.") for dtype in _NARROWER)
