"""A guard that only watches changes nothing: weights, optimizer state, random state and losses are those of a bare run."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

import steadygrad
from tests.families import always
from tests.guard import runs


class Watching:
    """Watches with everything switched on: every step read, looks at the first step and each fiftieth, a journal."""

    def __init__(self, journal: str | None, **options: Any) -> None:
        self.journal = journal
        self.options = options
        self.said: list[str] = []
        self.guard: steadygrad.Guard | None = None

    def __call__(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        settings: dict[str, Any] = {"every": 1, "probe_every": 50, "journal": self.journal} | self.options
        self.guard = steadygrad.guard(model, list(optimizers), say=self.said.append, **settings)


@pytest.mark.parametrize("name", always(runs.ALONE, "sgd", "lbfgs"))
def test_a_watched_run_is_the_bare_run(name: str, tmp_path: Path) -> None:
    watching = Watching(str(tmp_path / "run.sgj"))
    expected = runs.ALONE[name](runs.bare)
    assert runs.ALONE[name](watching) == expected
    assert watching.guard is not None
    watching.guard.flush()
    if name in ("grad_scaler", "grad_scaler_unscaled"):
        assert runs.STEPS - 20 < watching.guard.steps < runs.STEPS, "some were left out by the scaler"
    else:
        assert watching.guard.steps == runs.STEPS
    assert [line for line in watching.said if "failed" in line] == []
    assert [alarm.message for alarm in watching.guard.alarms] == []
    if name != "compiled":
        assert watching.guard.looks and watching.guard.looks[0].verdict, [one.note for one in watching.guard.looks]
    watching.guard.detach()


def _worker(rank: int, world: int, port: int, name: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    try:
        expected = runs.TOGETHER[name](runs.bare)
        watching = Watching(f"{folder}/run.sgj")
        assert runs.TOGETHER[name](watching) == expected
        assert watching.guard is not None
        assert watching.guard.steps == runs.STEPS
        watching.guard.detach()
        assert watching.said == [] or rank == 0
        assert [line for line in watching.said if "failed" in line] == []
        Path(folder, f"done-{rank}").write_text("")
        # Who leaves first takes the store with it that the other's groups still use.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.mark.long
@pytest.mark.parametrize("name", runs.TOGETHER)
def test_also_in_two_processes(name: str, tmp_path: Path) -> None:
    mp.spawn(_worker, (2, free_port(), name, str(tmp_path)), nprocs=2)
    assert (tmp_path / "done-0").exists() and (tmp_path / "done-1").exists()
    assert (tmp_path / "run.sgj").exists()


@pytest.mark.long
def test_the_comparison_can_fail(tmp_path: Path) -> None:
    clipping = Watching(str(tmp_path / "run.sgj"), clip=steadygrad.Clip.norm(0.01))
    assert runs.sgd(clipping) != runs.sgd(runs.bare)
