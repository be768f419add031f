"""One batch ten thousand times too large, at each early step, in three nets and in loops that clip, scale or accumulate."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.faults.fault import AT, Fault
from bench.faults.training import CLASSES, Batch, Net, Script, classes

FACTOR = 10_000.0
EARLY = range(4, 61)
SOME = (4, 5, 7, 10, 15, 22, 33, 45, 60)
LOOP_STEPS = (5, 12, 40, AT)
MORE_STEPS = 40
"""Steps that a run goes on after its spike."""


class Conv(nn.Module):
    """Plain convolutions: a norm would hide a batch's scale."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.third = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.head = nn.Linear(16 * 8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, (1, 4, 8))
        for layer in (self.first, self.second, self.third):
            x = torch.relu(layer(x))
        return self.head(x.flatten(1))


class Patches(nn.Module):
    """A transformer over four pieces of each sample; no norm behind the last block, which would hide a batch's scale."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 32, 0.0, batch_first=True, norm_first=True) for _ in range(2)
        )
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.unflatten(1, (4, 8)))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


NETS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "mlp": (Net, "layers.0.weight"),
    "conv": (Conv, "first.weight"),
    "transformer": (Patches, "embed.weight"),
}
"""Each with the parameter at which a spike of the batch begins."""


def batch(step: int, at: int) -> Batch:
    """The usual batch, but for one."""
    x, y = classes(step)
    return (x * FACTOR if step == at else x), y


def part_of_batch(step: int, at: int) -> Batch:
    """The same in the second quarter alone."""
    x, y = classes(step)
    if step == at:
        x[len(x) // 4 : len(x) // 2] *= FACTOR
    return x, y


def spiking(net: str, at: int, loop: str = "plain") -> Script:
    """A net that trains with AdamW, in one kind of loop."""
    model = NETS[net][0]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    script = Script(model, optimizer, at + MORE_STEPS, batch=lambda step: batch(step, at))
    parameters = list(model.parameters())

    def by_hand(_: int) -> None:
        with torch.no_grad():
            total = torch.stack(torch._foreach_norm([p.grad for p in parameters])).norm()
            for p in parameters:
                p.grad.mul_((1.0 / (total + 1e-6)).clamp(max=1.0))  # type: ignore[union-attr]

    if loop == "norm":
        script.between = lambda _: nn.utils.clip_grad_norm_(parameters, 1.0)  # type: ignore[assignment, return-value]
    elif loop == "value":
        script.between = lambda _: nn.utils.clip_grad_value_(parameters, 0.1)
    elif loop == "hand":
        script.between = by_hand
    elif loop == "accumulated":
        script.parts = 4
        script.batch = lambda step: part_of_batch(step, at)
    return script


LOOPS = ("norm", "value", "hand", "accumulated")


def _fault(net: str, at: int, loop: str = "plain") -> Fault:
    return Fault(
        lambda: spiking(net, at, loop), ("SG206", "SG201"), (NETS[net][1], ""), "given|input|batch", step=at, once=True
    )


FAULTS: dict[str, Fault] = {
    **{f"spike-mlp-{at}": _fault("mlp", at) for at in EARLY},
    **{f"spike-{net}-{at}": _fault(net, at) for net in ("conv", "transformer") for at in SOME},
    **{f"spike-{loop}-{at}": _fault("mlp", at, loop) for loop in LOOPS for at in LOOP_STEPS},
}
