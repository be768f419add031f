"""``scale_patch``: the public function. From what ``scale`` found of a family to a patch of the source that builds it."""

from __future__ import annotations

from typing import Any

from steadygrad._fix.growth import ScalePatch, patch_of
from steadygrad.scaling.check_depth import DepthScaled
from steadygrad.scaling.check_scale import Scaled
from steadygrad.subject.from_options import plain_options


def scale_patch(
    found: Scaled | DepthScaled, target: str, *, arguments: dict[str, Any] | None = None, config: str | None = None
) -> ScalePatch:
    """Write the cure that ``scale`` or ``scale_depth`` found into the source of ``target``, and prove the patch there.

    The constructor ends with the start of each weight, ``parameter_groups`` beside it knows the rates, and the optimizer of the
    file is given those. A fresh process compares the models that the patched file builds. Needs the extra "fix" (libcst).

    Args:
        found: What was measured; its ``argument`` is the one that grows, "hidden" or "config.hidden".
        target: "net.py:Net", as on the command line: the class or function in its file.
        arguments: Others of the class or function: ``{"layers": 4}``.
        config: Its configuration: "conf.yaml".

    Returns:
        ``.diff()``, ``.write()``, and in ``.told`` what is left to do by hand. Nothing is written before ``.write()``.

    Raises:
        SteadygradError: There is no patch that holds; the message says why.

    Example:
        >>> import pathlib, tempfile, torch, steadygrad as sg
        >>> from torch import nn
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "wide.py"
        >>> _ = path.write_text('''
        ... from torch import nn
        ... def net(hidden):
        ...     return nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        ... ''')
        >>> def build(hidden: int) -> nn.Module:
        ...     return nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        >>> batch = torch.randn(32, 8), torch.randint(0, 2, (32,))
        >>> found = sg.scale(build, (16, 32, 64), batch, nn.functional.cross_entropy, argument="hidden")
        >>> patch = sg.scale_patch(found, f"{path}:net")
        >>> "+    model.width_ratio = hidden / 16" in patch.diff()
        True
    """
    given = [f"{name}={value}" for name, value in (arguments or {}).items()]

    def options(size: int) -> dict[str, Any]:
        return plain_options(arguments=[*given, f"{found.argument}={size}"], config=config)

    return patch_of(found, target, options)
