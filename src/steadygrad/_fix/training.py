"""The optimizer's call and the training loop: learning rate, weight decay, a clip behind backward()."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from steadygrad._fix import names
from steadygrad._fix.draft import Draft
from steadygrad._fix.source import Source, libcst, set_argument
from steadygrad.errors import CannotFixError
from steadygrad.record import Edit
from steadygrad.subject.loading import is_file, split
from steadygrad.subject.subject import Subject


def optimizer_call(draft: Draft) -> tuple[Source, Any]:
    """The one construction of the optimizer's class in the files at hand."""
    name = type(draft.subject.optimizer).__name__
    files = [target_file(draft.subject.target), *draft.sources]
    found = []
    for path in dict.fromkeys(file.resolve() for file in files):
        if path.is_file():
            source = draft.source(path)
            found += [
                (source, call) for call in source.calls() if re.fullmatch(rf"(\w+\.)*{name}", source.code(call.func))
            ]
    if len(found) != 1:
        raise CannotFixError(f"{'no' if not found else 'more than one'} {name}(...) stands in {_shown(files)}")
    return found[0]


def target_file(target: str) -> Path:
    """The file that the target names, as a path or as a module."""
    place = split(target)[0]
    return Path(place if is_file(place) else getattr(sys.modules.get(place), "__file__", None) or ".")


def _shown(files: list[Path]) -> str:
    return ", ".join(dict.fromkeys(file.name for file in files if file.is_file())) or "the file"


def assumed(subject: Subject) -> bool:
    """Return whether the optimizer is one that the check had to assume."""
    return any(one.about == "optimizer" and one.by_default for one in subject.assumptions)


def write_rate(draft: Draft, rate: float) -> None:
    """Write the rate where the optimizer is made; note it where it is made elsewhere."""
    name = type(draft.subject.optimizer).__name__
    try:
        source, call = optimizer_call(draft)
        if any(re.search(r"[\"']lr[\"'] *:", source.code(argument)) for argument in call.args):
            raise CannotFixError(f"the groups of {name} have rates of their own")
    except CannotFixError as error:
        why = f"for {name}, which was assumed; name yours with --optimizer" if assumed(draft.subject) else str(error)
        draft.rate_told = True
        draft.told.append(f"display only: learning rate {rate:.2g} ({why})")
        return
    plain = [a for a in call.args if a.keyword is None and not a.star]
    if len(plain) > 1:
        source.replace(plain[1].value, f"{rate:.2g}")
    else:
        set_argument(source, call, "lr", f"{rate:.2g}")


def learning_rate(draft: Draft, edit: Edit) -> None:
    """Check that there is a place for the rate that was found: it is written with the rest."""
    try:
        optimizer_call(draft)
    except CannotFixError as error:
        raise CannotFixError(f"display only: set it where the optimizer is made ({error})") from None


def clipping(draft: Draft, edit: Edit) -> None:
    """A line behind every ``backward()`` in the target's file."""
    if edit.to not in ("norm", "value") or (edit.to == "value" and edit.value != -(edit.high or 0.0)):
        raise CannotFixError("torch has no function for this clip")
    cst = libcst()
    source, call = optimizer_call(draft)
    parameters = source.code(call.args[0].value) if call.args else ""
    if not re.fullmatch(r"[\w.]+\.parameters\(\)", parameters):
        raise CannotFixError("what the optimizer steps is no plain model.parameters()")
    text = f"{names.torch(source)}.nn.utils.clip_grad_{edit.to}_({parameters}, {edit.high:g})"
    if "clip_grad_" in source.text:
        raise CannotFixError(f"{source.path.name} clips already")
    backward = [one for one in source.calls() if _is_backward(one) and isinstance(source.parent(one), cst.Expr)]
    if not backward:
        raise CannotFixError(f"no backward() stands in {source.path.name}; put {text} behind yours")
    home = function_around(source, call)
    for one in backward:
        if "scale" in source.code(one.func):
            raise CannotFixError(f"gradients are scaled at {source.code(one)}; unscale them, then {text}")
        if home is not None and function_around(source, one) is not home:
            raise CannotFixError(f"{parameters} is not known where {source.code(one)} stands; put {text} behind it")
        statement = source.parent(source.parent(one))
        start, end = source.spans[source.parent(one)]
        if isinstance(statement, cst.SimpleStatementLine) and len(statement.body) == 1:
            source.insert_lines(source.line_end(end), f"{source.indent_of(start)}{text}")
        else:
            source.splice(end, end, f"; {text}")


def _is_backward(call: Any) -> bool:
    return isinstance(call.func, libcst().Attribute) and call.func.attr.value == "backward"


def function_around(source: Source, node: Any) -> Any:
    """The function whose own statement this is; None at the file's own level."""
    cst = libcst()
    while not isinstance(node, (cst.FunctionDef, cst.Module)):
        node = source.parent(node)
    return node if isinstance(node, cst.FunctionDef) else None
