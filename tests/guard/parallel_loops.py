"""Loops of two processes with one bad batch, in the forms of ``loops``. Each needs a process group of two."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from tests.guard.loops import STEPS, Course, Loop, acts, batch, net, raw
from tests.guard.runs import Watch


def whole(model: nn.Module) -> float:
    """The raw norm, each gradient gathered from all processes."""
    total = 0.0
    for p in model.parameters():
        if p.grad is not None:
            grad = p.grad.full_tensor() if hasattr(p.grad, "full_tensor") else p.grad
            total += grad.double().square().sum().item()
    return float(total**0.5)


def _trained(model: nn.Module, watch: Watch, bad: int, *, own: bool, bound: float = 20.0) -> Course:
    """``own``: each process has its own batches, and the second has the bad one."""
    course = Course()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    for step in range(1, STEPS + 1):
        number, meant = (2 * step + dist.get_rank(), 2 * bad + 1) if own else (step, bad)
        x, y = batch(number, meant)
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        course.norms[0].append(whole(model))
        total: Tensor = clip_grad_norm_(model.parameters(), bound)
        total = total.full_tensor() if hasattr(total, "full_tensor") else total
        course.acted.append(acts(total.item(), bound))
        optimizer.step()
        course.losses.append(loss.item())
    return course.ended(model, [optimizer])


def ddp(watch: Watch, bad: int) -> Course:
    return _trained(nn.parallel.DistributedDataParallel(net()), watch, bad, own=True)


def sharded(watch: Watch, bad: int) -> Course:
    from torch.distributed.fsdp import fully_shard

    model, mesh = net(), init_device_mesh("cpu", (2,))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return _trained(model, watch, bad, own=True)


def sharded_each(watch: Watch, bad: int) -> Course:
    """FSDP as it was first: its own clip, which scales by hand. Norms are those of the part that is in this process."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    course = Course()
    model = FullyShardedDataParallel(net(), use_orig_params=True, device_id=torch.device("cpu"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    for step in range(1, STEPS + 1):
        x, y = batch(2 * step + dist.get_rank(), 2 * bad + 1)
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        course.norms[0].append(raw(model.parameters()))
        total = model.clip_grad_norm_(20.0)
        course.acted.append(acts(total.item(), 20.0))
        optimizer.step()
        course.losses.append(loss.item())
    course.print = repr([[p.double().sum().item() for p in model.parameters()], course.losses])
    return course


def tensor_parallel(watch: Watch, bad: int) -> Course:
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    torch.manual_seed(0)
    mesh = init_device_mesh("cpu", (2,))
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
    return _trained(parallelize_module(model, mesh, plan), watch, bad, own=False)


LOOPS: dict[str, Loop] = {one.__name__: one for one in (ddp, sharded, sharded_each, tensor_parallel)}
