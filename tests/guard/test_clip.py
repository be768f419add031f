"""A guard's clip is torch's, bit for bit, over whole runs; distributed it is that of one process."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from steadygrad.clip import clip_adaptive_, clip_quantile_, clip_zscore_
from steadygrad.clip.quantile import QuantileState
from steadygrad.clip.zscore import ZScoreState
from tests.guard.runs import Net, batch
from tests.guard.test_nothing_changes import free_port

Apply = Callable[[list[Tensor]], object]


def trained(clip: Apply | None, guarded: steadygrad.Clip | None, steps: int = 120) -> tuple[list[Tensor], float]:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    guard = None
    if guarded is not None:
        guard = steadygrad.guard(model, optimizer, clip=guarded, probe_every=0, quiet=True, say=lambda _: None)
    for step in range(steps):
        x, token, y = batch(step)
        loss = F.cross_entropy(model(x, token), y)
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            clip(list(model.parameters()))
        optimizer.step()
    share = guard.clipped_share if guard is not None else math.nan
    assert guard is None or not guard.optimizers[0].off
    return [p.detach() for p in model.parameters()], share


def each(parameters: Iterable[Tensor], max_norm: float) -> None:
    for parameter in parameters:
        nn.utils.clip_grad_norm_([parameter], max_norm)


def asymmetric(parameters: list[Tensor]) -> None:
    for parameter in parameters:
        assert parameter.grad is not None
        parameter.grad.clamp_(-0.01, 0.03)


def quantile() -> Apply:
    state = QuantileState(0.5)
    return lambda parameters: clip_quantile_(parameters, state)


def zscore() -> Apply:
    state = ZScoreState(0.5)
    return lambda parameters: clip_zscore_(parameters, state)


CLIPS: dict[str, tuple[Callable[[], Apply], steadygrad.Clip]] = {
    "norm": (lambda: lambda p: nn.utils.clip_grad_norm_(p, 0.5), steadygrad.Clip.norm(0.5)),
    "norm never reached": (lambda: lambda p: nn.utils.clip_grad_norm_(p, 1e6), steadygrad.Clip.norm(1e6)),
    "greatest element": (
        lambda: lambda p: nn.utils.clip_grad_norm_(p, 0.05, math.inf),
        steadygrad.Clip.norm(0.05, math.inf),
    ),
    "value": (lambda: lambda p: nn.utils.clip_grad_value_(p, 0.02), steadygrad.Clip.value(-0.02, 0.02)),
    "asymmetric value": (lambda: asymmetric, steadygrad.Clip.value(-0.01, 0.03)),
    "per parameter": (lambda: lambda p: each(p, 0.1), steadygrad.Clip.per_parameter(0.1)),
    "adaptive": (lambda: lambda p: clip_adaptive_(p, 0.01), steadygrad.Clip.adaptive(0.01)),
    "quantile": (quantile, steadygrad.Clip.quantile(0.5)),
    "z-score": (zscore, steadygrad.Clip.zscore(0.5)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CLIPS)
def test_over_a_run_it_is_the_same_to_the_bit(name: str) -> None:
    make, clip = CLIPS[name]
    expected, _ = trained(make(), None)
    found, share = trained(None, clip)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert share == 0 if name == "norm never reached" else 0 < share <= 1


@pytest.mark.parametrize("name", [name for name in CLIPS if name != "norm never reached"])
def test_the_comparison_can_fail(name: str) -> None:
    expected, _ = trained(None, None, steps=20 if name != "z-score" else 60)
    found, _ = trained(None, CLIPS[name][1], steps=20 if name != "z-score" else 60)
    assert not all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_under_a_fused_optimizer_that_unscales_itself() -> None:
    """The gradients that the clip meets are 1024 times too large; the bounds are for the true ones."""

    def run(clip: steadygrad.Clip | None, scale: float) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 5))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=True)
        if clip is not None:
            steadygrad.guard(model, optimizer, clip=clip, probe_every=0, quiet=True)
        for step in range(20):
            x, _, y = batch(step)
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            if clip is None:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_value_(model.parameters(), 0.01)
            scaler.step(optimizer)
            scaler.update()
        return [p.detach() for p in model.parameters()]

    expected, found = run(None, 1024.0), run(steadygrad.Clip.value(-0.01, 0.01), 1024.0)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(found, expected, strict=True))


def test_the_search_of_a_scaler_is_no_step_of_the_clip() -> None:
    """A fused optimizer is stepped while the scale is still too large, and leaves the step out by itself."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    guard = steadygrad.guard(model, optimizer, clip=steadygrad.Clip.norm(1e6), probe_every=0, quiet=True)
    lane = guard.optimizers[0]
    assert lane.clipper is not None
    for step in range(10):
        x, _, y = batch(step)
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        if step == 6:
            weight = next(model.parameters())
            assert weight.grad is not None
            weight.grad[0, 0] = math.inf
        scaler.step(optimizer)
        scaler.update()
    guard.flush()
    assert [step for step, _, _ in lane.state.trail] == [1, 2, 3, 4, 5, 6, 8, 9, 10]
    assert (lane.clipper.acted, lane.clipper.steps) == (0, 9)


@pytest.mark.parametrize("bound", [0.1, 1e6])
def test_a_scale_beyond_the_squares_of_float32_changes_nothing(bound: float) -> None:
    """The gradients are finite and the step is taken, but the sum of their squares overflows."""

    def run(scale: float) -> tuple[list[Tensor], float]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 5))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        clip = steadygrad.Clip.norm(bound)
        guard = steadygrad.guard(model, optimizer, clip=clip, probe_every=0, quiet=True)
        for step in range(10):
            x, _, y = batch(step)
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()
        guard.flush()
        assert guard.alarms == []
        return [p.detach() for p in model.parameters()], guard.clipped_share

    expected, share = run(1.0)
    found, same_share = run(2.0**100)
    assert share == same_share == (1.0 if bound < 1 else 0.0)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(found, expected, strict=True))


def test_every_evaluation_of_a_closure_is_clipped() -> None:
    model = nn.Linear(4, 1)
    seen: list[float] = []
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
    steadygrad.guard(model, optimizer, clip=steadygrad.Clip.norm(0.1), probe_every=0, quiet=True)
    x, y = torch.randn(32, 4), 10 * torch.randn(32, 1)

    class Seeing(torch.optim.LBFGS):
        pass

    original = torch.optim.LBFGS._gather_flat_grad

    def gather(self: torch.optim.LBFGS) -> Tensor:
        flat = original(self)
        seen.append(float(flat.norm()))
        return flat

    torch.optim.LBFGS._gather_flat_grad = gather
    try:

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
    finally:
        torch.optim.LBFGS._gather_flat_grad = original
    assert len(seen) > 2 and max(seen) <= 0.1 * (1 + 1e-5)


def test_harder_halves_the_bound() -> None:
    model, optimizer = _small()
    guard = steadygrad.guard(model, optimizer, clip=steadygrad.Clip.value(-2, 4), probe_every=0, quiet=True)
    clipper = guard.optimizers[0].clipper
    assert clipper is not None
    old, new = clipper.tightened(1.0)
    assert (str(old), str(new)) == ("value:-2,4", "value:-1,2")


def _small() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Linear(3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


SHARED = {
    "norm": steadygrad.Clip.norm(0.2),
    "value": steadygrad.Clip.value(-0.01, 0.02),
    "per-parameter": steadygrad.Clip.per_parameter(0.05),
    "adaptive": steadygrad.Clip.adaptive(0.01),
}


def _spread(rank: int, port: int, folder: str) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        torch.manual_seed(0)
        first = nn.Sequential(nn.Linear(24, 15), nn.Tanh(), nn.Linear(15, 5))
        for name, clip in SHARED.items():
            results = {}
            for kind in ("alone", "ddp", "fsdp2"):
                model: nn.Module = copy.deepcopy(first)
                called: nn.Module = model
                if kind == "ddp":
                    called = nn.parallel.DistributedDataParallel(model)
                elif kind == "fsdp2":
                    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
                optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
                guard = steadygrad.guard(called, optimizer, clip=clip, probe_every=0, quiet=True)
                for step in range(10):
                    x, _, y = batch(step)
                    half = slice(None) if kind == "alone" else slice(8 * rank, 8 * rank + 8)
                    loss = F.cross_entropy(called(x[half]), y[half])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                assert guard.clipped_share > 0 and not guard.optimizers[0].off
                guard.detach()
                results[kind] = [
                    p.full_tensor() if hasattr(p, "full_tensor") else p.detach() for p in model.parameters()
                ]
            for kind in ("ddp", "fsdp2"):
                for a, b in zip(results[kind], results["alone"], strict=True):
                    assert torch.allclose(a, b, rtol=1e-4, atol=1e-6), (name, kind, float((a - b).abs().max()))
        Path(folder, f"done-{rank}").write_text("")
        # Who leaves first takes the store with it that the other's groups still use.
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.mark.long
def test_ddp_and_fsdp2_clip_as_one_process_does(tmp_path: Path) -> None:
    mp.spawn(_spread, (free_port(), str(tmp_path)), nprocs=2)
    assert (tmp_path / "done-0").exists() and (tmp_path / "done-1").exists()


WRITES: dict[str, Callable[[list[Tensor]], object]] = {
    "nothing": lambda gradients: None,
    "scales them": lambda gradients: [one.mul_(0.01) for one in gradients],
    "scales them in a way that counts in no version": lambda gradients: [one.data.mul_(0.01) for one in gradients],
    "clips them itself": lambda gradients: torch.nn.utils.clip_grads_with_norm_(
        [Gradient(one) for one in gradients], 10.0, torch.nn.utils.get_total_norm(gradients)
    ),
}


class Gradient:
    """What torch's clip takes for a parameter."""

    def __init__(self, grad: Tensor) -> None:
        self.grad = grad


@pytest.mark.parametrize("clip", ["norm:1", "per-parameter:0.1", "value:-0.01,0.01"])
@pytest.mark.parametrize("does", WRITES)
def test_a_clip_of_the_guard_s_own_finds_the_gradients_as_the_loop_left_them(does: str, clip: str) -> None:
    torchs = {
        "norm:1": lambda own: torch.nn.utils.clip_grad_norm_(own, 1.0),
        "per-parameter:0.1": lambda own: [torch.nn.utils.clip_grad_norm_([p], 0.1) for p in own],
        "value:-0.01,0.01": lambda own: torch.nn.utils.clip_grad_value_(own, 0.01),
    }[clip]

    def train(*, guarded: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        guard = steadygrad.guard(model, optimizer, clip=clip, quiet=True, say=lambda line: None) if guarded else None
        for _ in range(20):
            x = torch.randn(16, 8)
            optimizer.zero_grad()
            (5 * model(x) - 20 * x.sum(1, keepdim=True)).square().mean().backward()
            WRITES[does]([p.grad for p in model.parameters() if p.grad is not None])
            if guard is None:
                torchs(model.parameters())
            optimizer.step()
        if guard is not None:
            guard.detach()
        return [p.detach() for p in model.parameters()]

    for mine, theirs in zip(train(guarded=True), train(guarded=False), strict=True):
        assert torch.equal(mine, theirs)
