"""The step test: a few real steps of the real optimizer on a copy, on the same batch.

A verdict on one pass alone cannot be right, because the learning rate decides too. Every step draws the same random
numbers, so that what is compared is the same function. Writes a ``StepTest`` and each parameter's first update.
"""

from __future__ import annotations

import gc
import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from steadygrad.probe.backward import gradients_outside, log10_norm, put_back
from steadygrad.probe.copying import Copied, clone_batch
from steadygrad.probe.graph import graph_of
from steadygrad.probe.instrument import Objective, first_tensor, output_spread, probe, scalar, size_of
from steadygrad.record import StepTest, Trace

MEMORY_MARGIN = 0.9
"""Share of the free memory that a step test may plan to use; the rest is left to activations it cannot foresee."""


@dataclass(frozen=True)
class Stepped:
    """What the step test saw: its record, the first update of every parameter, and the plain cost of a step."""

    record: StepTest
    update_ratio: dict[str, float]
    seconds: float
    """Median wall-clock time of one plain forward, backward and step."""


def step_test(
    copied: Copied,
    objective: Objective,
    batch: Any,
    *,
    steps: int,
    seed: int,
    progress: Callable[[str], None] | None = None,
    give_up: Callable[[list[float]], bool] | None = None,
    batch_of: Callable[[int], Any] | None = None,
    go_on: Callable[[Stepped], int] | None = None,
) -> Stepped:
    """Train the copy for ``steps`` steps. The copy is changed; what it was copied from is not.

    It ends early, as diverged, at a loss that is not finite or where ``give_up`` says so of the losses so far. Every step
    is taken on ``batch``, or on what ``batch_of`` gives for its number; the last loss is always that of ``batch``.
    ``go_on`` is shown what those steps brought and says how many there shall be in all; the record then keeps both.
    """
    outside: list[tuple[Tensor, Tensor | None]] = []
    walk = _Walk(copied, objective, batch, seed, outside, _original(copied))
    try:
        _go_on(walk, steps, progress, give_up, batch_of)
        seen = _looked(walk, steps)
        more = go_on(seen) if go_on is not None and len(walk.losses) == steps else steps
        if more <= steps:
            return seen
        _go_on(walk, more, progress, give_up, batch_of)
        later = _looked(walk, more)
        return replace(later, record=replace(later.record, early=seen.record))
    finally:
        put_back(outside)


@dataclass
class _Walk:
    """The steps so far: what they start from, and what they have shown."""

    copied: Copied
    objective: Objective
    batch: Any
    seed: int
    outside: list[tuple[Tensor, Tensor | None]]
    original: dict[str, Tensor]
    losses: list[float] = field(default_factory=list)
    """Before each step."""
    first_output: Any = None
    seconds: list[float] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    predicted: float = 0.0
    decay: float = 0.0


def _go_on(
    walk: _Walk,
    steps: int,
    progress: Callable[[str], None] | None,
    give_up: Callable[[list[float]], bool] | None,
    batch_of: Callable[[int], Any] | None,
) -> None:
    """Take steps until there are so many in all, or until one was the last that makes sense."""
    for step in range(len(walk.losses), steps):
        if progress is not None:
            progress(f"step test, step {step + 1} of {steps}")
        began = time.perf_counter()
        batch = walk.batch if batch_of is None else batch_of(step)
        seen, output = _one_step(walk.copied, walk.objective, batch, walk.seed, walk.outside)
        walk.seconds.append(time.perf_counter() - began)
        walk.losses.append(seen)
        if step == 0:
            walk.first_output = output
        if not math.isfinite(seen) or (give_up is not None and give_up(walk.losses)):
            return
        if step == 0:
            walk.ratios, walk.predicted = _first_update(walk.copied, walk.original)
            walk.decay = _decay(walk.copied, walk.original)


def _looked(walk: _Walk, steps: int) -> Stepped:
    """What the steps brought: the loss of the whole batch once more, unless they ended early."""
    losses, outputs = list(walk.losses), [walk.first_output] if walk.losses else []
    if losses and math.isfinite(losses[-1]) and len(losses) == steps:
        # With gradients enabled: a model may need them in its forward, as a gradient penalty or a force does.
        torch.manual_seed(walk.seed)
        loss, output = walk.objective(walk.copied.model, clone_batch(walk.batch))
        outputs.append(output)
        losses.append(float(scalar(loss).detach()))
    assert walk.copied.optimizer is not None
    record = StepTest(
        steps=steps,
        optimizer=in_words(walk.copied.optimizer),
        losses=tuple(losses),
        predicted_first=walk.predicted / (abs(losses[0]) or 1.0),
        output_spread_after=output_spread(outputs[1], size_of(walk.batch)) if len(outputs) > 1 else None,
        constant_fall=_constant_fall(walk.objective, walk.batch, outputs, losses[0]) if len(outputs) > 1 else None,
        decay=walk.decay,
    )
    return Stepped(record, walk.ratios, sorted(walk.seconds)[len(walk.seconds) // 2])


def _original(copied: Copied) -> dict[str, Tensor]:
    """Every parameter as it is before the first step: the user's own, or what the probe has made of a lazy one."""
    named = copied.named_parameters()
    lazy = {n: p.detach().clone() for n, p in named if isinstance(copied.original.get(n), UninitializedTensorMixin)}
    return {**copied.original, **lazy}


def _one_step(
    copied: Copied, objective: Objective, batch: Any, seed: int, outside: list[tuple[Tensor, Tensor | None]]
) -> tuple[float, Any]:
    """Loss and output before a step, made by the optimizer's own closure: those that look several times (LBFGS) are right too.

    ``outside`` is filled at the first step with the leaves beyond the copy that get a gradient, to be put back.
    """
    assert copied.optimizer is not None
    first: list[tuple[float, Any]] = []

    def closure() -> float:
        for _, parameter in copied.named_parameters():
            parameter.grad = None
        torch.manual_seed(seed)
        with torch.enable_grad():
            returned, output = objective(copied.model, clone_batch(batch))
            loss = scalar(returned)
            if loss.grad_fn is not None and not first and not outside:
                outside.extend(gradients_outside(graph_of(loss.grad_fn), (p for _, p in copied.named_parameters())))
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
        if not first:
            tensor = first_tensor(output)
            first.append((float(loss.detach()), tensor.detach() if tensor is output and tensor is not None else None))
        return float(loss.detach())

    if needs_closure(copied.optimizer):
        copied.optimizer.step(closure)
    else:
        # As a training loop does it, so that step hooks (a clip) find the gradients.
        closure()
        copied.optimizer.step()
    return first[0]


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether ``step`` cannot be called without one, as LBFGS's."""
    parameter = inspect.signature(optimizer.step).parameters.get("closure")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _first_update(copied: Copied, original: dict[str, Tensor]) -> tuple[dict[str, float], float]:
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


def _decay(copied: Copied, original: dict[str, Tensor]) -> float:
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


def _constant_fall(objective: Objective, batch: Any, outputs: list[Any], first: float) -> float | None:
    """How far the loss falls where every sample is answered by the mean answer, before and after: learned without the input."""
    losses: list[float] = []
    if size_of(batch) == 1:
        return None  # One sample is its own mean: any answer to it is a constant.
    for output in outputs:
        if not isinstance(output, Tensor) or not output.is_floating_point() or output.shape[:1] != (size_of(batch),):
            return None
        constant = output.detach().mean(0, keepdim=True).expand_as(output).clone()
        try:
            with torch.no_grad():
                losses.append(float(scalar(objective(Answer(constant), clone_batch(batch))[0])))
        except (AttributeError, TypeError, RuntimeError):
            # An objective that asks the model for more than an output has no constant answer to compare with.
            return None
    return (losses[0] - losses[1]) / (abs(first) or 1.0)


class Answer(nn.Module):
    """A model that answers the same whatever it is asked."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self.answer


def look_again(trace: Trace, copied: Copied, objective: Objective, batch: Any, seed: int) -> tuple[Trace, float | None]:
    """Where a gradient was exactly zero, probe the stepped copy: a gate that opened is by design, one that stayed shut a fault.

    Returns the trace with ``opened`` filled in, and the trunk's decades after the steps, the loss's own share left
    out (None where not looked at).
    """
    shut = [p.name for p in trace.parameters if p.requires_grad and p.connected and p.log10_gradient == -math.inf]
    cut_off = trace.trunk is not None and trace.trunk.decades == -math.inf
    if not shut and not cut_off:
        return trace, None
    later = probe(copied.model, objective, batch, seed=seed, loss=copied.loss)
    gradients = {parameter.name: parameter.log10_gradient for parameter in later.parameters}
    parameters = tuple(
        replace(parameter, opened=gradients.get(parameter.name, -math.inf) > -math.inf)
        if parameter.name in shut
        else parameter
        for parameter in trace.parameters
    )
    steps = later.trunk.steps if later.trunk is not None else None
    decades = None if steps is None else sum(step.decades for step in steps if step.cause != "loss")
    return replace(trace, parameters=parameters), decades


def fits_in_memory(model: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
    """Whether gradients and two states a parameter (Adam's) can be held beside the model."""
    sizes = [p.numel() * p.element_size() for p in model.parameters() if p.requires_grad]
    held = sum(state.numel() * state.element_size() for state in _states(optimizer))
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    return max(3 * sum(sizes) - held, sum(sizes)) <= MEMORY_MARGIN * free_memory(device)


def _states(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]


def free_memory(device: torch.device) -> float:
    """Bytes that can still be taken on the device; on the CPU within the control group's limit."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    gc.collect()
    free = float(psutil.virtual_memory().available)
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        if Path(limit).exists() and Path(used).exists():
            bound = Path(limit).read_text().strip()
            if bound.isdigit():
                free = min(free, float(bound) - float(Path(used).read_text()))
    return free


def in_words(optimizer: torch.optim.Optimizer) -> str:
    """ "AdamW, learning rate 0.001"; of several groups, the range of rates."""
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups if "lr" in group})
    name = type(optimizer).__name__
    if not rates:
        return name
    rate = f"{rates[0]:.3g}" if len(rates) == 1 else f"{rates[0]:.3g} to {rates[-1]:.3g}"
    momentum = optimizer.param_groups[0].get("momentum")
    return f"{name}, learning rate {rate}" + (f", momentum {momentum:g}" if momentum else "")
