"""Edits written into source text: one function for each action, at the expressions that the edit's sites name.

A layer that was constructed in a loop, a comprehension or a helper has one expression for all; that expression is what is
changed. What cannot be written says so, with the Python that does it by hand.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from steadygrad.cures.initialise import WORKING_VARIANCE, drawn_again, last_of_branches
from steadygrad.cures.layers import Layer, Net
from steadygrad.cures.plan import Cured
from steadygrad.cures.swap_activation import MODULES
from steadygrad.errors import CannotFixError
from steadygrad.fix import functions
from steadygrad.fix.source import Source, libcst
from steadygrad.probe.spans import construction_of, is_user_file
from steadygrad.probe.subject import Subject
from steadygrad.record import Edit, Location, Operation, Site
from steadygrad.theory import activations, meanfield
from steadygrad.theory.folding import fold

UNWRITABLE = ("data-driven-initialisation", "residual-span-2", "residual-span-3", "batch-norm-behind", "clip-adaptive", "clip-quantile")
"""Candidates that source text has no plain form for: they need a batch, or a forward pass rewritten."""


@dataclass
class Draft:
    """The files being changed, and what is known of the model."""

    subject: Subject
    net: Net
    sources: dict[Path, Source] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    """What belongs to the cure and stands in none of the files."""

    def source(self, path: str | Path) -> Source:
        path = Path(path).resolve()
        if not is_user_file(str(path)) or "site-packages" in path.parts:
            raise CannotFixError(f"{path} is not a file of yours")
        if path not in self.sources:
            self.sources[path] = Source.read(path)
        return self.sources[path]

    def operation(self, site: Site) -> Operation:
        return next(o for o in self.net.trace.operations if self.net.site(o) == site)

    def construction(self, path: str) -> Location:
        """Where the module at ``path`` was constructed. Raises ``CannotFixError`` where that is not known."""
        place = construction_of(self.subject.model.get_submodule(path))
        if place is None:
            raise CannotFixError(f"where {path or 'the model'} is constructed is not known")
        return place


def write(subject: Subject, cured: Cured) -> Draft:
    """The edits of what was taken, as spliced sources. Raises ``CannotFixError``."""
    assert cured.taken is not None
    draft = Draft(subject, Net(cured.before.trace))
    for edit in cured.taken.candidate.edits:
        _ACTIONS[edit.action](draft, edit)
    rate = cured.taken.rate
    if rate is not None:
        _rate(draft, rate)
    return draft


def by_hand(cured: Cured) -> str:
    """The Python that gets the same model without touching a file."""
    only = cured.taken.candidate.name if cured.taken is not None else ""
    return f"cured = steadygrad.cure(model, batch, loss_fn, optimizer=optimizer, only={only!r}); model, optimizer = cured.model, cured.optimizer"


# Numbers: a function in the file of the model's class, called at the end of its __init__, or around its construction.


def _function(draft: Draft, make: Callable[[str, str], tuple[str, list[str]]]) -> None:
    """A function of the model: around the expression that constructs it, else at the end of its class's ``__init__``.

    Around the construction first: the numbers are those of this one model, and others of its class may be deeper.
    """
    model = draft.subject.model
    place_of_model = construction_of(model)
    if place_of_model is not None and is_user_file(place_of_model.path):
        source = draft.source(place_of_model.path)
        call = source.at(place_of_model)
        name, rows = _free_name(source, *make(source.torch(), source.nn()))
        start, end = source.spans[call]
        source.splice(start, start, f"{name}(")
        source.splice(end, end, ")")
    else:
        file = inspect.getsourcefile(type(model))
        if file is None or not is_user_file(file):
            raise CannotFixError("where the model is constructed is not known")
        source = draft.source(file)
        body = _init_body(source, type(model).__qualname__)
        if body is None:
            raise CannotFixError(f"{type(model).__name__} has no __init__ of its own to end with a call")
        name, rows = _free_name(source, *make(source.torch(), source.nn()))
        start, end = source.spans[body.body[-1]]
        place = source.line_end(end)
        missing = "" if source.text[:place].endswith(("\n", "\r")) else source.newline
        source.splice(place, place, f"{missing}{source.indent_of(start)}{name}(self){source.newline}")
    at = source.after_imports
    around = source.newline * 2
    source.splice(at, at, f"{around}{source.lines(*rows)}{source.newline}")


def _init_body(source: Source, qualname: str) -> Any:
    """The indented body of the class's own ``__init__``; None where the class is not to be found by name."""
    cst = libcst()
    node: Any = source.module
    for part in qualname.replace("<locals>.", "").split("."):
        statements = node.body.body if hasattr(node.body, "body") else node.body
        node = next(
            (s for s in statements if isinstance(s, (cst.ClassDef, cst.FunctionDef)) and s.name.value == part), None
        )
        if node is None:
            return None
    found = [s for s in node.body.body if isinstance(s, cst.FunctionDef) and s.name.value == "__init__"]
    if not found or not isinstance(found[-1].body, cst.IndentedBlock):
        return None
    if found[-1].params.params and found[-1].params.params[0].name.value != "self":
        return None
    return found[-1].body


def _free_name(source: Source, name: str, rows: list[str]) -> tuple[str, list[str]]:
    free = name
    while re.search(rf"\b{re.escape(free)}\s*\(", source.text):
        free = f"cured_{free}"
    return free, [row.replace(f"def {name}(", f"def {free}(") for row in rows]


def _paths(layers: Iterable[Layer]) -> list[str]:
    """Module paths of the layers' weights. Raises ``CannotFixError`` for a bare or computed parameter."""
    paths = []
    for layer in layers:
        path, dot, leaf = layer.operation.weight.rpartition(".")
        if leaf != "weight" or not dot:
            raise CannotFixError(f"{layer.weight} is no plain layer's weight")
        paths.append(path)
    return paths


def _initialise(draft: Draft, edit: Edit) -> None:
    net = draft.net
    if edit.to == "zero-branches":
        last = set(last_of_branches(net))
        paths = _paths(layer for layer in net.layers if layer.operation.index in last)
        words = "Residual branches begin at zero (Zhang et al. 2019, arXiv:1901.09321)."
        _function(draft, lambda torch, _: functions.scaled(functions.names(paths), 0.0, words, torch))
        return
    if edit.to == "data-driven":
        raise CannotFixError("a data-driven initialisation needs a batch")
    groups: dict[str, list[str]] = {}
    layers = drawn_again(net)
    for layer, path in zip(layers, _paths(layers), strict=True):
        assert layer.activation is not None
        groups.setdefault(layer.activation.name.strip("_"), []).append(path)
    if edit.to != "orthogonal":
        groups = {"": [path for paths in groups.values() for path in paths]}
    rows = [(functions.names(paths), name, _gain(name)) for name, paths in groups.items()]
    _function(draft, lambda torch, nn_: functions.scheme(edit.to, rows, torch, nn_))


def _gain(name: str) -> float:
    phi = activations.find(name)
    return meanfield.critical_point(phi, WORKING_VARIANCE)[0] if phi is not None else 1.0


def _fold(draft: Draft, edit: Edit) -> None:
    net = draft.net
    plain = drawn_again(net)
    rows: dict[tuple[float, float, float, float], list[str]] = {}
    mean, std = 0.0, math.hypot(net.trace.input_mean or 0.0, net.trace.input_std or 1.0) or 1.0
    chosen = {layer.weight for layer in plain}
    following = [layer for layer in net.layers if layer.weight in chosen or (layer.activation is None and not layer.normalised)]
    begun = False
    for layer in following:
        (path,) = _paths([layer])
        if layer.weight in chosen:
            assert layer.activation is not None
            phi = activations.find(layer.activation.name)
            point = fold(phi, len(plain)) if phi is not None else None
            if point is None:
                raise CannotFixError(f"{layer.activation.name} has no working point")
            rows.setdefault((point.scale, point.shift, mean, std), []).append(path)
            mean, std, begun = point.output_mean, point.output_std, True
        elif begun:
            rows.setdefault((1.0, 0.0, mean, std), []).append(path)
            begun = False
    table = [(functions.names(paths), *numbers) for numbers, paths in rows.items()]
    activation = plain[0].activation.name if plain[0].activation is not None else ""
    convolutions = any(layer.operation.name.startswith("conv") for layer in plain)
    if any(layer.operation.name.startswith("conv_transpose") for layer in plain):
        raise CannotFixError("a transposed convolution has its own layout of weights")
    _function(
        draft,
        lambda torch, nn_: functions.fold(table, len(plain), activation, torch, nn_, convolutions=convolutions),
    )


def _recurrent(draft: Draft, edit: Edit) -> None:
    paths = [site.module for site in edit.sites]
    if not paths:
        raise CannotFixError("the recurrence is written by hand")
    if edit.to == "gated":
        for path in paths:
            place = draft.construction(path)
            source = draft.source(place.path)
            call = source.at(place)
            name = source.code(call.func)
            source.replace(call.func, re.sub(r"RNN(Cell)?$", r"GRU\1", name))
            if not re.search(r"RNN(Cell)?$", name):
                raise CannotFixError(f"{name} is no plain name of nn.RNN")
            for argument in call.args:
                if argument.keyword is not None and argument.keyword.value == "nonlinearity":
                    raise CannotFixError("nonlinearity has no meaning for a GRU; take it out")
    where = functions.names(paths)
    _function(draft, lambda torch, nn_: functions.recurrent(where, edit.to, edit.value or 100.0, torch, nn_))


def _transformer(draft: Draft, edit: Edit) -> None:
    if edit.to == "pre-norm":
        _pre_norm(draft, edit)
    elif edit.to == "qk-norm":
        for site in edit.sites:
            _wrap_layer(draft, site.module, lambda source, call: f"{source.nn()}.RMSNorm({_out_features(source, call)})")
    elif edit.to == "depth scale":
        last = set(last_of_branches(draft.net))
        layers = [layer for layer in draft.net.layers if layer.operation.index in last]
        paths = _paths(layers)
        for path, module in draft.subject.model.named_modules():
            if isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
                paths += [f"{path}.self_attn.out_proj", f"{path}.linear2"]
        factor = edit.value or 1.0
        words = "Residual branches scaled by 1 / sqrt(blocks) (Radford et al. 2019)."
        where = functions.names(dict.fromkeys(paths))
        _function(draft, lambda torch, _: functions.scaled(where, factor, words, torch))
    else:
        raise CannotFixError("the queries' scale depends on the batch")


def _pre_norm(draft: Draft, edit: Edit) -> None:
    places = {(place.path, place.line, place.column): place for place in (draft.construction(s.module) for s in edit.sites)}
    for place in places.values():
        source = draft.source(place.path)
        call = source.at(place)
        _set_argument(source, call, "norm_first", "True")
        width = source.code(call.args[0].value)
        for path, module in draft.subject.model.named_modules():
            if isinstance(module, (nn.TransformerEncoder, nn.TransformerDecoder)) and module.norm is None:
                stack = draft.construction(path)
                outer = draft.source(stack.path)
                _set_argument(outer, outer.at(stack), "norm", f"{outer.nn()}.LayerNorm({width})")


# Expressions: what is constructed or called, changed where it stands.


def _swap(draft: Draft, edit: Edit) -> None:
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
        if owner not in (source.torch_names[0], f"{source.torch_names[1]}.functional", "F", "functional", "torch.special"):
            return owner
    if not call.args or call.args[0].star or call.func is None:
        raise CannotFixError(f"{source.code(call)[:40]!r} has no plain argument")
    return source.code(call.args[0].value)


def _normalise(draft: Draft, edit: Edit) -> None:
    kind, _, side = edit.to.partition(" ")
    if side != "before":
        raise CannotFixError("a norm behind the activation has no one place in the source")
    for site in edit.sites:
        activation = draft.operation(site)
        layer = draft.net.in_front_of(activation)
        if layer is None:
            raise CannotFixError(f"no layer stands in front of {site.name} alone")
        shape = layer.operation.output_shape
        (path,) = _paths([layer])

        def norm(source: Source, call: Any, shape: tuple[int, ...] = shape) -> str:
            width, prefix = _out_features(source, call), source.nn()
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

        _wrap_layer(draft, path, norm)


def _wrap_layer(draft: Draft, path: str, behind: Callable[[Source, Any], str]) -> None:
    """``nn.Linear(a, b)`` becomes ``nn.Sequential(nn.Linear(a, b), …)`` where it is constructed."""
    place = draft.construction(path)
    source = draft.source(place.path)
    call = source.at(place)
    text = behind(source, call)
    start, end = source.spans[call]
    source.splice(start, start, f"{source.nn()}.Sequential(")
    source.splice(end, end, f", {text})")


def _out_features(source: Source, call: Any) -> str:
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


def _residual(draft: Draft, edit: Edit) -> None:
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


def _set_up(draft: Draft, edit: Edit) -> None:
    if edit.to == "decay":
        source, call = _optimizer_call(draft)
        _set_argument(source, call, "weight_decay", f"{edit.value:g}")
        return
    if edit.to != "logits":
        raise CannotFixError("it belongs to the data and the loss" if edit.to == "standardise" else "the loss stands elsewhere")
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


def _set_argument(source: Source, call: Any, name: str, value: str) -> None:
    """Give a call's keyword argument another value, or add it."""
    for argument in call.args:
        if argument.keyword is not None and argument.keyword.value == name:
            if source.code(argument.value) != value:
                source.replace(argument.value, value)
            return
    end = source.spans[call][1] - 1
    inside = source.text[source.spans[call.func][1] : end]
    trailing = inside.rstrip()
    at = source.spans[call.func][1] + len(trailing)
    comma = "" if trailing.endswith(("(", ",")) else ","
    space = "" if trailing.endswith("(") else " "
    source.splice(at, at, f"{comma}{space}{name}={value}")


# The optimizer and the training loop.


def _optimizer_call(draft: Draft) -> tuple[Source, Any]:
    """The one construction of the optimizer's class in the files at hand."""
    name = type(draft.subject.optimizer).__name__
    files = [Path(draft.subject.target.rpartition(":")[0] or ".")]
    files += list(draft.sources)
    found = []
    for path in dict.fromkeys(file.resolve() for file in files):
        if path.is_file():
            source = draft.source(path)
            found += [(source, call) for call in source.calls() if re.fullmatch(rf"(\w+\.)*{name}", source.code(call.func))]
    if len(found) != 1:
        raise CannotFixError(f"{'no' if not found else 'more than one'} {name}(...) stands in the file")
    return found[0]


def _rate(draft: Draft, rate: float) -> None:
    try:
        source, call = _optimizer_call(draft)
    except CannotFixError as error:
        name = type(draft.subject.optimizer).__name__
        draft.told.append(f"train with {name} at learning rate {rate:.2g} ({error})")
        return
    plain = [a for a in call.args if a.keyword is None and not a.star]
    if len(plain) > 1:
        source.replace(plain[1].value, f"{rate:.2g}")
    else:
        _set_argument(source, call, "lr", f"{rate:.2g}")


def _learning_rate(draft: Draft, edit: Edit) -> None:
    """The rate that was found is written with the rest; here only that there is a place for it."""
    _optimizer_call(draft)


def _clipping(draft: Draft, edit: Edit) -> None:
    """A line behind every ``backward()`` in the target's file."""
    cst = libcst()
    source = draft.source(draft.subject.target.rpartition(":")[0] or ".")
    owner, call = _optimizer_call(draft)
    parameters = owner.code(call.args[0].value) if call.args else ""
    if not re.fullmatch(r"[\w.]+\.parameters\(\)", parameters):
        raise CannotFixError("what the optimizer steps is no plain model.parameters()")
    torch = source.torch()
    text = (
        f"{torch}.nn.utils.clip_grad_norm_({parameters}, {edit.high:g})"
        if edit.to == "norm"
        else f"{torch}.nn.utils.clip_grad_value_({parameters}, {edit.high:g})"
    )
    if edit.to not in ("norm", "value") or (edit.to == "value" and edit.value != -(edit.high or 0.0)):
        raise CannotFixError("torch has no function for this clip")
    done = False
    for node in list(source.spans):
        if isinstance(node, cst.SimpleStatementLine) and re.fullmatch(r"[\w.]+\.backward\(.*\)", source.code(node).strip()):
            start, end = source.spans[node]
            place = source.line_end(end)
            source.splice(place, place, f"{source.indent_of(start)}{text}{source.newline}")
            done = True
    if not done:
        raise CannotFixError(f"no backward() stands in {source.path.name}; put {text} behind yours")


_ACTIONS: dict[str, Callable[[Draft, Edit], None]] = {
    "initialise": _initialise,
    "fold": _fold,
    "recurrent": _recurrent,
    "transformer": _transformer,
    "swap_activation": _swap,
    "normalise": _normalise,
    "residual": _residual,
    "set_up": _set_up,
    "learning_rate": _learning_rate,
    "clipping": _clipping,
}
