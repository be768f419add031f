"""The look: the full probe of one step of the run, on a copy of the model, with what it was given at that very step.

The loss is mostly out of reach, but its gradients at the model's outputs, which backward brought, are not: the sum of output
times cotangent has the same gradient in every weight. A look leaves no mark, and compares what it saw with the gradients of
the step itself: where they differ, it says so.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad._check import Report, check_subject
from steadygrad.clip.shards import is_distributed
from steadygrad.copies.copying import unwrapped
from steadygrad.copies.memory import fits
from steadygrad.copies.unheard import unheard
from steadygrad.errors import SteadygradError, in_one_line
from steadygrad.explain.capture import Given
from steadygrad.objective import loss_in
from steadygrad.record import CureRef, Evidence, Finding, Location, Look, Operation, Severity
from steadygrad.rules import verdict
from steadygrad.rules.lost_paths import RULE, expression, way_of
from steadygrad.source.inferred_constructions import infer_constructions
from steadygrad.source.spans import is_user_file
from steadygrad.subject.subject import Subject
from steadygrad.torch_internals.compiling import COMPILED_PREFIX
from steadygrad.torch_internals.tensors import tree_leaves
from steadygrad.watch import calls

NOTHING_CAME = "no look: no gradient came back to the model's output"
NOT_KEPT = "no look: what the model was given could not be kept"
_CUT = {
    NOTHING_CAME: "between the model's output and the loss the path is cut",
    NOT_KEPT: "the model was not called with gradients on (torch.no_grad, inference_mode), or not at all",
}

SAME = 0.02
"""Relative difference of the gradient's norm up to which a look has seen what the step saw (autocast rounds by 0.4 %)."""

FAR = 3.0
"""Times the replayed norm beyond which a parameter's gradient did not come from the model's own backward pass."""


def look(
    root: nn.Module,
    given: Given | None,
    *,
    step: int,
    alarm: int | None = None,
    norm: float | None = None,
    cut: Operation | None = None,
    scale: float = 1.0,
) -> tuple[Look, Report | None]:
    """Probe ``root`` once more on what it was given. ``norm`` is the total gradient norm of the step itself, ``cut`` what
    was seen outside of the model to end the gradient's path, ``scale`` the loss scale that came back with the gradient: the
    step is run with it, as numbers of 16 bits need, and what is said is without.

    Nothing raises but what interrupts the user's program: a look that fails says so in its ``note``.
    """
    began = time.perf_counter()
    why = why_impossible(root, given)
    if why is None and given is not None:
        try:
            infer_constructions(unwrapped(root), _outside(sys._getframe(1)))
            with unheard(), calls.paused():
                report = check_subject(_subject(unwrapped(root), given, step), trial=0)
        except (SteadygradError, RuntimeError, MemoryError, TypeError, ValueError, AttributeError) as error:
            why = f"no look: {in_one_line(error)}"
        else:
            decades = None if report.trace.trunk is None else report.trace.trunk.decades - math.log10(scale)
            spent = time.perf_counter() - began
            note = _faith(report, given, None if norm is None else norm * scale, scale)
            return Look(step, str(report.verdict), report.findings, spent, decades, note, alarm), report
    found = (
        (_cut_outside(root, _CUT[why], cut if why is NOTHING_CAME else None),)
        if why in _CUT and _has_no_gradient(root)
        else ()
    )
    return Look(
        step, str(verdict(found)) if found else "", found, time.perf_counter() - began, None, why or "", alarm
    ), None


def _has_no_gradient(root: nn.Module) -> bool:
    wanted = [p for p in root.parameters() if p.requires_grad]
    return bool(wanted) and all(p.grad is None for p in wanted)


def _cut_outside(root: nn.Module, where: str, cut: Operation | None) -> Finding:
    """Error: the loss has lost the path to the parameters, outside of the model."""
    way = None if cut is None else way_of(cut)
    shown = "" if cut is None or way is None else f": {expression(cut)} {way.what}; use {way.instead}"
    return Finding(
        *RULE,
        Severity.ERROR,
        f"no parameter gets a gradient: {where}{shown}",
        location=None if cut is None else cut.location,
        module="",
        label="" if cut is None else "the gradient's path ends here",
        evidence=(Evidence("trainable elements without a gradient", 1.0, "share", "0"),),
        cures=(CureRef(way.instead),)
        if way is not None
        else (
            CureRef(
                "steadygrad check, with the loss: it marks the expression (detach, .item(), torch.tensor, a comparison)"
            ),
        ),
        count=sum(1 for p in root.parameters() if p.requires_grad),
    )


def changed_since(report: Report, norms: dict[str, float]) -> set[str]:
    """The parameters to which the replay gives a finite gradient far below the one that the step had.

    Said only where the replay is the step again: to at least half of the others it gives the same. ``norms``: of the step, by
    the model's own names, with the loss scale, as the replay's are; NaN = not finite.
    """
    seen = {p.name: 10.0**p.log10_gradient for p in report.trace.parameters if p.log10_gradient is not None}
    known = {name: seen[_plain(name)] for name in norms if math.isfinite(seen.get(_plain(name), math.nan))}
    changed = {name for name, replayed in known.items() if not norms[name] <= replayed * FAR}
    others = [name for name in known if name not in changed and norms[name] > 0]
    same = sum(abs(known[name] - norms[name]) <= SAME * norms[name] for name in others)
    return changed if 2 * same >= len(others) else set()


def place_of(report: Report, parameter: str) -> Location | None:
    """Find where the user's code runs the operation that multiplies by this parameter."""
    return next((one.location for one in report.trace.operations if one.weight == _plain(parameter)), None)


def _plain(parameter: str) -> str:
    return parameter.removeprefix("module.").removeprefix(COMPILED_PREFIX)


def _outside(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of the user's own, which a step was called from."""
    while frame is not None and not is_user_file(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def why_impossible(root: nn.Module, given: Given | None) -> str | None:
    if given is None:
        return NOT_KEPT
    if any(is_distributed(p) for p in root.parameters()):
        return "no look: the parameters are sharded over several processes"
    if not given.cotangents:
        return NOTHING_CAME
    held = [*root.parameters(), *root.buffers()]
    needed = 2 * sum(t.numel() * t.element_size() for t in held)
    if held and not fits(needed, held[0].device):
        return "no look: a copy of the model does not fit into the free memory"
    return None


def _subject(model: nn.Module, given: Given, step: int) -> Subject:
    held = [p for p in model.parameters() if p.requires_grad]
    return Subject(
        model=model,
        batch=(given.args, given.kwargs),
        objective=replay_objective(given),
        loss_module=None,
        optimizer=torch.optim.SGD(held, lr=1e-3),
        loss_name="the training loss",
        batch_words="the batch of that step",
        assumptions=(),
        target=f"step {step}",
        seed=0,
    )


def replay_objective(given: Given) -> Any:
    def objective(model: nn.Module, batch: Any) -> tuple[Tensor, Any]:
        args, kwargs = batch
        if given.random is not None:
            torch.set_rng_state(given.random)
        if given.device_random is not None:
            torch.cuda.set_rng_state(given.device_random)
        with ExitStack() as stack:
            for kind, dtype, cached in given.autocast:
                stack.enter_context(torch.autocast(kind, dtype, cache_enabled=cached))
            output = model(*args, **kwargs)
        return with_cotangents(output, given.cotangents), output

    return objective


def with_cotangents(output: Any, cotangents: dict[int, Tensor]) -> Tensor:
    """A scalar whose gradient in every weight is that of the loss: sum of output × cotangent.

    Where one output is made from another (a loss beside its logits), the gradient that came back to the other already
    holds what flows through the one, so only the outermost count.
    """
    leaves = [output] if isinstance(output, Tensor) else tree_leaves(output)
    own = loss_in(output)
    places = [
        at
        for at in cotangents
        if at < len(leaves) and isinstance(leaves[at], Tensor) and leaves[at].grad_fn is not None
    ]
    if own is not None and any(leaves[at] is own for at in places):
        places = [at for at in places if leaves[at] is own]
    elif len(places) > 1:
        places = _outermost(leaves, places)
    total: Tensor | None = None
    for at in places:
        product = (leaves[at] * cotangents[at].to(leaves[at].dtype)).sum()
        product = product.real if product.is_complex() else product
        total = product if total is None else total + product
    if total is None:
        raise SteadygradError("the outputs of the replay are not those of the step")
    return total


def _outermost(leaves: Sequence[Any], places: Sequence[int]) -> list[int]:
    """Outputs from which no other output is computed."""
    nodes = {leaves[at].grad_fn: at for at in places}
    inner: set[int] = set()
    for at in places:
        todo, seen = [leaves[at].grad_fn], set()
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in nodes and nodes[node] != at:
                inner.add(nodes[node])
            todo += [after for after, _ in node.next_functions]
    return [at for at in places if at not in inner]


def _faith(report: Report, given: Given, norm: float | None, scale: float) -> str:
    """Compare the gradients of the look with those of the step; both hold the loss ``scale``."""
    if given.calls > 1:
        return f"covers the last of {given.calls} forward passes of this step"
    seen = [p.log10_gradient for p in report.trace.parameters if p.log10_gradient is not None]
    if norm is None or not seen or not norm > 0:
        return ""
    replayed = sum(10.0 ** (2 * one) for one in seen if one == one) ** 0.5
    if not abs(replayed / norm - 1) <= SAME:
        return (
            f"gives a gradient norm of {replayed / scale:.3g}, the step had {norm / scale:.3g}: another loss or a hook "
            "adds to it"
        )
    return ""
