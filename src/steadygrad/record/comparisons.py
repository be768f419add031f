"""torch's names of what holds outputs against targets, for whoever reads or watches operations. Knows nothing else."""

from __future__ import annotations

REGRESSION_LOSSES = frozenset(["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
DIFFERENCES = frozenset(["sub", "rsub", "subtract"])
