"""``fix``: the public function. From a target's text and plain values to a patch that was proven in a fresh process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from steadygrad._fix.apply import Fixed, make_fix
from steadygrad.cures.candidates import check_options
from steadygrad.cures.plan import plan_of
from steadygrad.errors import SettingsError
from steadygrad.subject.from_options import plain_options, subject_of
from steadygrad.written import names


def fix(
    target: str,
    *,
    arguments: dict[str, Any] | None = None,
    inputs: Iterable[str] | str = (),
    batch: str | None = None,
    loss: str | None = None,
    optimizer: str | None = None,
    clip: str | None = None,
    seed: int = 0,
    device: str | None = None,
    dtype: str | None = None,
    keep: Iterable[str] | str = (),
    allow: Iterable[str] | str = (),
    only: Iterable[str] | str = (),
    best: bool = False,
    budget: float | str | None = None,
    unsafe_fixes: bool = False,
) -> Fixed:
    """Find the least intrusive cure of ``target`` that can be written into its source, and prove the patch there.

    The patched files are checked in a fresh process, and again with two other values of each whole number that the
    constructor takes. Needs the extra "fix" (libcst).

    Args:
        target: "net.py:Net", as on the command line: a file or module, and a class, function or object in it.
        arguments: Of the class or function: ``{"depth": 20}``.
        inputs: Shapes of the inputs where there is no batch: "64,3,32,32" or "8,128:long".
        batch: "file.py:name" of a batch, a loader or a function.
        loss: A loss by its name, or "file.py:function".
        optimizer: As for ``check``, in words.
        clip: As for ``check``, in words.
        seed: As for ``check``.
        device: The device for the model and the batch: "cuda".
        dtype: Their number format: "bfloat16".
        keep: As for ``cure``.
        allow: As for ``cure``.
        only: As for ``cure``.
        best: As for ``cure``.
        budget: As for ``cure``.
        unsafe_fixes: Also patches that change what the model computes; without it only numbers change.

    Returns:
        ``.diff()``, ``.write()``, ``.found``, and ``.why`` where there is no patch. Nothing is written before ``.write()``.

    Raises:
        SteadygradError: The target cannot be loaded or checked; the message says what to do.

    Example:
        >>> import pathlib, tempfile, steadygrad as sg
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "deep.py"
        >>> _ = path.write_text('''
        ... from torch import nn
        ... def net():
        ...     hidden = [layer for _ in range(15) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        ...     return nn.Sequential(*hidden, nn.Linear(16, 4))
        ... ''')
        >>> fixed = sg.fix(f"{path}:net", inputs="64,16", unsafe_fixes=True)
        >>> fixed.found, fixed.cured.after.verdict.value
        (True, 'healthy')
    """
    if not isinstance(target, str):
        raise SettingsError(
            f"the target is {type(target).__name__}, expected text such as 'net.py:Net'; cure takes a model"
        )
    asked = plain_options(
        arguments=(f"{name}={value}" for name, value in (arguments or {}).items()),
        inputs=[inputs] if isinstance(inputs, str) else inputs,
        batch=batch,
        loss=loss,
        optimizer=optimizer,
        clip=clip,
        device=device,
        dtype=dtype,
        seed=seed,
    )
    plan = plan_of(keep, allow, only, best, False, budget, None, safe=not unsafe_fixes and not names(only, "only"))
    check_options(plan)
    return make_fix(subject_of(target, asked), asked, plan)
