"""Two processes that train one model, each with a loss of its own: who has the bad one says so, and both go on as one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn import functional as F

import steadygrad
from steadygrad.journal.read import read
from tests.guard.loops import batch, net
from tests.guard.runs import Watch, bare, fingerprint
from tests.guard.test_nothing_changes import free_port

LOUD, SPIKE = 60, 140


def course(watch: Watch) -> str:
    """The L1 loss bounds each sample's gradient: targets too large show in the loss of their own process alone."""
    model = nn.parallel.DistributedDataParallel(net())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    losses = []
    for step in range(1, 201):
        x, y = batch(2 * step + dist.get_rank(), -1)
        if dist.get_rank() == 1:
            x, y = x * (1e4 if step == SPIKE else 1), y * (1e3 if step == LOUD else 1)
        loss = F.l1_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


def _worker(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        expected = course(bare)
        said: list[str] = []
        made: list[steadygrad.Guard] = []

        def watch(model: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
            made.append(steadygrad.guard(model, optimizers, journal=Path(folder, "run.sgj"), say=said.append))

        assert course(watch) == expected
        (guard,) = made
        guard.detach()
        together = [alarm for alarm in guard.alarms if alarm.code != "SG207"]
        assert [(alarm.step, alarm.rank) for alarm in together][:1] == [(SPIKE, 1)]
        own = [(alarm.step, alarm.rank) for alarm in guard.alarms if alarm.code == "SG207"]
        assert own == ([(LOUD, 1)] if rank == 1 else [])
        assert len([line for line in said if f"step {LOUD}: warning[SG207] failing-loss on rank 1" in line]) == rank
        Path(folder, f"done-{rank}").write_text("")
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_loss_of_one_process_is_told_by_it(tmp_path: Path) -> None:
    mp.spawn(_worker, (free_port(), str(tmp_path)), nprocs=2)
    assert (tmp_path / "done-0").exists() and (tmp_path / "done-1").exists()
    assert len(read(tmp_path / "run.sgj").series.losses) == 200
