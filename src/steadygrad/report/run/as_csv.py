"""The series of a run as CSV: a header and a row for each point; nothing between two commas = not known, or no gradient.

May rely on the table beside it; must not know of widths and colours.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steadygrad.record.run import Run
from steadygrad.report.run.table import table


def render(run: Run) -> str:
    """The text, with a newline after each row but the last."""
    columns = table(run)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_texts(values) for values in columns.values()), strict=True))
    return text.getvalue().rstrip("\n")


def _texts(values: NDArray[Any]) -> list[str]:
    if np.issubdtype(values.dtype, np.integer):
        return [str(value) for value in values.tolist()]
    # As few digits as bring each number back, bit for bit.
    single = values.dtype == np.float32
    return ["" if value != value else f"{value:.9g}" if single else repr(value) for value in values.tolist()]
