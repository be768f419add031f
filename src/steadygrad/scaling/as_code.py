"""The cure as a module of the user's own: powers by name, and the two functions that apply them. It needs torch alone."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping

Powers = tuple[float, float]
"""Of size ÷ smallest size: for the start of a weight, and for its learning rate."""

MARK = "# Written by steadygrad scale;"
"""How such a module begins: a file that begins otherwise is somebody's own."""


def module(
    argument: str, smallest: int, powers: Mapping[str, Powers], multipliers: Mapping[str, float], measured: str
) -> str:
    """The text of the module.

    Args:
        argument: The name of what grows.
        smallest: Its least value, at which nothing changes.
        powers: By name, of every weight that was measured, those that stay as they are among them.
        multipliers: Powers of what must be multiplied in the model itself, by the weight.
        measured: On what, in words.
    """
    last = argument.rpartition(".")[2]
    size = last if last.isidentifier() and not keyword.iskeyword(last) else "size"
    # Adding 0 turns −0 into 0.
    rows = "".join(
        f"    {json.dumps(name)}: ({start + 0:g}, {rate + 0:g}),\n" for name, (start, rate) in numbered(powers).items()
    )
    also = ""
    if multipliers:
        own = "".join(f"    {json.dumps(name)}: {power:g},\n" for name, power in multipliers.items())
        also = _MULTIPLIERS.format(rows=own, size=size)
    return _MODULE.format(
        mark=MARK, measured=" ".join(measured.split()), size=size, smallest=smallest, rows=rows, also=also
    )


def numbered(powers: Mapping[str, Powers]) -> dict[str, Powers]:
    """Powers that are not both 0, by name; names that differ by numbers alone are one where all of them have the same powers."""
    by_pattern: dict[str, list[str]] = {}
    for name in powers:
        by_pattern.setdefault(re.sub(r"(?<![^.])\d+(?![^.])", "*", name), []).append(name)
    found: dict[str, Powers] = {}
    for pattern, names in by_pattern.items():
        alike = len({powers[name] for name in names}) == 1 and len(names) > 1
        found.update({pattern: powers[names[0]]} if alike else {name: powers[name] for name in names})
    return {name: both for name, both in found.items() if any(both)}


_MULTIPLIERS = """
# No start and no rate stands for these: multiply the logits that the weight makes by ({size} / SMALLEST) ** power in the model.
MULTIPLIERS = {{
{rows}}}
"""

_MODULE = '''{mark} {measured}.
"""The start and the learning rate of each weight for any {size}; at {size} = {smallest} nothing changes.

    initialise_(model, {size})
    optimizer = torch.optim.Adam(groups(model, {size}, lr=1e-3))  # lr: what is best at {smallest}
"""

import re

import torch

SMALLEST = {smallest}

# weight (* is a number): power of {size} / SMALLEST for its start, and for its learning rate
POWERS = {{
{rows}}}
{also}

def _powers(name):
    for pattern, powers in POWERS.items():
        if re.fullmatch(re.escape(pattern).replace(r"\\*", r"\\d+"), name):
            return powers
    return 0.0, 0.0


@torch.no_grad()
def initialise_(model, {size}):
    """Scale the weights of a new model, in place."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.mul_(({size} / SMALLEST) ** _powers(name)[0])


def groups(model, {size}, lr):
    """Parameter groups for an optimizer, one for each learning rate."""
    by_rate = {{}}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            by_rate.setdefault(lr * ({size} / SMALLEST) ** _powers(name)[1], []).append(parameter)
    return [{{"params": parameters, "lr": rate}} for rate, parameters in by_rate.items()]
'''
