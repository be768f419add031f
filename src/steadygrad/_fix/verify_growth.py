"""A patch of growth proven before it is offered: models that the patched files build are compared, bit for bit, with cured ones.

Run as ``python -m steadygrad._fix.verify_growth`` with a request as JSON on standard input; answers with JSON on the last line
of standard output. The files on disk are not touched: the fresh process reads the patched text in their place.
"""

from __future__ import annotations

import base64
import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steadygrad._fix import fresh_process
from steadygrad._fix.verify import reading
from steadygrad.errors import CannotFixError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Request:
    """The order to the fresh process."""

    files: dict[str, str]
    """Patched bytes by path, in base64."""
    target: str
    options: dict[str, dict[str, Any]]
    """Plain options by size."""
    cure: str
    """The module with ``initialise_`` and ``groups``."""
    home: str
    """The file of the constructor."""
    groups: str
    """The name of what makes the groups there; "" where no rate changes."""
    method: bool
    """Whether it is a method of the model."""


def prove(
    texts: Mapping[Path, bytes],
    target: str,
    options: Mapping[int, Mapping[str, Any]],
    cure: str,
    home: Path,
    groups: str,
    *,
    method: bool,
) -> None:
    """Raise ``CannotFixError`` unless the patched files build, at each size, the weights and rates of the cure."""
    files = {str(path): base64.b64encode(data).decode() for path, data in texts.items()}
    at = {str(size): dict(given) for size, given in options.items()}
    if why := asked_of(Request(files, target, at, cure, str(home), groups, method)):
        raise CannotFixError(f"the patched source {why}; --write cure.py gives the cure as a module of your own")


def asked_of(request: Request) -> str:
    """What a fresh process finds wrong; "" where all is as the cure has it."""
    try:
        return str(fresh_process.ask("steadygrad._fix.verify_growth", asdict(request)))
    except TimeoutError:
        return f"was still being built after {fresh_process.PATIENCE:.0f} s"
    except ChildProcessError as error:
        return f"cannot run: {error}"


def answer(request: Request) -> str:
    """The same in this process, whose imports see the patched files."""
    own: dict[str, Any] = {"__name__": "cure"}
    exec(compile(request.cure, "cure.py", "exec"), own)  # noqa: S102 — it is what as_code wrote
    try:
        with contextlib.redirect_stdout(sys.stderr):
            for size, given in request.options.items():
                if why := _differs(request, int(size), given, own):
                    return why
    except Exception as error:
        # Whatever the patched code raises is the answer; of ours it is the cause, which is the user's own.
        cause = error.__cause__ or error
        return f"cannot run: {type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
    return ""


def _differs(request: Request, size: int, given: Mapping[str, Any], cure: Mapping[str, Any]) -> str:
    import torch

    from steadygrad._fix.elsewhere import anew

    with anew():
        plain = _model(request.target, given)
    cure["initialise_"](plain, size)
    expected = cure["groups"](plain, size, 0.1)
    files = {path: base64.b64decode(text) for path, text in request.files.items()}
    with reading(files), anew():
        patched = _model(request.target, given)
        made = _groups(request, patched)(0.1) if request.groups else None
    for (name, weight), (other, own) in zip(plain.named_parameters(), patched.named_parameters(), strict=True):
        if name != other or not torch.equal(weight, own):
            return f"does not start {name} at {size} as the cure does"
    if made is not None and _rates(patched, made) != _rates(plain, expected):
        return f"does not give each weight at {size} the rate of the cure"
    return ""


def _model(target: str, given: Mapping[str, Any]) -> nn.Module:
    from steadygrad.subject.target import load_target

    typed = dict(text.partition("=")[::2] for text in given["arguments"])
    return load_target(target, typed, seed=given["seed"], config=given["config"]).model


def _groups(request: Request, model: nn.Module) -> Callable[[float], Any]:
    if request.method:
        method: Callable[[float], Any] = getattr(model, request.groups)
        return method
    # The last: a file that was imported before, as in a test, is there twice.
    home = next(one for one in reversed(list(sys.modules.values())) if getattr(one, "__file__", None) == request.home)
    function = getattr(home, request.groups)
    return lambda rate: function(model, rate)


def _rates(model: nn.Module, groups: list[dict[str, Any]]) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}


if __name__ == "__main__":
    fresh_process.answer(answer(Request(**fresh_process.question())))
