"""The memory that a container leaves: its limit less what it uses, but for pages of files, which the kernel gives up."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import pytest
import torch

from steadygrad.copies.memory import free_in_group, free_memory

STAT = "anon {anon}\nfile {file}\ninactive_file {idle}\nactive_file 0\n"


def test_pages_of_files_are_as_good_as_free(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("8000000000\n")
    (tmp_path / "memory.current").write_text("7900000000\n")
    (tmp_path / "memory.stat").write_text(STAT.format(anon=900_000_000, file=7_000_000_000, idle=7_000_000_000))
    assert free_in_group(tmp_path) == 7.1e9


def test_the_first_version_s_files_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("4000000000\n")
    (tmp_path / "memory/memory.usage_in_bytes").write_text("3000000000\n")
    (tmp_path / "memory/memory.stat").write_text("cache 100\ntotal_inactive_file 500000000\n")
    assert free_in_group(tmp_path) == 1.5e9


@pytest.mark.parametrize("limit", ["max\n", None])
def test_without_a_limit_the_group_bounds_nothing(limit: str | None, tmp_path: Path) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
        (tmp_path / "memory.current").write_text("5\n")
    assert free_in_group(tmp_path) == math.inf
    assert 0 < free_memory(torch.device("cpu")) <= psutil.virtual_memory().total
