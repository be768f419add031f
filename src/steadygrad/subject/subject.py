"""The subject of a check: model, batch, objective and optimizer put together, and every assumption named.

What the user gave is used as it is; what is missing is made by the other files of this room. Must not measure anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.copies.copying import copy_optimizer, unwrapped
from steadygrad.errors import BatchError, SubjectError, UserCodeError
from steadygrad.objective import (
    Objective,
    check_batch,
    check_training_step,
    has_forward,
    has_training_step,
    loss_in,
    own_loss,
    training_step,
    with_loss,
)
from steadygrad.record import Assumption
from steadygrad.subject.batches import Batches, is_source
from steadygrad.subject.default_loss import Assumed, assume_for_target, assume_loss
from steadygrad.subject.device_and_dtype import place_batch
from steadygrad.subject.dry_run import Attempts, attempts, in_short
from steadygrad.subject.inputs import TensorSpec, draw, in_words
from steadygrad.subject.lightning_data import is_data_module, loader_of, own_loader
from steadygrad.subject.made_inputs import Inputs, synthesise
from steadygrad.subject.optimizers import OptimizerLike, choose_optimizer, trainable_parameters
from steadygrad.torch_internals.tensors import tree_leaves

LossFunction = Callable[..., Any]


@dataclass(frozen=True)
class Subject:
    """The subject of a check. ``objective(model, batch)`` gives (loss, output) of the model or of a copy of it."""

    model: nn.Module
    batch: Any
    objective: Objective
    loss_module: nn.Module | None
    """The loss, where it is a module and so may have parameters of its own."""
    optimizer: torch.optim.Optimizer
    loss_name: str
    batch_words: str
    assumptions: tuple[Assumption, ...]
    target: str
    seed: int
    batches: Batches | None = None
    """Where fresh batches come from, of which ``batch`` is the first; None where there is no other."""
    typed: tuple[str, ...] = ()
    """The target and options of the command line that made it; empty for a call."""


@dataclass(frozen=True)
class _Task:
    """The batch with its loss, and the words for both."""

    batch: Any
    objective: Objective
    loss_name: str
    batch_words: str
    assumptions: tuple[Assumption, ...] = ()


def make_subject(
    model: nn.Module,
    batch: Any = None,
    loss_fn: LossFunction | None = None,
    *,
    optimizer: OptimizerLike = None,
    seed: int = 0,
    inputs: Sequence[TensorSpec] = (),
    target: str = "",
    before_step: Callable[..., Any] | None = None,
    said: Assumption | None = None,
) -> Subject:
    """Put a subject together; model and optimizer are not changed.

    ``batch`` is one, or where batches come from (``subject.batches``), of which the first is probed. ``inputs`` are the
    shapes of the model's inputs where there is no batch. ``before_step`` is a step pre-hook of the loop's, a clip;
    ``said`` what was not given, but found. Raises ``SteadygradError`` where something that is needed can
    neither be found nor made, ``UserCodeError`` where the model fails on the batch it was given.
    """
    if not isinstance(model, nn.Module):
        raise SubjectError(f"the model is {type(model).__name__}, expected a torch.nn.Module")
    if loss_fn is not None and not callable(loss_fn):
        raise SubjectError(f"the loss is {type(loss_fn).__name__}, expected a function of (output, target)")
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise SubjectError(
            "the model is on the meta device and has no numbers; call to_empty and initialise it, or load it"
        )
    trainable_parameters(model)
    if is_data_module(batch):
        batch = loader_of(batch)
    elif batch is None and loss_fn is None and not inputs and _has_training_step(model):
        batch, own = own_loader(model)
        said = said or own
    batches = None
    if is_source(batch):
        batches = Batches(batch, seed=seed, prepare=lambda drawn: _ready(drawn, model, with_target=loss_fn is not None))
        batch = batches.at(0)
    batch = _plain(batch)
    chosen, assumed = choose_optimizer(model, optimizer)
    if before_step is not None:
        chosen = _with_hook(chosen, before_step)
    given = batch is not None
    task = _with_batch(model, batch, loss_fn, seed) if given else _without_batch(model, loss_fn, inputs, seed)
    words = task.batch_words
    if batches is not None:
        fresh = batches.keep_apart()
        moved = ", which has moved on" if batches.is_iterator else ""
        words = f"{words}, {'fresh ones' if fresh else 'the only one'} of {batches.words}{moved}"
        batches = batches if fresh else None
    return Subject(
        model=model,
        batch=task.batch,
        objective=task.objective,
        loss_module=loss_fn if isinstance(loss_fn, nn.Module) else None,
        optimizer=chosen,
        loss_name=task.loss_name,
        batch_words=words,
        assumptions=tuple(filter(None, (said, *task.assumptions, assumed))),
        target=target,
        seed=seed,
        batches=batches,
    )


def _with_hook(optimizer: torch.optim.Optimizer, hook: Callable[..., Any]) -> torch.optim.Optimizer:
    """Another optimizer of the same parameters with the hook; the one given stays without."""
    own = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    beside = copy_optimizer(optimizer, dict(own), [])
    if beside is None:
        raise SubjectError(f"{type(optimizer).__name__} cannot be copied, so no clip can be put before its steps")
    beside.register_step_pre_hook(hook)
    return beside


def _ready(drawn: Any, model: nn.Module, *, with_target: bool) -> Any:
    """A batch of a loader as the model takes it: plain dicts, on the model's device and in its precision, as a loop does."""
    batch = _plain(drawn)
    check_batch(batch, with_target=with_target)
    if not any(isinstance(leaf, Tensor) for leaf in tree_leaves(batch)):
        raise BatchError(
            f"the batches hold no tensors ({type(drawn).__name__}); give a DataLoader or what collates them"
        )
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    if first is None or isinstance(first, nn.UninitializedParameter):
        return batch
    return place_batch(batch, str(first.device), None if first.dtype is torch.float32 else str(first.dtype))


def _plain(batch: Any) -> Any:
    """Dicts in place of what acts like one, as tokenizers return."""
    if isinstance(batch, Mapping):
        return {key: _plain(value) for key, value in batch.items()}
    if type(batch) in (tuple, list):
        return type(batch)(_plain(value) for value in batch)
    return batch


def _with_batch(model: nn.Module, batch: Any, loss_fn: LossFunction | None, seed: int) -> _Task:
    check_batch(batch, with_target=loss_fn is not None)
    words = in_words(batch)
    if loss_fn is not None:
        return _Task(batch, with_loss(loss_fn), name_of(loss_fn), words)
    if _has_training_step(model):
        return _Task(batch, training_step, "training_step", words)
    if isinstance(batch, dict) and "labels" in batch:
        return _Task(batch, own_loss, "the model's own", words)
    with attempts(model, seed) as attempt:
        return _loss_found(attempt, batch, words, seed)


def _loss_found(attempt: Attempts, batch: Any, words: str, seed: int) -> _Task:
    """Choose a loss where none was given: the output's own, else one between output and target of a pair, else an assumed one."""
    whole = attempt(batch, grad=True)
    if whole.error is None and loss_in(whole.output) is not None:
        return _Task(batch, own_loss, "the model's own", words)
    if isinstance(batch, (tuple, list)) and len(batch) == 2 and isinstance(batch[1], Tensor):
        alone = attempt(batch[0], grad=True)
        if alone.error is None:
            assumed = assume_for_target(alone.output, batch[1])
            return _Task(tuple(batch), with_loss(assumed.loss_fn), assumed.name, words, (assumed.assumption,))
    if whole.error is not None:
        raise UserCodeError("the model raised this on the batch that it was given") from whole.error
    return _assumed(Inputs(batch, words, whole.output), seed, ())


def _without_batch(model: nn.Module, loss_fn: LossFunction | None, specs: Sequence[TensorSpec], seed: int) -> _Task:
    with attempts(model, seed) as attempt:
        if loss_fn is None and _has_training_step(model):
            return _for_training_step(attempt, specs, seed)
        made = _drawn(attempt, specs, seed) if specs else synthesise(attempt, seed)
        said = () if specs else (Assumption("batch", made.words),)
        if loss_fn is not None:
            return _target_for(attempt, made, loss_fn, said, seed)
        if loss_in(made.output) is not None:
            return _Task(made.values, own_loss, "the model's own", made.words, said)
        return _assumed(made, seed, said)


def _assumed(made: Inputs, seed: int, said: tuple[Assumption, ...]) -> _Task:
    assumed = assume_loss(made.output, made.values, torch.Generator().manual_seed(seed))
    batch = (made.values, assumed.target)
    return _Task(batch, with_loss(assumed.loss_fn), assumed.name, made.words, (*said, assumed.assumption))


def _target_for(
    attempt: Attempts, made: Inputs, loss_fn: LossFunction, said: tuple[Assumption, ...], seed: int
) -> _Task:
    """A target that the user's loss takes: as the output suggests, else one of the output's own shape."""
    suggested: Assumed = assume_loss(made.output, made.values, torch.Generator().manual_seed(seed))
    choices = [(suggested.target, suggested.against)]
    if isinstance(made.output, Tensor):
        noise = torch.Generator().manual_seed(seed)
        like = torch.randn(made.output.shape, generator=noise).to(made.output.device, made.output.dtype)
        choices += [(like, "targets of N(0, 1)"), ((like > 0).to(like.dtype), "random 0 and 1")]
    failed: Exception | None = None
    for target, words in choices:
        ran = attempt((made.values, target), run=with_loss(loss_fn), grad=True)
        if ran.error is None:
            batch = (made.values, target)
            return _Task(batch, with_loss(loss_fn), name_of(loss_fn), made.words, (*said, Assumption("target", words)))
        failed = failed or ran.error
    assert failed is not None
    if isinstance(failed, SubjectError):
        raise failed
    raise SubjectError(
        f"no target can be made for {name_of(loss_fn)} ({in_short(failed)}); give a batch (x, y)"
    ) from failed


def _for_training_step(attempt: Attempts, specs: Sequence[TensorSpec], seed: int) -> _Task:
    """A batch for ``training_step``: (x, y) with y as the output of ``forward`` suggests, else x alone."""
    if not has_forward(attempt.model):
        raise BatchError(
            f"{type(attempt.model).__name__} has no forward and no train_dataloader, so no batch can be made for it; give "
            "one with --batch file.py:name, a DataLoader or a LightningDataModule, or as batch="
        )
    made = _drawn(attempt, specs, seed) if specs else synthesise(attempt, seed)
    assumed = assume_loss(made.output, made.values, torch.Generator().manual_seed(seed))
    failed: Exception | None = None
    for batch, more in (((made.values, assumed.target), assumed.against), (made.values, "")):
        ran = attempt(batch, run=training_step, grad=True)
        if ran.error is None:
            words = f"{made.words}, with {more}" if more else made.words
            return _Task(batch, training_step, "training_step", made.words, (Assumption("batch", words),))
        failed = failed or ran.error
    raise UserCodeError(
        "training_step raised this on a batch made for it; give one with --batch file.py:function"
    ) from failed


def _drawn(attempt: Attempts, specs: Sequence[TensorSpec], seed: int) -> Inputs:
    """Return inputs as ``--input`` asks for them, and the model's output for them."""
    generator = torch.Generator().manual_seed(seed)
    first = next((p for p in attempt.model.parameters() if p.is_floating_point() or p.is_complex()), None)
    device = first.device if first is not None else torch.device("cpu")
    rows = next((m.num_embeddings for m in attempt.model.modules() if isinstance(m, nn.Embedding)), None)
    values = []
    for spec in specs:
        if spec.dtype is torch.float32 and first is not None:
            spec = replace(spec, dtype=first.dtype)
        elif spec.high is None and rows is not None and not (spec.dtype.is_floating_point or spec.dtype is torch.bool):
            spec = replace(spec, high=rows)
        values.append(draw(spec, generator, device))
    inputs = values[0] if len(values) == 1 else tuple(values)
    ran = attempt(inputs, grad=True)
    words = ", ".join(spec.words for spec in specs)
    if ran.error is not None:
        raise UserCodeError(f"{type(attempt.model).__name__} raised this on --input ({words})") from ran.error
    return Inputs(inputs, words, ran.output)


def _has_training_step(model: nn.Module) -> bool:
    if not has_training_step(unwrapped(model)):
        return False
    check_training_step(unwrapped(model))
    return True


def name_of(loss_fn: LossFunction) -> str:
    """ "cross_entropy", "MSELoss", "lambda at line 12"."""
    if isinstance(loss_fn, functools.partial):
        return name_of(loss_fn.func)
    name = getattr(loss_fn, "__name__", None) or type(loss_fn).__name__
    code = getattr(loss_fn, "__code__", None)
    return f"lambda at line {code.co_firstlineno}" if name == "<lambda>" and code is not None else str(name)
