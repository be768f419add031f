"""What watching and clipping cost: ``python -m bench.guard [--rounds N] [--steps N] [NAME …]``.

Each monitor trains its own copy of the net, on the same batches, one step each in random order, so that whatever the machine
does falls on all alike; denormals are flushed. In a round a monitor's cost is the median of (its step − the bare step on the
same batch) ÷ the median bare step, and the mean of the same, which what is done on some steps only (judging, a read within a
budget) weighs in, and noise does more; told is the median of the rounds, each with fresh copies, and their range. "bare again"
is the A/A control: what it shows is the error of the rest. The times are the thread's own processor time, which other programs
disturb less than the clock, and the guard keeps its budget by it here. Looks, which have a budget of their own, fall into the
warm-up.

Where the net's own forward and backward pass take a hundred times as long as what is to be measured, their noise hides it. So
"beside both" is what a monitor adds to the rest of a step: hooks around the model's call, what stands between backward and
the optimizer, and the optimizer's step, in microseconds, the mean over all steps of all rounds. What works inside of the
backward pass (``wandb.watch``; of the guard one hook that keeps a reference) is no part of it.
"""

from __future__ import annotations

import argparse
import copy
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from steadygrad.explain import capture
from steadygrad.watch import steps as lane

Step = Callable[[], None]
Timed = Callable[[], tuple[float, float]]
"""Seconds of a whole step, and of what is beside its forward and backward pass."""
Attach = Callable[[nn.Module, torch.optim.Optimizer], Step]
LATE = lane.LATE
CLIP = 1e3
"""Above all norms that occur: what a clip costs on the steps on which it does not act, which are most."""


def mlp() -> tuple[nn.Module, Callable[[], tuple[Tensor, Tensor]]]:
    hidden = [layer for _ in range(6) for layer in (nn.Linear(256, 256), nn.ReLU())]
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), *hidden, nn.Linear(256, 10))
    return net, lambda: (torch.randn(128, 64), torch.randint(0, 10, (128,)))


COPIES = 11
"""How many copies train in turn, at least: the time between two steps of one, by which a budget is kept, is that of all."""


class Gpt(nn.Module):
    """Six pre-norm blocks, 192 wide, over 128 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(512, 192)
        layer = nn.TransformerEncoderLayer(192, 6, 768, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(192, 512)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(128))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(tokens), mask=self.mask, is_causal=True)).transpose(1, 2)


def gpt() -> tuple[nn.Module, Callable[[], tuple[Tensor, Tensor]]]:
    return Gpt(), lambda: (torch.randint(0, 512, (4, 128)), torch.randint(0, 512, (4, 128)))


class Residual(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.across = nn.Identity() if before == after else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.norm1(self.first(x)))
        return F.relu(self.norm2(self.second(hidden)) + self.across(x))


def resnet18() -> tuple[nn.Module, Callable[[], tuple[Tensor, Tensor]]]:
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    blocks = [Residual(a, b) for a, b in pairwise(widths)]
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    net = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return net, lambda: (torch.randn(8, 3, 32, 32), torch.randint(0, 10, (8,)))


NETS = {"mlp": mlp, "gpt": gpt, "resnet18": resnet18}


def guarded(**options: Any) -> Attach:
    def attach(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
        steadygrad.guard(model, optimizer, quiet=True, budget=0.01 / COPIES, **options)
        return lambda: None

    return attach


def naive(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """The loop that people write: one number read for each parameter."""
    return lambda: [p.grad.norm().item() for p in model.parameters() if p.grad is not None] and None


def torch_clip(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    return lambda: nn.utils.clip_grad_norm_(model.parameters(), CLIP) and None


def with_wandb(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    import wandb

    run = wandb.init(mode="offline", dir=tempfile.mkdtemp(), settings=wandb.Settings(silent=True))
    run.watch(model, log="gradients", log_freq=1)
    return lambda: run.log({})


def histograms(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(tempfile.mkdtemp())
    count = iter(range(10**9))

    def write() -> None:
        step = next(count)
        for name, parameter in model.named_parameters():
            writer.add_histogram(name, parameter.grad, step)

    return write


def nothing(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    return lambda: None


def monitors(folder: Path) -> dict[str, Attach]:
    return {
        "bare again": nothing,
        "guard, default budget": guarded(journal=str(folder / "budget.sgj")),
        "guard, every step": guarded(every=1, journal=str(folder / "every.sgj")),
        "guard, clip norm": guarded(clip=steadygrad.Clip.norm(CLIP)),
        "guard, clip norm, no looks": guarded(clip=steadygrad.Clip.norm(CLIP), probe_every=0),
        "guard, clip value": guarded(clip=steadygrad.Clip.value(-CLIP, CLIP)),
        "guard, clip quantile": guarded(clip=steadygrad.Clip.quantile(0.9)),
        "guard, clip z-score": guarded(clip=steadygrad.Clip.zscore()),
        "torch clip_grad_norm_": torch_clip,
        "naive loop": naive,
    }


def others() -> dict[str, Attach]:
    """Measured by themselves: histograms push what a step needs out of the caches, its own and those of the copies beside."""
    return {"wandb.watch, offline": with_wandb, "TensorBoard histograms": histograms}


class Timing(nn.Module):
    """The net, and the seconds that its own forward pass took: what its call takes beyond them, hooks take."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.seconds = 0.0

    def forward(self, x: Tensor) -> Tensor:
        began = time.thread_time()
        output: Tensor = self.net(x)
        self.seconds = time.thread_time() - began
        return output


@dataclass
class Costs:
    """What one monitor added, a number for each round."""

    medians: list[float] = field(default_factory=list)
    """Share of a bare step."""
    means: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    """Seconds beside the forward and the backward pass, the mean over the round's steps."""


def measure(name: str, rounds: int, steps: int, warm: int) -> None:
    """Print one table."""
    torch.manual_seed(0)
    net, batch = NETS[name]()
    bare: list[float] = []
    costs: dict[str, Costs] = {}
    missing: set[str] = set()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for attached in (monitors(Path(folder)), others()):
                times = _round(net, batch, {"bare": nothing, **attached}, steps, warm, missing)
                whole, beside = times["bare"].T
                bare.append(float(np.median(whole)))
                for label, taken in times.items():
                    extra = (taken[:, 0] - whole) / bare[-1]
                    cost = costs.setdefault(label, Costs())
                    cost.medians.append(float(np.median(extra)))
                    cost.means.append(float(np.mean(extra)))
                    cost.beside.append(float(np.mean(taken[:, 1] - beside)))
    size = sum(p.numel() for p in net.parameters())
    step = statistics.median(bare)
    print(f"\n{name}: {size:,} parameters, a bare step takes {step * 1e3:.2f} ms")
    print(f"  {'':<28} {'median':>8}  {'in the rounds':<16} {'mean':>8}  {'in the rounds':<16}  beside both, in us")
    for label, cost in costs.items():
        if label != "bare":
            print(
                f"  {label:<28} {_with_range(cost.medians)}  {_with_range(cost.means)}  "
                f"{statistics.fmean(cost.beside) * 1e6:7.0f} ({min(cost.beside) * 1e6:.0f} to {max(cost.beside) * 1e6:.0f}), "
                f"{statistics.fmean(cost.beside) / step:+.2%} of a step"
            )
    theirs = costs["torch clip_grad_norm_"]
    for label, words in (("guard, clip norm", "ready for looks"), ("guard, clip norm, no looks", "without looks")):
        ours = costs[label]
        beside = statistics.fmean(ours.beside) / statistics.fmean(theirs.beside)
        whole_step = statistics.median(ours.medians) / statistics.median(theirs.medians)
        print(
            f"  guard's norm clip, {words}: {beside:.2f} x torch's beside both, {whole_step:.2f} x by the whole step's medians"
        )
    for label in sorted(missing):
        print(f"  {label} was left out: not installed")
    with tempfile.TemporaryDirectory() as folder:
        share = _of_other_threads(net, batch, str(Path(folder) / "run.sgj"), steps)
    print(f"  the journal's own thread, every step: {share:.2%} of a step, on another core")


def _with_range(found: list[float]) -> str:
    spread = f"{min(found):+.1%} to {max(found):+.1%}"
    return f"{statistics.median(found):+8.2%}  {spread:<16}"


def _round(
    net: nn.Module,
    batch: Callable[[], tuple[Tensor, Tensor]],
    attached: dict[str, Attach],
    steps: int,
    warm: int,
    missing: set[str],
) -> dict[str, np.ndarray[Any, Any]]:
    """Seconds of each step under each monitor, on fresh copies made in random order: where one lies costs or saves a hundredth.

    Shape (steps, 2): the whole step, and what is beside its forward and backward pass.
    """
    runs: dict[str, Timed] = {}
    made: list[tuple[Tensor, Tensor]] = []
    for label, attach in random.sample(list(attached.items()), len(attached)):
        model = Timing(copy.deepcopy(net))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        try:
            runs[label] = _step(model, optimizer, attach(model, optimizer), made)
        except ImportError:
            missing.add(label)
    # Between two steps of one copy the others' pass too: what goes by the clock must not come more often for it.
    lane.LATE = LATE * len(runs)
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in runs}
    for _ in range(warm + steps):
        made[:] = [batch()]
        order = list(runs)
        random.shuffle(order)
        for label in order:
            times[label].append(runs[label]())
    return {label: np.array(taken[warm:]) for label, taken in times.items()}


def _of_other_threads(net: nn.Module, batch: Callable[[], tuple[Tensor, Tensor]], journal: str, steps: int) -> float:
    model = Timing(copy.deepcopy(net))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    made = [batch()]
    lane.LATE = LATE
    with steadygrad.guard(model, optimizer, every=1, journal=journal, quiet=True):
        step = _step(model, optimizer, lambda: None, made)
        step()
        all_threads, this_thread = time.process_time(), time.thread_time()
        for _ in range(steps):
            step()
        this_thread = time.thread_time() - this_thread
        return (time.process_time() - all_threads - this_thread) / this_thread


def _step(model: Timing, optimizer: torch.optim.Optimizer, extra: Step, made: list[tuple[Tensor, Tensor]]) -> Timed:
    def step() -> tuple[float, float]:
        x, y = made[0]
        began = time.thread_time()
        output = model(x)
        called = time.thread_time()
        loss = F.cross_entropy(output, y)
        optimizer.zero_grad()
        loss.backward()
        ready = time.thread_time()
        extra()
        optimizer.step()
        ended = time.thread_time()
        return ended - began, called - began - model.seconds + ended - ready

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*NETS, []])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument(
        "--warm", type=int, help="Steps before them; half as many, 10 at least and 40 at most, if not given."
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    lane.clock = capture.clock = time.thread_time  # type: ignore[attr-defined]
    for name in given.names or NETS:
        warm = max(10, min(40, given.steps // 2)) if given.warm is None else given.warm
        measure(name, given.rounds, given.steps, warm)


if __name__ == "__main__":
    main()
