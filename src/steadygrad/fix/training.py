"""The optimizer's call and the training loop: learning rate, weight decay, a clip behind backward()."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from steadygrad.errors import CannotFixError
from steadygrad.fix.draft import Draft
from steadygrad.fix.source import Source, libcst, set_argument
from steadygrad.record import Edit


def optimizer_call(draft: Draft) -> tuple[Source, Any]:
    """The one construction of the optimizer's class in the files at hand."""
    name = type(draft.subject.optimizer).__name__
    files = [Path(draft.subject.target.rpartition(":")[0] or ".")]
    files += list(draft.sources)
    found = []
    for path in dict.fromkeys(file.resolve() for file in files):
        if path.is_file():
            source = draft.source(path)
            found += [
                (source, call) for call in source.calls() if re.fullmatch(rf"(\w+\.)*{name}", source.code(call.func))
            ]
    if len(found) != 1:
        raise CannotFixError(f"{'no' if not found else 'more than one'} {name}(...) stands in the file")
    return found[0]


def write_rate(draft: Draft, rate: float) -> None:
    try:
        source, call = optimizer_call(draft)
    except CannotFixError as error:
        name = type(draft.subject.optimizer).__name__
        draft.told.append(f"train with {name} at learning rate {rate:.2g} ({error})")
        return
    plain = [a for a in call.args if a.keyword is None and not a.star]
    if len(plain) > 1:
        source.replace(plain[1].value, f"{rate:.2g}")
    else:
        set_argument(source, call, "lr", f"{rate:.2g}")


def learning_rate(draft: Draft, edit: Edit) -> None:
    """The rate that was found is written with the rest; here only that there is a place for it."""
    optimizer_call(draft)


def clipping(draft: Draft, edit: Edit) -> None:
    """A line behind every ``backward()`` in the target's file."""
    cst = libcst()
    source = draft.source(draft.subject.target.rpartition(":")[0] or ".")
    owner, call = optimizer_call(draft)
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
        if isinstance(node, cst.SimpleStatementLine) and re.fullmatch(
            r"[\w.]+\.backward\(.*\)", source.code(node).strip()
        ):
            start, end = source.spans[node]
            place = source.line_end(end)
            source.splice(place, place, f"{source.indent_of(start)}{text}{source.newline}")
            done = True
    if not done:
        raise CannotFixError(f"no backward() stands in {source.path.name}; put {text} behind yours")
