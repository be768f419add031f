"""Two processes that share gradients clip as one process does that holds them whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

import steadygrad as sg
from steadygrad.clip import QuantileState, ZScoreState
from tests.clip.given import parameters

RANKS = 2
SHAPES = ((7, 5), (5,), (4, 2, 3), (1, 6), (3,), (6, 4), (9,))


def zscore(items: list[nn.Parameter]) -> torch.Tensor:
    state = ZScoreState(warm_up=3)
    for total in (1.0, 1.1, 0.9):
        state.bound(total)
    return sg.clip_zscore_(items, state)


def quantile(items: list[nn.Parameter]) -> torch.Tensor:
    state = QuantileState(0.5)
    for total in (1.0, 1.1, 0.9):
        state.bound(total)
    return sg.clip_quantile_(items, state)


CLIPS: dict[str, Callable[[list[nn.Parameter]], Any]] = {
    "value": lambda p: sg.clip_value_(p, -0.4, 0.7),
    "norm": lambda p: sg.clip_norm_(p, 1.0),
    "norm-inf": lambda p: sg.clip_norm_(p, 1.0, math.inf),
    "per-parameter": lambda p: sg.clip_per_parameter_(p, 1.5),
    "adaptive": lambda p: sg.clip_adaptive_(p, 0.5),
    "adaptive-whole": lambda p: sg.clip_adaptive_(p, 0.5, whole_vectors=True),
    "quantile": quantile,
    "zscore": zscore,
}


def check(rank: int, folder: str) -> None:
    """One process of two. A dimension of size 1 leaves the second rank without any of it."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS)
    try:
        line, plane = (
            init_device_mesh("cpu", (RANKS,)),
            init_device_mesh("cpu", (1, RANKS), mesh_dim_names=("dp", "tp")),
        )

        def spread(item: nn.Parameter, mesh: Any, *placements: Any) -> nn.Parameter:
            made = nn.Parameter(distribute_tensor(item.detach(), mesh, placements))
            made.grad = distribute_tensor(item.grad, mesh, placements)
            return made

        def of_sums(item: nn.Parameter) -> nn.Parameter:
            """Its gradient is a sum over the ranks that no one has made yet."""
            made = nn.Parameter(distribute_tensor(item.detach(), line, [Replicate()]))
            made.grad = DTensor.from_local(item.grad * (0.25 if rank == 0 else 0.75), line, [Partial()])
            return made

        def mixed(items: list[nn.Parameter]) -> list[nn.Parameter]:
            return [
                spread(items[0], line, Shard(0)),
                spread(items[1], line, Shard(0)),
                spread(items[2], line, Shard(1)),
                spread(items[3], line, Shard(0)),
                items[4],
                spread(items[5], plane, Replicate(), Shard(1)),
                of_sums(items[6]),
            ]

        layouts = {
            "rows": lambda items: [spread(item, line, Shard(0)) for item in items],
            "columns": lambda items: [spread(item, line, Shard(item.dim() - 1)) for item in items],
            "two dimensions": lambda items: [spread(item, plane, Shard(0), Shard(item.dim() - 1)) for item in items],
            "whole": lambda items: [spread(item, line, Replicate()) for item in items],
            "mixed": mixed,
        }
        for kind, clip in CLIPS.items():
            for layout, lay in layouts.items():
                for dtypes in ((torch.float32,), (torch.float32, torch.float64)):
                    alone = parameters(3, scale=2, shapes=SHAPES, dtypes=dtypes)
                    shared = lay(parameters(3, scale=2, shapes=SHAPES, dtypes=dtypes))
                    expected, found = clip(alone), clip(shared)
                    where = f"{kind}, {layout}, {dtypes}"
                    if expected is not None:
                        assert type(found) is torch.Tensor, where
                        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0, msg=where)
                    for one, other in zip(shared, alone, strict=True):
                        whole = one.grad.full_tensor() if isinstance(one.grad, DTensor) else one.grad
                        torch.testing.assert_close(
                            whole, other.grad, rtol=2e-6, atol=1e-9, msg=lambda m, w=where: f"{w}: {m}"
                        )

        # A NaN that one rank alone holds is every rank's.
        for norm_type in (2.0, math.inf):
            (item,) = parameters(0, shapes=((4, 3),))
            item.grad[3, 0] = math.nan
            shared = spread(item, line, Shard(0))
            assert math.isnan(float(sg.clip_norm_([shared], 1.0, norm_type)))
            assert bool(shared.grad.full_tensor().isnan().all())
    finally:
        dist.destroy_process_group()


def check_training(rank: int, folder: str) -> None:
    """FSDP2: a training of sharded parameters ends where the same training in one process ends."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS)
    try:
        mesh = init_device_mesh("cpu", (RANKS,))
        for kind, clip in CLIPS.items():
            torch.manual_seed(0)
            alone = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 1))
            torch.manual_seed(0)
            shared = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 1))
            fully_shard(shared, mesh=mesh)
            generator = torch.Generator().manual_seed(0)
            optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (alone, shared)]
            for _ in range(10):
                batch = 3 * torch.randn(8, 6, generator=generator)
                for model, optimizer, part in zip(
                    (alone, shared), optimizers, (batch, batch.chunk(RANKS)[rank]), strict=True
                ):
                    optimizer.zero_grad()
                    (model(part) - part.sum(1, keepdim=True)).square().mean().backward()
                    clip(list(model.parameters()))
                    optimizer.step()
            for one, other in zip(shared.parameters(), alone.parameters(), strict=True):
                torch.testing.assert_close(
                    one.full_tensor(), other, rtol=1e-4, atol=1e-6, msg=lambda m, k=kind: f"{k}: {m}"
                )
    finally:
        dist.destroy_process_group()


@pytest.mark.long
def test_every_clip_over_every_layout_is_the_clip_of_one_process(tmp_path: Path) -> None:
    mp.spawn(check, (str(tmp_path),), RANKS)


@pytest.mark.long
def test_a_fully_sharded_training_is_that_of_one_process(tmp_path: Path) -> None:
    mp.spawn(check_training, (str(tmp_path),), RANKS)
