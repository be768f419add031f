"""Changes at the expressions themselves: where a layer is constructed, or a function is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from steadygrad.cures.swap_activation import MODULES
from steadygrad.errors import CannotFixError
from steadygrad.fix.draft import Draft, paths_of
from steadygrad.fix.source import Source, libcst, set_argument
from steadygrad.fix.training import optimizer_call
from steadygrad.record import Edit


def swap(draft: Draft, edit: Edit) -> None:
    module = MODULES[edit.to]().__class__.__name__
    for site in edit.sites:
        operation = draft.operation(site)
        if operation.module_type in _TORCH_ACTIVATIONS:
            place = draft.construction(site.module)
            source = draft.source(place.path)
            source.replace(source.at(place), f"{source.nn()}.{module}()")
        elif site.call is not None:
            source = draft.source(site.call.path)
            call = source.at(site.call)
            function = f"{source.torch()}.nn.functional.{edit.to}"
            source.replace(call, f"{function}({_argument_of(source, call, site.name)})")
        else:
            raise CannotFixError(f"where {site.name} is called is not known")


_TORCH_ACTIVATIONS = {name for name, value in vars(nn.modules.activation).items() if isinstance(value, type)}


def _argument_of(source: Source, call: Any, name: str) -> str:
    """What the activation is applied to: its first argument, or the object whose method it is."""
    cst = libcst()
    if isinstance(call.func, cst.Attribute) and call.func.attr.value.strip("_") == name.strip("_"):
        owner = source.code(call.func.value)
        if owner not in (
            source.torch_names[0],
            f"{source.torch_names[1]}.functional",
            "F",
            "functional",
            "torch.special",
        ):
            return owner
    if not call.args or call.args[0].star or call.func is None:
        raise CannotFixError(f"{source.code(call)[:40]!r} has no plain argument")
    return source.code(call.args[0].value)


def normalise(draft: Draft, edit: Edit) -> None:
    kind, _, side = edit.to.partition(" ")
    if side != "before":
        raise CannotFixError("a norm behind the activation has no one place in the source")
    for site in edit.sites:
        activation = draft.operation(site)
        layer = draft.net.in_front_of(activation)
        if layer is None:
            raise CannotFixError(f"no layer stands in front of {site.name} alone")
        shape = layer.operation.output_shape
        (path,) = paths_of([layer])

        def norm(source: Source, call: Any, shape: tuple[int, ...] = shape) -> str:
            width, prefix = out_features(source, call), source.nn()
            if kind == "batch" and len(shape) in (2, 4, 5):
                return f"{prefix}.BatchNorm{ {2: 1, 4: 2, 5: 3}[len(shape)] }d({width})"
            if kind == "layer" and len(shape) < 4:
                return f"{prefix}.LayerNorm({width})"
            if kind == "rms" and len(shape) < 4:
                return f"{prefix}.RMSNorm({width})"
            if kind == "group" and len(shape) != 3:
                groups = next(g for g in (32, 16, 8, 4, 2, 1) if shape[1] % g == 0 and (shape[1] // g >= 2 or g == 1))
                return f"{prefix}.GroupNorm({groups}, {width})"
            raise CannotFixError(f"{kind} norm has no plain module for a result of shape {shape}")

        wrap_layer(draft, path, norm)


def wrap_layer(draft: Draft, path: str, behind: Callable[[Source, Any], str]) -> None:
    """``nn.Linear(a, b)`` becomes ``nn.Sequential(nn.Linear(a, b), …)`` where it is constructed."""
    place = draft.construction(path)
    source = draft.source(place.path)
    call = source.at(place)
    text = behind(source, call)
    start, end = source.spans[call]
    source.splice(start, start, f"{source.nn()}.Sequential(")
    source.splice(end, end, f", {text})")


def out_features(source: Source, call: Any) -> str:
    """The text of a layer's second argument."""
    for keyword in ("out_features", "out_channels"):
        for argument in call.args:
            if argument.keyword is not None and argument.keyword.value == keyword:
                return source.code(argument.value)
    plain = [argument for argument in call.args if argument.keyword is None and not argument.star]
    if len(plain) > 1:
        return source.code(plain[1].value)
    if len(plain) == 1 and source.code(call.func).endswith(("Linear", "1d", "2d", "3d")) is False:
        return source.code(plain[0].value)
    raise CannotFixError(f"the width of {source.code(call)[:40]!r} cannot be read off its arguments")


def residual(draft: Draft, edit: Edit) -> None:
    """``x = f(layer(x))`` becomes ``x = x + scale * f(layer(x))``: span 1, where layer and activation stand in one expression."""
    if edit.span != 1:
        raise CannotFixError("a skip over several layers has no one expression")
    cst = libcst()
    for first, last in zip(edit.sites[::2], edit.sites[1::2], strict=True):
        if last.call is None or first.call is None:
            raise CannotFixError("where the layer is called is not known")
        source = draft.source(last.call.path)
        whole, inner = source.at(last.call), source.at(first.call)
        argument = inner.args[0].value if inner.args else None
        start, end = source.spans[whole]
        inside = source.spans[inner]
        if not isinstance(argument, cst.Name) or not start <= inside[0] <= inside[1] <= end:
            raise CannotFixError(f"{last.call} does not hold layer and activation in one expression")
        source.splice(start, start, f"{argument.value} + {edit.value or 1.0:.4g} * ")


def set_up(draft: Draft, edit: Edit) -> None:
    if edit.to == "decay":
        source, call = optimizer_call(draft)
        set_argument(source, call, "weight_decay", f"{edit.value:g}")
        return
    if edit.to != "logits":
        raise CannotFixError(
            "it belongs to the data and the loss" if edit.to == "standardise" else "the loss stands elsewhere"
        )
    (site,) = edit.sites
    if draft.operation(site).module_type in _TORCH_ACTIVATIONS:
        place = draft.construction(site.module)
        source = draft.source(place.path)
        source.replace(source.at(place), f"{source.nn()}.Identity()")
    elif site.call is not None:
        source = draft.source(site.call.path)
        call = source.at(site.call)
        source.replace(call, _argument_of(source, call, site.name))
    else:
        raise CannotFixError(f"where {site.name} is called is not known")


def pre_norm(draft: Draft, edit: Edit) -> None:
    places = {
        (place.path, place.line, place.column): place for place in (draft.construction(s.module) for s in edit.sites)
    }
    for place in places.values():
        source = draft.source(place.path)
        call = source.at(place)
        set_argument(source, call, "norm_first", "True")
        width = source.code(call.args[0].value)
        for path, module in draft.subject.model.named_modules():
            if isinstance(module, (nn.TransformerEncoder, nn.TransformerDecoder)) and module.norm is None:
                stack = draft.construction(path)
                outer = draft.source(stack.path)
                set_argument(outer, outer.at(stack), "norm", f"{outer.nn()}.LayerNorm({width})")
