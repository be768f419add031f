"""What watching and clipping cost: ``python -m bench.guard [--rounds N] [--steps N] [NAME …]``.

Each monitor trains its own copy of the net, on the same batches, in blocks of ten steps in random order, so that whatever the
machine does falls on all alike; the first two steps of a block count for nothing, since the caches hold another copy then. In
a round a monitor's cost is the median of (its step − the bare step on the same batch) ÷ the median bare step, and the mean of
the same, which what is done on some steps only (judging, exact updates) weighs in; printed is the median of the rounds, each
with fresh copies, and their range. "bare again" is the A/A control: what it shows is the error of the rest. Times are the
thread's own processor time, which other programs disturb less than the clock.

A step's forward and backward pass take a hundred times as long as what is to be measured, and their noise hides it. So
"beside both" is what a monitor adds to the rest of a step, in microseconds: hooks around the model's call and around
backward, what stands between backward and the optimizer, and the optimizer's step; the mean over all steps of all rounds.

The last lines are the three costs that the guard promises: a watched step beside one bare foreach norm over the same
gradients; the share of a step; and a loop that clips by ``clip_grad_norm_``, guarded and not.
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
from steadygrad._guard import one_optimizer
from steadygrad.watch import backward, clips, steps

Step = Callable[[], None]
Timed = Callable[[], tuple[float, float]]
"""Seconds of a whole step, and of what is beside its forward and backward pass."""
Attach = Callable[[nn.Module, torch.optim.Optimizer], Step]
LATE = one_optimizer.LATE
BLOCK, CHANGED = 10, 2
"""Steps that one copy takes in turn, and how many of them find the caches full of another's."""
CLIP = 1e3
"""Above all norms that occur: what a clip costs on the steps on which it does not act, which are most."""


def mlp() -> tuple[nn.Module, Callable[[], tuple[Tensor, Tensor]]]:
    hidden = [layer for _ in range(6) for layer in (nn.Linear(256, 256), nn.ReLU())]
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), *hidden, nn.Linear(256, 10))
    return net, lambda: (torch.randn(128, 64), torch.randint(0, 10, (128,)))


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


_guards: list[steadygrad.Guard] = []
"""Those of the round at hand: detached before the folder of their journals goes."""


def guarded(**options: Any) -> Attach:
    def attach(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
        _guards.append(steadygrad.guard(model, optimizer, quiet=True, **options))
        return lambda: None

    return attach


def naive(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """The loop that people write: one number read for each parameter."""
    return lambda: [p.grad.norm().item() for p in model.parameters() if p.grad is not None] and None


def one_norm(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """What every watch of gradients must do at least."""
    return lambda: torch._foreach_norm([p.grad for p in model.parameters()]) and None


def guarded_clip(journal: str) -> Attach:
    """A loop that clips by norm, as most do, with a guard beside it."""

    def attach(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
        _guards.append(steadygrad.guard(model, optimizer, quiet=True, journal=journal))
        return torch_clip(model, optimizer)

    return attach


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
        "one foreach norm": one_norm,
        "guard": guarded(journal=str(folder / "run.sgj")),
        "torch clip_grad_norm_": torch_clip,
        "the same loop, guarded": guarded_clip(str(folder / "clip.sgj")),
    }


def settings(folder: Path) -> dict[str, Attach]:
    """Other ways to guard; measured by themselves, since each copy pushes the others out of the caches."""
    return {
        "guard, every 20th step": guarded(every=20, journal=str(folder / "sparse.sgj")),
        "guard, own clip by norm": guarded(clip=steadygrad.Clip.norm(CLIP)),
        "guard, own clip by value": guarded(clip=steadygrad.Clip.value(-CLIP, CLIP)),
        "guard, own clip by quantile": guarded(clip=steadygrad.Clip.quantile(0.9)),
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


def measure(name: str, rounds: int, steps: int, warm: int, *, brief: bool) -> None:
    """Print one table."""
    torch.manual_seed(0)
    net, batch = NETS[name]()
    bare: list[float] = []
    costs: dict[str, Costs] = {}
    missing: set[str] = set()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            for attached in (monitors(Path(folder)), *(() if brief else (settings(Path(folder)), others()))):
                times = _round(net, batch, {"bare": nothing, **attached}, steps, warm, missing)
                while _guards:
                    _guards.pop().detach()
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
    watch, norm = (statistics.fmean(costs[label].beside) for label in ("guard", "one foreach norm"))
    print(f"  a watched step is {watch / norm:.2f} x one foreach norm, and {watch / step:.2%} of a step")
    clip, both = (
        statistics.fmean(costs[label].beside) for label in ("torch clip_grad_norm_", "the same loop, guarded")
    )
    print(
        f"  a loop that clips by norm, guarded: {both / clip:.2f} x the cost of the clip alone, beside forward and backward"
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
            runs[label] = _alone(_step(model, optimizer, attach(model, optimizer), made))
        except ImportError:
            missing.add(label)
    # Between two steps of one copy the others' pass too: what goes by the clock must not come more often for it.
    one_optimizer.LATE = LATE * len(runs)
    times: dict[str, list[tuple[float, float]]] = {label: [] for label in runs}
    for block in range((warm + steps) // BLOCK):
        batches = [batch() for _ in range(BLOCK)]
        for label in random.sample(list(runs), len(runs)):
            for at, one in enumerate(batches):
                made[:] = [one]
                taken = runs[label]()
                if block * BLOCK >= warm and at >= CHANGED:
                    times[label].append(taken)
    return {label: np.array(taken) for label, taken in times.items()}


def _alone(step: Timed) -> Timed:
    """Between its steps a copy's guard does not listen: in a program there is one guard, and not one for each copy."""
    lists: tuple[list[Any], ...] = (backward._listeners, clips._watches)
    own = [list(one) for one in lists]
    for one in lists:
        one.clear()

    def timed() -> tuple[float, float]:
        for one, kept in zip(lists, own, strict=True):
            one[:] = kept
        try:
            return step()
        finally:
            for one in lists:
                one.clear()

    return timed


def _of_other_threads(net: nn.Module, batch: Callable[[], tuple[Tensor, Tensor]], journal: str, steps: int) -> float:
    model = Timing(copy.deepcopy(net))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    made = [batch()]
    one_optimizer.LATE = LATE
    with steadygrad.guard(model, optimizer, every=1, journal=journal, quiet=True):
        step = _step(model, optimizer, lambda: None, made)
        step()
        all_threads, this_thread = time.process_time(), time.thread_time()
        for _ in range(steps):
            step()
        this_thread = time.thread_time() - this_thread
        return (time.process_time() - all_threads - this_thread) / this_thread


def _step(model: Timing, optimizer: torch.optim.Optimizer, extra: Step, made: list[tuple[Tensor, Tensor]]) -> Timed:
    inside = [0.0]
    original = torch.autograd.graph._engine_run_backward

    def engine(*args: Any, **kwargs: Any) -> Any:
        began = time.thread_time()
        try:
            return original(*args, **kwargs)
        finally:
            inside[0] = time.thread_time() - began

    def step() -> tuple[float, float]:
        x, y = made[0]
        torch.autograd._engine_run_backward = engine  # type: ignore[attr-defined]
        began = time.thread_time()
        output = model(x)
        called = time.thread_time()
        loss = F.cross_entropy(output, y)
        optimizer.zero_grad()
        before = time.thread_time()
        loss.backward()
        extra()
        optimizer.step()
        ended = time.thread_time()
        torch.autograd._engine_run_backward = original  # type: ignore[attr-defined]
        return ended - began, called - began - model.seconds + ended - before - inside[0]

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*NETS, []])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument(
        "--warm",
        type=int,
        default=130,
        help="Steps before them (130): in the first 100 a guard looks at more.",
    )
    parser.add_argument("--brief", action="store_true", help="The guard's three costs and the control alone.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    one_optimizer.clock = steps.clock = time.thread_time  # type: ignore[attr-defined]
    for name in given.names or NETS:
        measure(name, given.rounds, given.steps, given.warm, brief=given.brief)


if __name__ == "__main__":
    main()
