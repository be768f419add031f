"""The optimizer of a subject: given, described in words (``adamw:3e-4``), configured by the module itself, or assumed.

May rely on ``torch.optim``; must not step anything or look at a gradient.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from steadygrad.errors import SettingsError, SubjectError
from steadygrad.record import Assumption
from steadygrad.written import nearest

DEFAULT_RATE = 1e-3

# Adam refuses sparse gradients; Adagrad takes both kinds, and 0.01 is its own default rate.
SPARSE_RATE = 1e-2

_CLASSES: dict[str, type[torch.optim.Optimizer]] = {
    name.lower(): value
    for name, value in vars(torch.optim).items()
    if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
}

OptimizerLike = torch.optim.Optimizer | str | Callable[[list[nn.Parameter]], torch.optim.Optimizer] | None
"""An optimizer, ``"sgd:0.1,momentum=0.9"``, a function that makes one from parameters, or None: found, or assumed."""

Chosen = tuple[torch.optim.Optimizer, Assumption | None]
"""An optimizer, and what was assumed with it (None = the user chose it)."""


_WRAPPERS = {
    "AcceleratedOptimizer": "optimizer",
    "LightningOptimizer": "optimizer",
    "_FabricOptimizer": "optimizer",
    "OptimWrapper": "opt",
}
"""Classes of trainers that hold the optimizer that steps, with the attribute that it is in."""


def innermost(optimizer: Any) -> Any:
    """The optimizer that a trainer's wrapper holds; any other as it is."""
    while held := next(
        (_WRAPPERS[kind.__name__] for kind in type(optimizer).__mro__ if kind.__name__ in _WRAPPERS), None
    ):
        optimizer = getattr(optimizer, held)
    return optimizer


def kind_of(given: Any) -> str:
    """The class in words, with its package: a library's own ``Optimizer`` is not torch's."""
    package = type(given).__module__.partition(".")[0]
    return type(given).__name__ if package == "builtins" else f"{package}'s {type(given).__name__}"


def choose_optimizer(model: nn.Module, given: Any) -> Chosen:
    """Make the optimizer from one, a spec (``"sgd:0.1,momentum=0.9"``), a function of parameters, or nothing."""
    given = innermost(given)
    if isinstance(given, torch.optim.Optimizer):
        return given, None
    trainable = trainable_parameters(model)
    if isinstance(given, str):
        optimizer = parse_optimizer(given, trainable)
        return optimizer, _in_own_groups(model, optimizer)
    if callable(given):
        made = given(trainable)
        if not isinstance(made, torch.optim.Optimizer):
            raise SubjectError(f"the optimizer's function returned {type(made).__name__}, expected an optimizer")
        return made, None
    if given is not None:
        raise SubjectError(f"the optimizer is {kind_of(given)}, expected one of torch.optim")
    configured, why_not = _configured(model)
    if configured is not None:
        return configured
    optimizer, words = _assumed(model, trainable)
    own = _in_own_groups(model, optimizer)
    words = words if own is None else f"{words}, {own.words}"
    return optimizer, Assumption("optimizer", f"{words}, since {why_not}" if why_not else words)


def _in_own_groups(model: nn.Module, optimizer: torch.optim.Optimizer) -> Assumption | None:
    """Put the optimizer's parameters into the groups of a method that ``steadygrad scale`` wrote; None where there is none."""
    own: Callable[[nn.Module, float], list[dict[str, Any]]] | None = getattr(type(model), "parameter_groups", None)
    if own is None or "steadygrad scale" not in (own.__doc__ or "") or "lr" not in optimizer.defaults:
        return None
    groups = own(model, optimizer.defaults["lr"])
    optimizer.param_groups.clear()
    for group in groups:
        optimizer.add_param_group(group)
    return Assumption("optimizer", f"in the groups of {type(model).__name__}.parameter_groups", by_default=False)


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Parameters that ask for a gradient. Raises ``SubjectError`` where there are none."""
    parameters = list(model.parameters())
    name = type(model).__name__
    if not parameters:
        raise SubjectError(
            f"{name} has no parameters, so there is nothing to train: keep layers in attributes of the module or in an "
            "nn.ModuleList, not in a plain list, so that it registers them"
        )
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    if not trainable:
        raise SubjectError(f"every parameter of {name} is frozen: set requires_grad=True on those that shall train")
    return trainable


def _assumed(model: nn.Module, trainable: list[nn.Parameter]) -> tuple[torch.optim.Optimizer, str]:
    if any(getattr(module, "sparse", False) is True for module in model.modules()):
        adagrad = torch.optim.Adagrad(trainable, lr=SPARSE_RATE)
        return (
            adagrad,
            f"Adagrad, learning rate {SPARSE_RATE:g}, which takes the embedding's sparse gradients",
        )
    return torch.optim.AdamW(trainable, lr=DEFAULT_RATE), f"AdamW, learning rate {DEFAULT_RATE:g}"


def _configured(model: nn.Module) -> tuple[Chosen | None, str]:
    """Return the optimizer of ``configure_optimizers``, or the reason why it gives none."""
    configure: Callable[[], Any] | None = getattr(model, "configure_optimizers", None)
    if not hasattr(model, "training_step") or not callable(configure):
        return None, ""
    before = dict(vars(model))
    try:
        found = _optimizers_in(configure())
    except Exception as error:
        # Without a trainer, a schedule that asks for its number of steps cannot be made.
        return None, f"configure_optimizers raised {type(error).__name__} without a trainer"
    finally:
        # Some keep the schedule as an attribute.
        vars(model).clear()
        vars(model).update(before)
    if not found:
        return None, "configure_optimizers gave none"
    if len(found) > 1:
        first = f"the first of the {len(found)} that configure_optimizers gives"
        return (found[0], Assumption("optimizer", first, by_default=False)), ""
    return (found[0], Assumption("file", "the optimizer of configure_optimizers", by_default=False)), ""


def _optimizers_in(value: Any) -> list[torch.optim.Optimizer]:
    if isinstance(value, torch.optim.Optimizer):
        return [value]
    if isinstance(value, Mapping):
        return _optimizers_in(value.get("optimizer"))
    if isinstance(value, (list, tuple)):
        return [optimizer for item in value for optimizer in _optimizers_in(item)]
    return []


def parse_optimizer(spec: str, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """``adamw:3e-4``, ``sgd:0.1,momentum=0.9``, ``lbfgs``. Raises ``SettingsError``."""
    name, _, rest = spec.partition(":")
    kind = _CLASSES.get(name.strip().lower())
    if kind is None:
        near = nearest(name, _CLASSES)
        hint = f"did you mean {_CLASSES[near].__name__}?" if near else "name one of torch.optim, such as adamw:3e-4"
        raise SettingsError(f"no optimizer {name!r} in torch.optim; {hint}")
    options = _options(spec, kind, rest)
    try:
        return kind(parameters, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingsError(f"{kind.__name__} does not take {spec!r}: {str(error).splitlines()[0]}") from None


def _options(spec: str, kind: type[torch.optim.Optimizer], text: str) -> dict[str, Any]:
    known = [name for name in inspect.signature(kind).parameters if name not in ("self", "params")]
    options: dict[str, Any] = {}
    for position, item in enumerate(_split(text)):
        name, equals, value = item.partition("=")
        if not equals:
            name, value = "lr", item
            if position:
                raise SettingsError(f"{item!r} in {spec!r} has no name; write it as sgd:0.1,momentum=0.9")
        name = name.strip()
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else f"it takes {', '.join(known)}"
            raise SettingsError(f"{kind.__name__} has no option {name!r}; {hint}")
        try:
            options[name] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            raise SettingsError(f"{name} in {spec!r} is {value!r}, expected a number, as in adamw:3e-4") from None
    return options


def _split(text: str) -> list[str]:
    """Split at commas outside brackets, so that ``betas=(0.9,0.95)`` stays whole."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
