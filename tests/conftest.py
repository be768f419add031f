"""What holds for every test: one thread each, since the models are small and the tests run side by side; the folder stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from steadygrad.torch_internals.compiling import anything_is_compiled
from tests.forgetting import forget

# Read once, when torch is loaded; what a test starts inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A job in the background ignores Ctrl-C, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What is tested is what is right, on a busy machine too: how long it takes is for the benches.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _the_current_folder_is_put_back() -> Iterator[None]:
    """A test that left another one would fail those after it, whose children import `tests` from here."""
    before = Path.cwd()
    yield
    assert Path.cwd() == before


@pytest.fixture(autouse=True)
def _what_was_imported_from_a_folder_of_the_tests_is_forgotten(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """The next test may write a file of the same name, and would be given the module of this one."""
    yield
    forget(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def _what_was_compiled_is_forgotten() -> Iterator[None]:
    """A process that has compiled anything may have compiled a part of the next test's model, which is then not checked."""
    yield
    if anything_is_compiled():
        torch._dynamo.reset()
