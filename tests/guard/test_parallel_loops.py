"""Loops of two processes: each sees the norm of the whole, names the bad step, and trains as it would without a guard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.guard import parallel_loops
from tests.guard.runs import bare
from tests.guard.test_loops import Watching, hold
from tests.guard.test_nothing_changes import free_port


def _worker(rank: int, port: int, name: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        loop = parallel_loops.LOOPS[name]
        for bad in (60, 5):
            expected = loop(bare, bad)
            watching = Watching(Path(folder, f"run-{bad}-{rank}.sgj"))
            hold(watching, loop(watching, bad), expected, bad)
            assert 0 < sum(expected.acted) < 60
        Path(folder, f"done-{rank}").write_text("")
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", parallel_loops.LOOPS)
def test_a_loop_of_two_processes(name: str, tmp_path: Path) -> None:
    mp.spawn(_worker, (free_port(), name, str(tmp_path)), nprocs=2)
    assert (tmp_path / "done-0").exists() and (tmp_path / "done-1").exists()
