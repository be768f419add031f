"""torch's names of what multiplies two tensors, one sample at a time or not. Knows nothing else."""

from __future__ import annotations

PRODUCTS = frozenset(["matmul", "__matmul__", "mm", "bmm"])
