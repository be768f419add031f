"""The series of a run as a table: one row a stored point, one column a parameter. What csv and parquet write.

May rely on numpy and the run's record; must not know of formats.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from steadygrad.record.run import Run
from steadygrad.report.words import clean

Table = dict[str, NDArray[Any]]


def table(run: Run) -> Table:
    """Columns by name. With several optimizers total, factor and rate have one column each: ``total[0]``, ``total[1]``.

    The total is the greatest gradient norm of a point's steps before the clip, the clipped total that after it, the factor
    the least, a parameter's norm their geometric mean; NaN = not known, or no gradient.
    """
    series = run.series
    found: Table = {"step": series.steps, "last_step": series.last_steps, "time": series.times}
    every = (
        ("total", series.high),
        ("clipped_total", series.after_high),
        ("factor", series.factors),
        ("rate", series.rates),
    )
    for name, values in every:
        for number in range(run.optimizers):
            found[name if run.optimizers == 1 else f"{name}[{number}]"] = values[:, number]
    found["loss"] = series.losses
    found |= {f"loss[{one.optimizer}]": one.mean for one in series.other_losses}
    for column, one in enumerate(run.watched):
        name = clean(one.name)
        while name in found:
            name = f"{name}'"
        found[name] = series.norms[:, column]
    return found
