"""The probe: one forward and one backward pass of a copy of the user's model, with every operation watched.

Puts the pieces of this room together and writes the immutable record, a ``Trace``. All the rest of steadygrad reads
traces; nothing else measures a model.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import clone_batch, named_parameters, uncollected
from steadygrad.copies.nested import first_tensor, size_of, tensors_in
from steadygrad.copies.randomness import seed_torch
from steadygrad.errors import SubjectError
from steadygrad.objective import Objective
from steadygrad.probe import to_records
from steadygrad.probe.backward import (
    Watch,
    gradients_outside,
    log10_norm,
    put_back,
    true_log10_norm,
    watch_backward,
)
from steadygrad.probe.blame import blamed
from steadygrad.probe.choices import routings
from steadygrad.probe.first_nonfinite import first_nonfinite
from steadygrad.probe.graph import Graph, graph_of
from steadygrad.probe.likelihood import watch_likelihoods
from steadygrad.probe.recurrence import recurrences
from steadygrad.probe.sampling import spread, take
from steadygrad.probe.tape import Tape
from steadygrad.probe.trunk_path import course_to_input, steps_along
from steadygrad.record import BlindSpot, NonFinite, Parameter, Trace
from steadygrad.source.originals import Originals, memory_of
from steadygrad.source.spans import construction_of, construction_of_weight, fill_of, making_of
from steadygrad.subject.with_copy import SubjectCopy
from steadygrad.torch_internals.held import own_parameters


def probe(
    model: nn.Module,
    objective: Objective,
    batch: Any,
    *,
    seed: int = 0,
    loss: nn.Module | None = None,
    originals: Originals | None = None,
) -> Trace:
    """Watch one forward and backward pass and record it.

    ``model`` is worked on as it is (see ``copying.on_copy``): its ``.grad`` are left set, as are those of a ``loss`` that
    has parameters of its own; gradients of anything else are put back. Raises ``SubjectError`` where the loss is no scalar
    tensor, or where the model is a copy and uses tensors of its ``originals``; an exception of the model's own passes through.
    """
    outside: list[tuple[Tensor, Tensor | None]] = []
    try:
        with uncollected():
            return _probe(model, objective, batch, seed, loss, outside, originals)
    finally:
        put_back(outside)


def probe_copy(run: SubjectCopy) -> Trace:
    """``probe`` on the copy of a subject, as it is now, with what the copy itself leaves unseen."""
    copied = run.copied
    trace = probe(run.model, run.objective, run.batch, seed=run.seed, loss=copied.loss, originals=copied.originals)
    return replace(trace, blind_spots=(*copied.blind_spots, *trace.blind_spots))


def _probe(
    model: nn.Module,
    objective: Objective,
    batch: Any,
    seed: int,
    loss_module: nn.Module | None,
    outside: list[tuple[Tensor, Tensor | None]],
    originals: Originals | None,
) -> Trace:
    batch_size = size_of(batch)
    names = {id(parameter): name for name, parameter in named_parameters(model, loss_module)}
    for _, parameter in named_parameters(model, loss_module):
        parameter.grad = None
    tape, loss, output, blind = _forward(model, objective, batch, names, batch_size, seed, originals)
    spots = list(blind) + (originals.refuse_met() if originals is not None else [])
    if not names:
        names |= {id(parameter): name for name, parameter in named_parameters(model, loss_module)}
    trunk, watch, graph, course = None, Watch(), None, None
    chains: tuple[Any, ...] = ()
    if loss.grad_fn is not None:
        graph = graph_of(loss.grad_fn)
        course = course_to_input(graph, tape)
        chains = recurrences(tape)
        _forget_activations(tape)
        points, inner = (list(course.trunk), course.inner) if course is not None else ([], ())
        known = [parameter for _, parameter in named_parameters(model, loss_module)]
        outside.extend(gradients_outside(graph, [*known, *tape.leaves.values()]))
        if originals is not None:
            originals.refuse_leaves(leaf for leaf, _ in outside)
        watch_likelihoods(tape.operations)
        watch = watch_backward(loss, graph, points, inner, known)
        if course is not None:
            trunk = steps_along(course, graph, tape, watch.log10_norm)
    parameters = _parameters(model, loss_module, tape, graph, watch)
    parameters = _with_cuts(parameters, tape)
    share, operation = to_records.underflow(watch, course, graph, tape)
    spots += to_records.blind_spots(model, tape, graph)
    mean, std = to_records.inputs(tape, batch)
    dtype = to_records.narrowest(tape, loss)
    return Trace(
        operations=to_records.operations(tape, graph, watch),
        trunk=trunk,
        parameters=parameters,
        loss=float(loss.detach()),
        batch_size=batch_size,
        training=model.training,
        dtype=dtype,
        input_mean=mean,
        input_std=std,
        input_spread=output_spread(first_tensor(batch), batch_size),
        output_spread=output_spread(output, batch_size),
        smallest_normal=torch.finfo(getattr(torch, dtype)).tiny,
        underflow_share=share,
        recurrences=chains,
        blind_spots=tuple(spots),
        underflow_operation=operation,
        cuts=to_records.cuts(tape),
        routings=routings(tape.choices.values(), list(named_parameters(model, loss_module))),
    )


def needs_hunt(trace: Trace) -> bool:
    """Return whether a number that is not finite, or a gradient of exactly zero on its whole way, is worth a pass of its own."""
    norms = [parameter.log10_gradient for parameter in trace.parameters if parameter.connected]
    gone = bool(norms) and all(norm == -math.inf for norm in norms)
    norms += [] if trace.trunk is None else [step.log10_gradient + step.decades for step in trace.trunk.steps]
    gone = gone or (trace.trunk is not None and trace.trunk.decades == -math.inf)
    return gone or not math.isfinite(trace.loss) or any(math.isnan(norm) for norm in norms)


def hunt(model: nn.Module, objective: Objective, batch: Any, *, seed: int = 0) -> NonFinite | None:
    """The origin of the first inf or NaN: the input, a parameter, or an operation."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return NonFinite("nan", "parameter", None, name, "", None)
    tape = Tape({}, size_of(batch))
    seed_torch(seed)
    found = first_nonfinite(
        model, lambda: scalar(objective(model, clone_batch(batch))[0]), tape, lambda taped: taped.index
    )
    for name, value in tape.inputs_seen:
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return NonFinite("nan" if bool(value.isnan().any()) else "inf", "input", None, name, "", None)
    return found


def _forward(
    model: nn.Module,
    objective: Objective,
    batch: Any,
    names: dict[int, str],
    batch_size: int | None,
    seed: int,
    originals: Originals | None,
) -> tuple[Tape, Tensor, Any, list[BlindSpot]]:
    """Run the model; one that does not bear an input that needs a gradient is run again without."""
    tape = Tape(names, batch_size)
    tape.flow.originals = originals
    try:
        seed_torch(seed)
        cloned = clone_batch(batch)
        tape.flow.given((cloned, list(model.buffers())))
        with tape.recording(model):
            loss, output = objective(model, cloned)
        tape.end_in(loss)
        return tape, scalar(loss), output, []
    except RuntimeError:
        if not tape.leaves:
            raise
    tape = Tape(names, batch_size)
    tape.differentiable, tape.flow.originals = False, originals
    seed_torch(seed)
    cloned = clone_batch(batch)
    tape.flow.given((cloned, list(model.buffers())))
    tape.inputs_seen = [("the batch", tensor) for tensor in tensors_in(cloned)]
    with tape.recording(model):
        loss, output = objective(model, cloned)
    tape.end_in(loss)
    return (
        tape,
        scalar(loss),
        output,
        [BlindSpot("it does not run on an input that needs a gradient; the trunk ends later", "input")],
    )


def scalar(loss: Any) -> Tensor:
    """The loss as a tensor without dimensions. Raises ``SubjectError`` for anything that is not one number."""
    if not isinstance(loss, Tensor):
        raise SubjectError(
            f"the loss is {type(loss).__name__}, not a tensor: return the tensor itself, without .item() or float()"
        )
    if loss.numel() != 1:
        shape = tuple(loss.shape)
        raise SubjectError(f"the loss has shape {shape}, expected a single number: reduce it, for example with .mean()")
    if loss.is_complex() or not loss.is_floating_point():
        raise SubjectError(
            f"the loss is {loss.dtype}, expected a real floating-point number: take .real, .abs() or .float() of it"
        )
    return loss.reshape(()) if loss.dim() else loss


def _forget_activations(tape: Tape) -> None:
    tape.sequences.clear()
    for reuse in tape.reuse.values():
        reuse.last = None


def _parameters(
    model: nn.Module, loss: nn.Module | None, tape: Tape, graph: Graph | None, watch: Watch
) -> tuple[Parameter, ...]:
    accumulates: dict[int, int] = {}
    for position, node in enumerate(graph.nodes if graph is not None else ()):
        variable = getattr(node, "variable", None)
        if variable is not None:
            accumulates[id(variable)] = position
    modules = [*model.modules(), *(loss.modules() if loss is not None else ())]
    seen = {*tape.taken, *tape.flow.parameters.values()}
    owners = {id(p): module for module in modules for p in own_parameters(module)}
    records = []
    for name, parameter in named_parameters(model, loss):
        reached = accumulates.get(id(parameter))
        label = watch.hidden.get(id(parameter)) if reached is None else watch.label[reached]
        owner = owners.get(id(parameter))
        records.append(
            Parameter(
                name=name,
                shape=tuple(parameter.shape),
                requires_grad=parameter.requires_grad,
                connected=label is not None,
                used=name in seen or (id(owner) in tape.ran and isinstance(owner, torch.jit.ScriptModule)),
                log10_gradient=-math.inf if label is None else true_log10_norm(watch, parameter.grad, label),
                norm=10.0 ** log10_norm([parameter.detach()]) if parameter.numel() else 0.0,
                location=construction_of(owner) if owner is not None else None,
                made=making_of(parameter),
                filled=fill_of(parameter),
                dtype=str(parameter.dtype).removeprefix("torch."),
            )
        )
    return (*records, *_strays(model, loss, tape, graph, watch))


def _with_cuts(parameters: tuple[Parameter, ...], tape: Tape) -> tuple[Parameter, ...]:
    """The same, with the cut that took a parameter its gradient; those cuts are added to the tape's."""
    lost = {
        parameter.name: math.prod(parameter.shape)
        for parameter in parameters
        if parameter.requires_grad and parameter.log10_gradient == -math.inf
    }
    if not lost or tape.end is None:
        return parameters
    blame = blamed(tape.flow, tape.end, lost)
    index = {id(cut): number for number, cut in enumerate(tape.cuts)}
    for cut in blame.values():
        if id(cut) not in index:
            index[id(cut)] = len(tape.cuts)
            tape.cuts.append(cut)
    return tuple(
        replace(parameter, cut=index[id(blame[parameter.name])]) if parameter.name in blame else parameter
        for parameter in parameters
    )


def _strays(model: nn.Module, loss: nn.Module | None, tape: Tape, graph: Graph | None, watch: Watch) -> list[Parameter]:
    """Leaves of the graph that are neither the model's parameters nor its inputs: weights that nothing registered."""
    known = {id(p) for _, p in named_parameters(model, loss)} | {id(leaf) for leaf in tape.leaves.values()}
    known |= tape.flow.originals.names.keys() if tape.flow.originals is not None else set()
    # What a derivative is taken by is a coordinate, and a view of an input that is declared a leaf is an input: no weights.
    known |= {id(leaf) for leaf in tape.flow.coordinates}
    inputs = [*(value for _, value in tape.inputs_seen), *tape.handed]
    given = {place for value in inputs if (place := memory_of(value))}
    strays = []
    for position, node in enumerate(graph.nodes if graph is not None else ()):
        leaf = getattr(node, "variable", None)
        if leaf is None or id(leaf) in known or leaf.numel() < 2 or memory_of(leaf) in given:
            continue
        strays.append(
            Parameter(
                name=f"an unregistered tensor of shape {tuple(leaf.shape)}",
                shape=tuple(leaf.shape),
                requires_grad=True,
                connected=True,
                used=True,
                log10_gradient=true_log10_norm(watch, leaf.grad, watch.label[position]),
                norm=10.0 ** log10_norm([leaf.detach()]),
                location=tape.made[id(leaf)][1] if id(leaf) in tape.made else construction_of_weight(leaf),
                registered=False,
                made_in_pass=id(leaf) in tape.made,
                dtype=str(leaf.dtype).removeprefix("torch."),
            )
        )
    return strays


def output_spread(output: Any, batch_size: int | None) -> float | None:
    """Share of the energy of the model's output that differs between samples; None where there is nothing to compare."""
    tensor = first_tensor(output)
    if tensor is None or not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.dim():
        return None
    sample = take(tensor, batch_size)
    if sample is None or sample.shape[0] < 2 or not bool(sample.any()):
        return None
    share = float(spread(sample, batch_size))
    return share if math.isfinite(share) else None
