"""The names of the parameters of guarded models, and their order from the input to the output."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from steadygrad.record.rows import Columns
from steadygrad.source.variables import variable_of
from steadygrad.torch_internals.compiling import COMPILED_PREFIX


class Names:
    """Of all parameters that the roots have now; one added later is named by its shape."""

    def __init__(self, roots: Sequence[nn.Module]) -> None:
        self.models = names_of_models(roots)
        self.prefixes = [""] if len(roots) == 1 else [f"{name}." for name in self.models]
        """The prefix of the names of each root's parameters: "" for one alone; "Net.", "generator." or "Net#2." among several."""
        self._known = _known(roots, self.prefixes)

    def of(self, parameter: Tensor) -> str:
        """Its name in the model."""
        known = self._known.get(id(parameter))
        return known[0] if known is not None else f"parameter of shape {tuple(parameter.shape)}"

    def depth(self, parameter: Tensor) -> int:
        """Its place between the input and the output, as far as the order of registration shows."""
        known = self._known.get(id(parameter))
        return 10**12 if known is None else known[1]

    def in_depth(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """Sort from the input to the output."""
        return sorted(parameters, key=self.depth)

    def columns(self, parameters: Sequence[Tensor]) -> Columns:
        """Names and kinds."""
        return Columns(
            names=tuple(self.of(p) for p in parameters),
            sizes=tuple(p.numel() for p in parameters),
            weights=tuple(p.dim() >= 2 for p in parameters),
            halves=tuple(smallest_half(p.dtype) for p in parameters),
            fan_ins=tuple(p.numel() // max(1, p.shape[0]) if p.dim() >= 2 else 0 for p in parameters),
        )


def smallest_half(dtype: torch.dtype) -> float:
    """The smallest positive number of a 16-bit format, 0 for wider ones."""
    if dtype in (torch.float16, torch.bfloat16):
        return float(torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps)
    return 0.0


def names_of_models(roots: Sequence[nn.Module]) -> list[str]:
    """The class of each; of several of one class the user's variable, or a number where there is none for each."""
    kinds = [type(root).__name__ for root in roots]
    found = []
    for at, kind in enumerate(kinds):
        alike = [root for root in roots if type(root).__name__ == kind]
        variables = [variable_of(root, sys._getframe(1)) for root in alike] if len(alike) > 1 else []
        place = kinds[:at].count(kind)
        if len(alike) == 1:
            found.append(kind)
        elif all(variables) and len({*variables}) == len(variables) and not {*variables} & {*kinds}:
            found.append(variables[place])
        else:
            found.append(f"{kind}#{place + 1}")
    return found


def _known(roots: Sequence[nn.Module], prefixes: Sequence[str]) -> dict[int, tuple[str, int]]:
    """Name and depth (order of registration) of each parameter, by its identity."""
    found: dict[int, tuple[str, int]] = {}
    for index, (root, prefix) in enumerate(zip(roots, prefixes, strict=True)):
        for name, parameter in root.named_parameters():
            plain = name.replace(COMPILED_PREFIX, "")
            if isinstance(root, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
                plain = plain.removeprefix("module.")
            found.setdefault(id(parameter), (f"{prefix}{plain}", index * 10**6 + len(found)))
    return found
