"""Real training runs of different build, each told as one function of what watches it; they give all that training left.

``watch(model, optimizers)`` is called once before the first step; ``bare`` does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

Watch = Callable[[nn.Module, Sequence[torch.optim.Optimizer]], Any]
STEPS = 120


def bare(model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Nobody watches."""


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.down(F.gelu(self.up(self.norm(x)))))


class Net(nn.Module):
    """Residual blocks with dropout (so that random state matters) and batch norm (so that buffers do)."""

    def __init__(self, checkpointed: bool = False, sparse: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(32, 16, sparse=sparse)
        self.first = nn.Linear(24, 16)
        self.norm = nn.BatchNorm1d(16)
        self.blocks = nn.ModuleList(Block(16) for _ in range(3))
        self.head = nn.Linear(16, 5)
        self.checkpointed = checkpointed

    def forward(self, x: Tensor, token: Tensor) -> Tensor:
        hidden = self.norm(self.first(x)) + self.embed(token)
        for block in self.blocks:
            hidden = checkpoint(block, hidden, use_reentrant=False) if self.checkpointed else block(hidden)
        return self.head(hidden)


def batch(step: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(16, 24, generator=generator)
    token = torch.randint(0, 32, (16,), generator=generator)
    return x, token, (x.sum(1) > 0).long() + token % 3


def fingerprint(model: nn.Module, optimizers: Sequence[Any], losses: Sequence[float]) -> str:
    """Weights, buffers, optimizer state, random state and losses, to the bit."""
    digest = hashlib.sha256()
    held: list[Any] = [*model.state_dict().values()]
    for optimizer in optimizers:
        held += tree_leaves(optimizer.state_dict())
    held += [torch.get_rng_state(), *losses]
    for one in held:
        if isinstance(one, Tensor):
            full = one.full_tensor() if hasattr(one, "full_tensor") else one
            full = full.detach().cpu().coalesce().to_dense() if full.is_sparse else full.detach().cpu()
            digest.update(full.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(one).encode())
    return digest.hexdigest()


def plain(watch: Watch, make: Callable[[nn.Module], torch.optim.Optimizer], **options: Any) -> str:
    torch.manual_seed(0)
    model = Net(**options)
    optimizer = make(model)
    watch(model, [optimizer])
    losses = []
    for step in range(STEPS):
        x, token, y = batch(step)
        loss = F.cross_entropy(model(x, token), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


def sgd(watch: Watch) -> str:
    return plain(watch, lambda m: torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9))


def adam(watch: Watch) -> str:
    return plain(watch, lambda m: torch.optim.Adam(m.parameters(), lr=1e-3, foreach=False))


def adamw_foreach(watch: Watch) -> str:
    return plain(watch, lambda m: torch.optim.AdamW(m.parameters(), lr=1e-3, foreach=True))


def adamw_fused(watch: Watch) -> str:
    return plain(watch, lambda m: torch.optim.AdamW(m.parameters(), lr=1e-3, fused=True))


def capturable_rate(watch: Watch) -> str:
    return plain(watch, lambda m: torch.optim.Adam(m.parameters(), lr=torch.tensor(1e-3)))


def float64(watch: Watch) -> str:
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 5))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watch(model, [optimizer])
        losses = []
        for step in range(STEPS):
            x, _, y = batch(step)
            loss = F.cross_entropy(model(x.double()), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return fingerprint(model, [optimizer], losses)
    finally:
        torch.set_default_dtype(torch.float32)


def checkpointed(watch: Watch) -> str:
    return plain(watch, lambda m: torch.optim.AdamW(m.parameters(), lr=1e-3), checkpointed=True)


def lbfgs(watch: Watch) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 5))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=4)
    watch(model, [optimizer])
    losses = []
    x, _, y = batch(0)
    for _ in range(STEPS):

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
    return fingerprint(model, [optimizer], losses)


def accumulation(watch: Watch) -> str:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    watch(model, [optimizer])
    losses = []
    for step in range(4 * STEPS):
        x, token, y = batch(step)
        loss = F.cross_entropy(model(x, token), y) / 4
        loss.backward()
        losses.append(loss.item())
        if step % 4 == 3:
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return fingerprint(model, [optimizer], losses)


def autocast_bf16(watch: Watch) -> str:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    losses = []
    for step in range(STEPS):
        x, token, y = batch(step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x, token), y)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


def bf16_weights(watch: Watch) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 5)).to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch(model, [optimizer])
    losses = []
    for step in range(STEPS):
        x, _, y = batch(step)
        loss = F.cross_entropy(model(x.bfloat16()).float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


def scaled(watch: Watch, *, unscale: bool, fused: bool = False) -> str:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=20)
    watch(model, [optimizer])
    losses = []
    for step in range(STEPS):
        x, token, y = batch(step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = 8 * F.cross_entropy(model(x, token), y)  # At first this overflows, and the scaler searches.
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], [*losses, scaler.get_scale()])


def grad_scaler(watch: Watch) -> str:
    return scaled(watch, unscale=False)


def grad_scaler_unscaled(watch: Watch) -> str:
    return scaled(watch, unscale=True)


def grad_scaler_fused(watch: Watch) -> str:
    return scaled(watch, unscale=False, fused=True)


def compiled(watch: Watch) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5))
    fast = torch.compile(model, backend="aot_eager")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(fast, [optimizer])
    losses = []
    for step in range(STEPS):
        x, _, y = batch(step)
        loss = F.cross_entropy(fast(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


def two_optimizers(watch: Watch) -> str:
    torch.manual_seed(0)
    model = Net(sparse=True)
    dense = [p for name, p in model.named_parameters() if not name.startswith("embed")]
    optimizers = [torch.optim.SparseAdam(model.embed.parameters(), lr=1e-2), torch.optim.Adam(dense, lr=1e-3)]
    watch(model, optimizers)
    losses = []
    for step in range(STEPS):
        x, token, y = batch(step)
        loss = F.cross_entropy(model(x, token), y)
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, optimizers, losses)


def complex_weights(watch: Watch) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 16, dtype=torch.complex64), nn.Linear(16, 5, dtype=torch.complex64))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    losses = []
    for step in range(STEPS):
        x, _, y = batch(step)
        loss = F.cross_entropy(model(x.to(torch.complex64)).abs(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


def in_backward(watch: Watch) -> str:
    """Optimizers that step inside backward, one for each parameter."""
    torch.manual_seed(0)
    model = Net()
    optimizers = {p: torch.optim.Adam([p], lr=1e-3, foreach=False) for p in model.parameters()}
    watch(model, list(optimizers.values()))

    def step_now(parameter: Tensor) -> None:
        optimizers[parameter].step()  # type: ignore[index]
        optimizers[parameter].zero_grad()  # type: ignore[index]

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step_now)
    losses = []
    for step in range(STEPS):
        x, token, y = batch(step)
        loss = F.cross_entropy(model(x, token), y)
        loss.backward()
        losses.append(loss.item())
    return fingerprint(model, list(optimizers.values()), losses)


def ddp(watch: Watch) -> str:
    torch.manual_seed(0)
    model = Net()
    wrapped = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.AdamW(wrapped.parameters(), lr=1e-3)
    watch(wrapped, [optimizer])
    losses = []
    for step in range(STEPS):
        x, token, y = batch(2 * step + dist.get_rank())
        loss = F.cross_entropy(wrapped(x, token), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


def fsdp2(watch: Watch) -> str:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.manual_seed(0)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    model = nn.Sequential(nn.Linear(24, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch(model, [optimizer])
    losses = []
    for step in range(STEPS):
        x, _, y = batch(2 * step + dist.get_rank())
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return fingerprint(model, [optimizer], losses)


ALONE: dict[str, Callable[[Watch], str]] = {
    one.__name__: one
    for one in (
        sgd,
        adam,
        adamw_foreach,
        adamw_fused,
        capturable_rate,
        float64,
        checkpointed,
        lbfgs,
        accumulation,
        autocast_bf16,
        bf16_weights,
        grad_scaler,
        grad_scaler_unscaled,
        grad_scaler_fused,
        compiled,
        two_optimizers,
        complex_weights,
        in_backward,
    )
}
TOGETHER: dict[str, Callable[[Watch], str]] = {"ddp": ddp, "fsdp2": fsdp2}
