"""Loops of two processes: each sees the norm of the whole, names the bad step, and trains as it would without a guard."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import steadygrad
from steadygrad.errors import SettingsError
from tests.families import always
from tests.guard import parallel_loops
from tests.guard.runs import bare
from tests.guard.test_loops import Watching, hold
from tests.guard.test_nothing_changes import free_port

RANKS = {"ddp": 1, "sharded": 1, "tensor_parallel": None}
"""The process that is named: under data parallelism the one that had the bad batch."""


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
            parts = "watches its own part of the gradient" in " ".join(watching.said)
            assert parts == (name == "sharded_each" and rank == 0)
            assert {alarm.rank for alarm in watching.guard.alarms} == {rank if name == "sharded_each" else RANKS[name]}
        Path(folder, f"done-{rank}").write_text("")
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", always(parallel_loops.LOOPS, "ddp"))
def test_a_loop_of_two_processes(name: str, tmp_path: Path) -> None:
    mp.spawn(_worker, (free_port(), name, str(tmp_path)), nprocs=2)
    assert (tmp_path / "done-0").exists() and (tmp_path / "done-1").exists()


def _refused(rank: int, port: int, folder: str) -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel

    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        model = FullyShardedDataParallel(parallel_loops.net(), use_orig_params=True, device_id=torch.device("cpu"))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for options in ({"clip": steadygrad.Clip.norm(1.0)}, {"on_alarm": "skip"}):
            with pytest.raises(SettingsError, match="fully_shard"):
                steadygrad.guard(model, optimizer, **options)
        steadygrad.guard(model, optimizer, quiet=True).detach()
        Path(folder, f"done-{rank}").write_text("")
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_what_all_must_do_alike_is_refused_where_each_sees_a_part(tmp_path: Path) -> None:
    mp.spawn(_refused, (free_port(), str(tmp_path)), nprocs=2)
    assert (tmp_path / "done-0").exists() and (tmp_path / "done-1").exists()
