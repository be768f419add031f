"""The series of a run as Parquet, with the columns of the CSV; null = not known, or no gradient.

The only file here that wants pyarrow, an optional package (extra ``parquet``). May rely on the table beside it.
"""

from __future__ import annotations

import importlib
import io
from typing import Any

from steadygrad.errors import OutputError
from steadygrad.record.run import Run
from steadygrad.report.run.table import table


def render(run: Run) -> bytes:
    """The file's bytes. Raises ``OutputError`` where pyarrow is not installed."""
    try:
        # By name: type checkers need not have it.
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise OutputError('parquet needs pyarrow; install it with: pip install "steadygrad[parquet]"') from None
    columns = {name: arrow.array(values, from_pandas=True) for name, values in table(run).items()}
    made = arrow.table(columns, metadata={"steadygrad": f"session {run.session} of {run.path}"})
    file = io.BytesIO()
    parquet.write_table(made, file)
    return file.getvalue()
