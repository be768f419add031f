"""From a model and a batch to (loss, output): how a model is called, and where its loss is found.

Every objective takes the model as an argument, so that it runs on a copy as it does on the user's own. May rely on
torch; must not make data or choose a loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn

from steadygrad.errors import BatchError, SubjectError

Objective = Callable[[nn.Module, Any], tuple[Any, Any]]


def call_model(model: nn.Module, inputs: Any) -> Any:
    """Call with a tensor alone, a tuple as ``*args``, a dict as ``**kwargs``; the whole where only that fits the signature."""
    if isinstance(inputs, dict) and (accepts(model, **inputs) or not accepts(model, inputs)):
        return model(**inputs)
    if isinstance(inputs, tuple) and (accepts(model, *inputs) or not accepts(model, inputs)):
        return model(*inputs)
    if isinstance(inputs, list) and accepts(model, *inputs) and not accepts(model, inputs):
        return model(*inputs)
    return model(inputs)


def accepts(model: nn.Module, /, *args: Any, **kwargs: Any) -> bool:
    """Return whether ``forward`` takes these arguments by its signature (one that cannot be read takes everything)."""
    try:
        inspect.signature(model.forward).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def with_loss(loss_fn: Callable[..., Any]) -> Objective:
    """``loss_fn(model(x), y)`` of a batch ``(x, y)``."""

    def objective(model: nn.Module, batch: Any) -> tuple[Any, Any]:
        x, y = batch
        output = call_model(model, x)
        try:
            return loss_fn(output, y), output
        except (TypeError, AttributeError) as error:
            # The loss refuses it by name: "must be Tensor, not tuple". What fails further inside is the user's to see.
            if isinstance(output, Tensor) or type(output).__name__ not in str(error):
                raise
            raise SubjectError(_not_a_tensor(model, output, batch, loss_fn)) from error

    return objective


def _not_a_tensor(model: nn.Module, output: Any, batch: Any, loss_fn: Any) -> str:
    kinds = ", ".join(type(item).__name__ for item in output) if isinstance(output, (tuple, list)) else ""
    seen = f"{type(output).__name__} ({kinds})" if kinds else type(output).__name__
    name = getattr(loss_fn, "__name__", None) or type(loss_fn).__name__
    if accepts(model, *batch):
        return (
            f"the model's output is a {seen}, which {name} does not take; since forward takes the targets as well, leave "
            "the loss out, as in sg.check(model, (x, y)), and the model's own is used"
        )
    part = "output[0]" if kinds else "output.logits" if hasattr(output, "logits") else 'output["logits"]'
    return (
        f"the model's output is a {seen}, which {name} does not take; give the part that it takes, as in "
        f"lambda output, y: {name}({part}, y)"
    )


def own_loss(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    """The loss that the model's output holds, the whole batch being its input."""
    output = call_model(model, batch)
    loss = loss_in(output)
    if loss is None:
        raise SubjectError(
            "the model's output holds no loss; give a loss_fn and a batch (x, y), or labels that make it compute one"
        )
    return loss, output


def loss_in(output: Any) -> Any:
    """``.loss`` or ``["loss"]``, a tensor without dimensions, or the first such in a tuple; None for no such thing."""
    if isinstance(output, Mapping):
        if output.get("loss") is not None:
            return output["loss"]
        parts = list(output.values())
        if parts and all(_is_number(part) for part in parts) and any("loss" in str(key) for key in output):
            return sum(parts[1:], parts[0])
        return None
    if getattr(output, "loss", None) is not None:
        return output.loss
    if _is_number(output):
        return output
    if isinstance(output, (tuple, list)):
        return next((item for item in output if _is_number(item)), None)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 0 and value.is_floating_point()


def training_step(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    """The loss of ``training_step(batch, 0)`` and what ``forward`` gave on the way, if it ran."""
    outputs: list[Any] = []
    hook = model.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    step: Any = model.training_step
    try:
        with _without_trainer(model):
            result = step(batch, 0) if _takes_two(step) else step(batch)
    except (RuntimeError, AttributeError) as error:
        if _trainer.get() is None and any(words in str(error) for words in _MISSES_TRAINER):
            raise SubjectError(
                f"training_step of {type(model).__name__} uses its trainer, its logger or its optimizers ({error}), and a "
                "check has none of them; check it where it trains: steadygrad run --only-check train.py"
            ) from error
        raise
    finally:
        hook.remove()
    loss = result.get("loss") if isinstance(result, Mapping) else result
    if loss is None:
        raise SubjectError("training_step returned no loss; return the loss, or a dict with the key 'loss'")
    return loss, outputs[0] if outputs else None


_trainer: ContextVar[Any] = ContextVar("trainer", default=None)

_MISSES_TRAINER = ("is not attached to a `Trainer`", "'NoneType' object has no attribute 'experiment'")
"""In what Lightning raises, or its absent logger, where no trainer is attached."""


def has_training_step(model: nn.Module) -> bool:
    """Return whether the module says itself how it trains, as Lightning's do."""
    return callable(getattr(model, "training_step", None))


def has_forward(model: nn.Module) -> bool:
    """Return whether the module has a ``forward`` of its own; one of torch's or Lightning's base class only raises."""
    home = getattr(model.forward, "__module__", None) or ""
    return not home.startswith(("torch.nn.modules.module", "lightning.", "pytorch_lightning."))


def check_training_step(model: nn.Module) -> None:
    """Refuse a module whose ``training_step`` makes its own optimizer steps."""
    if getattr(model, "automatic_optimization", True) is False:
        raise SubjectError(
            f"{type(model).__name__} steps its optimizers by hand (automatic_optimization=False), so there is no one loss to "
            "check; give a batch (x, y) and a loss_fn instead, or watch it train with steadygrad run train.py"
        )


def _takes_two(step: Callable[..., Any]) -> bool:
    try:
        inspect.signature(step).bind(None, 0)
    except TypeError:
        return False
    return True


@contextmanager
def _without_trainer(model: nn.Module) -> Iterator[None]:
    """``self.log`` and its kin do nothing, also in a part that is such a module itself: there is no trainer to log to.

    A trainer at hand can be read all the same.
    """
    muted = [
        (vars(module), name)
        for module in model.modules()
        if module is model or has_training_step(module)
        for name in ("log", "log_dict")
        if callable(getattr(module, name, None)) and name not in vars(module)
    ]
    for own, name in muted:
        own[name] = _say_nothing
    attached = vars(model).get("_trainer")
    if _trainer.get() is not None:
        vars(model)["_trainer"] = _trainer.get()
    try:
        yield
    finally:
        if _trainer.get() is not None:
            vars(model)["_trainer"] = attached
        for own, name in muted:
            own.pop(name, None)


@contextmanager
def with_trainer(trainer: Any) -> Iterator[None]:
    """Within the block a ``training_step`` finds this trainer, which a copy of its module has not; None: none."""
    token = _trainer.set(trainer)
    try:
        yield
    finally:
        _trainer.reset(token)


def _say_nothing(*_: Any, **__: Any) -> None:
    return None


def check_batch(batch: Any, *, with_target: bool) -> None:
    """Refuse a batch that is no pair where a loss is given, that is empty, or that holds arrays instead of tensors."""
    if with_target and not (isinstance(batch, (tuple, list)) and len(batch) == 2):
        size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        if hasattr(batch, "__iter__") and not isinstance(batch, (tuple, list, Mapping, Tensor)):
            raise BatchError(f"the batch is a {type(batch).__name__}; give one batch of it, as next(iter(…)) does")
        raise BatchError(f"the batch is a {type(batch).__name__}{size}; with a loss it must be a pair (x, y)")
    for where, leaf in _leaves("batch", batch):
        if type(leaf).__module__ == "numpy" and hasattr(leaf, "dtype"):
            raise BatchError(f"{where} is a numpy array; make it a tensor with torch.from_numpy")
        if isinstance(leaf, Tensor) and leaf.numel() == 0:
            raise BatchError(f"{where} is empty (shape {tuple(leaf.shape)}); give at least one sample")


def _leaves(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{where}[{key!r}]", item)
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from _leaves(f"{where}[{index}]", item)
    else:
        yield where, value
