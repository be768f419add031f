"""Notebooks run in a real kernel, as Jupyter runs them; what each cell showed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REASON = "the group tests is not installed"


def run(cells: Sequence[str] | Any, folder: Path) -> Any:
    """The notebook after every cell was run, in ``folder``; a cell that raises fails the test, with its traceback."""
    nbformat = pytest.importorskip("nbformat", reason=REASON)
    nbclient = pytest.importorskip("nbclient", reason=REASON)
    pytest.importorskip("ipykernel", reason=REASON)
    v4 = nbformat.v4
    book = v4.new_notebook(cells=[v4.new_code_cell(text) for text in cells]) if isinstance(cells, Sequence) else cells
    paths = (ROOT / "src", ROOT, os.environ.get("PYTHONPATH", ""))
    environment = {
        **os.environ,
        "NO_COLOR": "1",
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths if str(path)),
    }
    client = nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    book.metadata["widget_state"] = client.widget_state
    return book


def shown(cell: Any, kind: str = "text/plain") -> list[str]:
    """What a cell displayed and returned, in this form."""
    return [str(one.data[kind]) for one in cell.outputs if kind in one.get("data", {})]


def printed(cell: Any, stream: str = "stdout") -> str:
    return "".join(one.text for one in cell.outputs if one.output_type == "stream" and one.name == stream)
