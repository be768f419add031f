"""What holds for every test: one thread each, since the models are small and the tests run side by side; the folder stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Read once, when torch is loaded; what a test starts inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _the_current_folder_is_put_back() -> Iterator[None]:
    """A test that left another one would fail those after it, whose children import `tests` from here."""
    before = Path.cwd()
    yield
    assert Path.cwd() == before
