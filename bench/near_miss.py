"""Plain nets near the edge of what still trains, and what the verdict says of each: ``python -m bench.near_miss``.

Default initialisation, depths from "trains well" to "stuck", Adam at 1e-3, 600 steps on digits. The measurement behind
``ROUNDING`` in ``rules/thresholds.py``. About three minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.suite.case import Made, train
from bench.suite.examine import examine
from bench.suite.sick.tasks import adam, assemble, digits

STEPS = 600
WIDTHS = (32, 128)
DEPTHS: dict[str, tuple[int, ...]] = {
    "sigmoid": (3, 4, 5, 6, 7),
    "relu": (10, 14, 18, 24),
    "tanh": (10, 14, 18, 24),
    "gelu": (10, 14, 18, 24),
}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": F.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
}


class Plain(nn.Module):
    def __init__(self, name: str, depth: int, width: int) -> None:
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(64 if i == 0 else width, width) for i in range(depth))
        self.head = nn.Linear(width, 10)
        self.function = FUNCTIONS[name]

    def forward(self, x: Tensor) -> Tensor:
        for fc in self.fcs:
            x = self.function(fc(x))
        return self.head(x)


def make(name: str, depth: int, width: int) -> Made:
    return assemble(Plain(name, depth, width), digits(), adam(1e-3))


def _row(job: tuple[int, str, int]) -> str:
    torch.set_num_threads(1)
    width, name, depth = job
    build = partial(make, name, depth, width)
    outcome, report = train(name, build, STEPS), examine(build)
    spread = report.trace.output_spread
    decades = report.trunk.decades if report.trunk is not None else float("nan")
    codes = ",".join(finding.code for finding in report.findings)
    net = f"{width:5d} {name:8s} {depth:5d} {outcome.learned:8.2f}"
    return f"{net}  {report.verdict:15s} {codes:12s} {spread:8.1e} {decades:8.1f}"


def main() -> None:
    """A row for each net."""
    print(
        f"{'width':>5s} {'':8s} {'depth':>5s} {'learned':>8s}  {'verdict':15s} {'codes':12s} {'spread':>8s} {'decades':>8s}"
    )
    jobs = [(width, name, depth) for width, name in product(WIDTHS, DEPTHS) for depth in DEPTHS[name]]
    with ProcessPoolExecutor(max_workers=2) as pool:
        for row in pool.map(_row, jobs):
            print(row, flush=True)


if __name__ == "__main__":
    main()
