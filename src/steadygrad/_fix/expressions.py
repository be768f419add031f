"""Changes at the expressions themselves: where a layer is constructed, or a function is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from steadygrad._fix import names
from steadygrad._fix.draft import Draft, paths_of
from steadygrad._fix.source import Source, libcst, set_argument
from steadygrad._fix.training import function_around, optimizer_call
from steadygrad.cures.normalise import groups_of, width_of
from steadygrad.cures.swap_activation import MODULES
from steadygrad.errors import CannotFixError
from steadygrad.record import Edit, Location, Operation, Site
from steadygrad.source.spans import construction_of

_TORCH_ACTIVATIONS = {name for name, value in vars(nn.modules.activation).items() if isinstance(value, type)}

_IN_PLACE = {"relu": "relu_", "leaky_relu": "leaky_relu_", "elu": "elu_", "selu": "selu_"}
"""Activations that torch has as in-place functions too."""


def swap(draft: Draft, edit: Edit) -> None:
    module = MODULES[edit.to]().__class__.__name__
    for site in edit.sites:
        operation = draft.operation(site)
        if operation.module_type in _TORCH_ACTIVATIONS:
            place = draft.construction(site.module)
            source = draft.source(place.path)
            source.replace(source.at(place), f"{names.nn(source)}.{module}()")
        elif site.call is not None:
            source = draft.source(site.call.path)
            call = source.at(site.call)
            function = edit.to
            if source.code(call.func).endswith("_") or "inplace" in source.code(call):
                if edit.to not in _IN_PLACE:
                    raise CannotFixError(f"torch has no {edit.to} that works in place, as {site.name} does")
                function = _IN_PLACE[edit.to]
            _call_instead(source, call, site.name, f"{names.functional(source)}.{function}")
        else:
            raise CannotFixError(f"where {site.name} is called is not known")


def _call_instead(source: Source, call: Any, name: str, function: str) -> None:
    """``function`` of what the activation is applied to; "" = the argument alone, without a call."""
    argument = _argument_of(source, call, name)
    start, end = source.spans[call]
    if argument is None:
        dot = source.text.rindex(".", start, source.spans[call.func.attr][0])
        owner = source.text[:dot].rstrip()
        if "#" not in owner.splitlines()[-1]:
            dot = len(owner)
        source.splice(start, start, f"{function}(" if function else "")
        source.splice(dot, end, ")" if function else "")
        return
    first, last = source.spans[argument.value]
    whole = source.spans[argument]
    if not function:
        simple = isinstance(argument.value, (libcst().Name, libcst().Call, libcst().Attribute, libcst().Subscript))
        bare = simple and "\n" not in source.text[first:last]
        source.splice(start, first, "" if bare else "(")
        source.splice(last, end, "" if bare else ")")
        return
    source.splice(start, whole[0], f"{function}(")
    if len(call.args) > 1:
        source.splice(whole[1], end, ")")


def _argument_of(source: Source, call: Any, name: str) -> Any:
    """The argument that the activation is applied to; None where it is a method of the object itself."""
    cst = libcst()
    func = call.func
    if isinstance(func, cst.Attribute) and func.attr.value.strip("_") == name.strip("_"):
        number = bool(call.args) and isinstance(call.args[0].value, (cst.Integer, cst.UnaryOperation))
        owner = source.code(func.value)
        if owner not in names.modules(source) and (not call.args or call.args[0].keyword is not None or number):
            return None
    found = [a for a in call.args if a.keyword is not None and a.keyword.value == "input"] or list(call.args[:1])
    if not found or found[0].star or (found[0].keyword is not None and found[0].keyword.value != "input"):
        raise CannotFixError(f"{source.code(call)[:40]!r} has no plain argument")
    if found[0].keyword is not None and call.args[0] is not found[0]:
        raise CannotFixError(f"{source.code(call)[:40]!r} names its input behind other arguments")
    return found[0]


def normalise(draft: Draft, edit: Edit) -> None:
    """A norm where a torch activation is constructed, if it serves one place; else behind the layer's construction."""
    kind, _, side = edit.to.partition(" ")
    modules = [site.module for site in edit.sites]
    for site in edit.sites:
        activation = draft.operation(site)
        shape = activation.output_shape
        alone = activation.module_type in _TORCH_ACTIVATIONS and modules.count(site.module) == 1
        if alone and _one_width(draft, edit.sites, draft.construction(site.module)):
            place = draft.construction(site.module)
            source = draft.source(place.path)
            prefix = f"{names.nn(source)}.Sequential("
            text = _norm(kind, shape, names.nn(source), _width_here(draft, activation, source))
            call = source.at(place)
            before, behind = (f"{prefix}{text}, ", ")") if side == "before" else (prefix, f", {text})")
            source.wrap(call, before, behind)
            continue
        layer = draft.net.in_front_of(activation)
        if side != "before":
            raise CannotFixError("a norm behind an activation that is a function call has no one place in the source")
        if layer is None:
            raise CannotFixError(f"no layer stands in front of {site.name} alone")
        (path,) = paths_of([layer])

        def norm(source: Source, call: Any, shape: tuple[int, ...] = shape) -> str:
            return _norm(kind, shape, names.nn(source), out_features(source, call, width_of(shape)))

        wrap_layer(draft, path, norm)


def _width_here(draft: Draft, activation: Operation, source: Source) -> str:
    """The width of what an activation is given, as the layer in front says it in the same function; else the number."""
    width, layer = width_of(activation.output_shape), draft.net.in_front_of(activation)
    if layer is not None and layer.operation.weight.endswith(".weight"):
        place = construction_of(draft.subject.model.get_submodule(layer.operation.weight.removesuffix(".weight")))
        own = construction_of(draft.subject.model.get_submodule(activation.module))
        if place is not None and own is not None and draft.source(place.path) is source:
            call, home = source.at(place), function_around(source, source.at(own))
            if function_around(source, call) is home:
                return out_features(source, call, width)
    return str(width)


def _one_width(draft: Draft, sites: Sequence[Site], place: Location) -> bool:
    """Return whether the activations constructed at one place all have the same shape, so that one number serves them all."""
    shapes = {
        draft.operation(site).output_shape[1:]
        for site in sites
        if draft.operation(site).module_type in _TORCH_ACTIVATIONS and draft.construction(site.module) == place
    }
    return len(shapes) == 1


def _norm(kind: str, shape: tuple[int, ...], prefix: str, width: str) -> str:
    if kind == "batch" and len(shape) in (2, 4, 5):
        return f"{prefix}.BatchNorm{ {2: 1, 4: 2, 5: 3}[len(shape)] }d({width})"
    if kind == "layer" and len(shape) < 4:
        return f"{prefix}.LayerNorm({width})"
    if kind == "rms" and len(shape) < 4:
        return f"{prefix}.RMSNorm({width})"
    if kind == "group" and len(shape) != 3:
        return f"{prefix}.GroupNorm({groups_of(shape[1])}, {width})"
    raise CannotFixError(f"{kind} norm has no plain module for a result of shape {shape}")


def wrap_layer(draft: Draft, path: str, behind: Callable[[Source, Any], str]) -> None:
    """``nn.Linear(a, b)`` becomes ``nn.Sequential(nn.Linear(a, b), …)`` where it is constructed."""
    place = draft.construction(path)
    source = draft.source(place.path)
    call = source.at(place)
    source.wrap(call, f"{names.nn(source)}.Sequential(", f", {behind(source, call)})")
    note = f"display only: {path}.weight is called {path}.0.weight now; rename it in an old checkpoint"
    if not any(".0.weight now" in told for told in draft.told):
        draft.told.append(note)


def out_features(source: Source, call: Any, width: int | None = None) -> str:
    """Return the text of a layer's second argument; the number itself where the arguments do not show it."""
    for keyword in ("out_features", "out_channels"):
        for argument in call.args:
            if argument.keyword is not None and argument.keyword.value == keyword:
                return source.code(argument.value)
    plain = [argument for argument in call.args if argument.keyword is None]
    if len(plain) > 1 and not plain[0].star and not plain[1].star:
        return source.code(plain[1].value)
    if width is not None:
        return str(width)
    raise CannotFixError(f"the width of {source.code(call)[:40]!r} cannot be read off its arguments")


def set_up(draft: Draft, edit: Edit) -> None:
    if edit.to == "decay":
        source, call = optimizer_call(draft)
        set_argument(source, call, "weight_decay", f"{edit.value:g}")
        return
    if edit.to == "standardise":
        raise CannotFixError(
            "display only: standardise the data where they are loaded, (x - mean) / std of each feature"
        )
    if edit.to == "cross-entropy":
        raise CannotFixError("display only: the loss is made outside; take binary_cross_entropy_with_logits there")
    (site,) = edit.sites
    if draft.operation(site).module_type in _TORCH_ACTIVATIONS:
        place = draft.construction(site.module)
        source = draft.source(place.path)
        source.replace(source.at(place), f"{names.nn(source)}.Identity()")
    elif site.call is not None:
        source = draft.source(site.call.path)
        _call_instead(source, source.at(site.call), site.name, "")
    else:
        raise CannotFixError(f"where {site.name} is called is not known")


def pre_norm(draft: Draft, edit: Edit) -> None:
    """``norm_first=True`` where the layer is constructed, and a norm at the end where the stack is."""
    for site in edit.sites:
        source, call = _encoder_layer(draft, site.module)
        set_argument(source, call, "norm_first", "True")
        for path, module in draft.subject.model.named_modules():
            stack = isinstance(module, (nn.TransformerEncoder, nn.TransformerDecoder)) and module.norm is None
            if stack and site.module.startswith(f"{path}."):
                place = draft.construction(path)
                outer = draft.source(place.path)
                width = source.code(call.args[0].value) if outer is source else str(_width(module))
                set_argument(outer, outer.at(place), "norm", f"{names.nn(outer)}.LayerNorm({width})")


def _width(stack: nn.Module) -> int:
    return next(int(m.normalized_shape[0]) for m in stack.modules() if isinstance(m, nn.LayerNorm))


def _encoder_layer(draft: Draft, path: str) -> tuple[Source, Any]:
    """The call that constructs a transformer layer; of copies that torch's own stack made, that of the one copied."""
    module = draft.subject.model.get_submodule(path)
    place = construction_of(module)
    if place is not None:
        source = draft.source(place.path)
        return source, source.at(place)
    stack = draft.construction(path.rpartition(".layers.")[0])
    source = draft.source(stack.path)
    kind = type(module).__name__
    calls = [call for call in source.calls() if source.code(call.func).rpartition(".")[2] == kind]
    if len(calls) != 1:
        raise CannotFixError(f"which {kind}(...) of {source.path.name} is meant is not known")
    return source, calls[0]
