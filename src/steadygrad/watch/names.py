"""What the parameters of guarded models are called, and in which order they stand from the input to the output."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from steadygrad.detect.symptoms import Columns
from steadygrad.explain.diagnose import smallest_half


class Names:
    """Of all parameters that the roots have now; one added later is told by its shape."""

    def __init__(self, roots: Sequence[nn.Module]) -> None:
        self._known = _known(roots)

    def of(self, parameter: Tensor) -> str:
        """Its name in the model."""
        known = self._known.get(id(parameter))
        return known[0] if known is not None else f"parameter of shape {tuple(parameter.shape)}"

    def in_depth(self, parameters: Sequence[Tensor]) -> list[Tensor]:
        """From the input to the output, as far as the order in which the model registers them tells."""
        return sorted(parameters, key=lambda p: self._known.get(id(p), ("", 10**12))[1])

    def columns(self, parameters: Sequence[Tensor]) -> Columns:
        """Names and kinds."""
        return Columns(
            names=tuple(self.of(p) for p in parameters),
            sizes=tuple(p.numel() for p in parameters),
            weights=tuple(p.dim() >= 2 for p in parameters),
            halves=tuple(smallest_half(p.dtype) for p in parameters),
        )


def _known(roots: Sequence[nn.Module]) -> dict[int, tuple[str, int]]:
    """Name and depth (order of registration) of each parameter, by its identity."""
    found: dict[int, tuple[str, int]] = {}
    for index, root in enumerate(roots):
        prefix = f"{type(root).__name__}." if len(roots) > 1 else ""
        for name, parameter in root.named_parameters():
            plain = name.replace("_orig_mod.", "")
            if isinstance(root, (nn.parallel.DistributedDataParallel, nn.DataParallel)):
                plain = plain.removeprefix("module.")
            found.setdefault(id(parameter), (f"{prefix}{plain}", index * 10**6 + len(found)))
    return found
