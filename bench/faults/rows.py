"""One batch of 64 with one to three bad rows, after 80 to 200 healthy steps: are exactly these rows told?

Each run is planned on a bare copy of itself: the net as it is at that step says which label is wrong for a row that was made
large, and that each bad row's own gradient stands far above those of the others. The guarded run is then the same to the bit.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad
from bench.faults.healthy.shared import drawn, perceptron
from bench.faults.spikes import Conv
from bench.faults.training import CLASSES, FEATURES, Batch, Net, Script, classes

RUNS, SIZE, MORE = 100, 64, 3
FACTORS = (300.0, 1_000.0, 3_000.0, 10_000.0)
ABSURD = 1e4
"""A target among those of about one."""
APART = 10.0
"""A bad row's gradient ÷ the greatest of the good rows', at least."""
WAYS = ("scaled", "target")
"""What is wrong with the bad rows; a target can be absurd in a regression alone."""


class Residual(nn.Module):
    """Two branches with norms, and a plain head on the sum."""

    def __init__(self, outputs: int = CLASSES, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Linear(FEATURES, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.branches = nn.ModuleList(perceptron(width, 2 * width, width) for _ in range(2))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, branch in zip(self.norms, self.branches, strict=True):
            x = x + branch(norm(x))
        return self.head(x)


def labelled(step: int, seed: int) -> Batch:
    return classes(step, SIZE, seed=seed)


def several_labels(step: int, seed: int) -> Batch:
    """Whether each of three features is positive."""
    x = torch.randn(SIZE, FEATURES, generator=drawn(seed, step))
    return x, (x[:, :3] > 0).float()


def numbers(step: int, seed: int) -> Batch:
    """A bent sum, with a little noise."""
    generator = drawn(seed, step)
    x = torch.randn(SIZE, FEATURES, generator=generator)
    noise = torch.randn(SIZE, 1, generator=generator)
    return x, x[:, :4].sum(1, keepdim=True).tanh() + 0.1 * noise


Loss = Callable[[Tensor, Tensor], Tensor]
Task = tuple[Callable[[], nn.Module], Callable[[int, int], Batch], Loss]


def summed(output: Tensor, y: Tensor) -> Tensor:
    """Over the batch, a hundredth of it."""
    return 0.01 * F.cross_entropy(output, y, reduction="sum")


def smooth(output: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(output, y, label_smoothing=0.1)


TASKS: dict[str, Task] = {
    "mlp-cross-entropy": (Net, labelled, F.cross_entropy),
    "mlp-smoothed-labels": (lambda: Net(depth=4), labelled, smooth),
    "mlp-sum": (lambda: Net(depth=3), labelled, summed),
    "mlp-mse": (lambda: perceptron(FEATURES, 32, 32, 1), numbers, F.mse_loss),
    "mlp-huber": (lambda: perceptron(FEATURES, 32, 1, act=nn.ReLU), numbers, F.smooth_l1_loss),
    "mlp-several-labels": (lambda: perceptron(FEATURES, 32, 3), several_labels, F.binary_cross_entropy_with_logits),
    "conv-cross-entropy": (Conv, labelled, F.cross_entropy),
    "residual-cross-entropy": (Residual, labelled, F.cross_entropy),
    "residual-mse": (lambda: Residual(1), numbers, F.mse_loss),
    "tanh-mse": (lambda: perceptron(FEATURES, 32, 32, 1, act=nn.Tanh), numbers, F.mse_loss),
}


@dataclass(frozen=True)
class Plan:
    """What is wrong in one run."""

    run: int
    task: str
    way: str
    step: int
    rows: tuple[int, ...]
    factors: tuple[float, ...]
    batch: Batch
    apart: float
    """The least bad row's gradient ÷ the greatest good row's."""


@dataclass(frozen=True)
class Told:
    """What the guard said of it."""

    plan: Plan
    code: str
    step: int
    rows: tuple[int, ...]

    @property
    def right(self) -> bool:
        return self.rows == self.plan.rows and self.step == self.plan.step


def script_of(run: int, task: str, steps: int) -> Script:
    """A run that is well."""
    make, batch, loss = TASKS[task]
    torch.manual_seed(run)
    model = make()
    kind = torch.optim.SGD if run % 4 == 3 else torch.optim.AdamW
    optimizer = kind(model.parameters(), lr=0.01 if kind is torch.optim.SGD else 2e-3)
    return Script(model, optimizer, steps, lambda step: batch(step, run), loss)


def planned(run: int) -> Plan:
    """Which rows, and what is wrong with them."""
    source = random.Random(run)
    task = list(TASKS)[run % len(TASKS)]
    for _ in range(50):
        step = source.randint(80, 200)
        way = source.choice(WAYS) if task.endswith("mse") and task != "tanh-mse" else "scaled"
        way = "target" if task == "tanh-mse" else way
        rows = tuple(sorted(source.sample(range(SIZE), source.randint(1, 3))))
        same = source.choice(FACTORS)
        factors = tuple(same if run % 2 else source.choice(FACTORS) for _ in rows)
        script = script_of(run, task, step - 1)
        script.run(fingerprints=False)
        x, y = spoilt(script, step, way, rows, factors)
        norms = torch.tensor([row_norm(script, x[at : at + 1], y[at : at + 1]) for at in range(SIZE)])
        good = torch.ones(SIZE, dtype=torch.bool)
        good[list(rows)] = False
        apart = float(norms[~good].min() / norms[good].max())
        if apart >= APART:
            return Plan(run, task, way, step, rows, factors, (x, y), apart)
    raise AssertionError(f"run {run}: no bad rows that stand out")


def spoilt(script: Script, step: int, way: str, rows: tuple[int, ...], factors: tuple[float, ...]) -> Batch:
    """The batch of that step with its bad rows. A scaled row's label is one that the net then holds for wrong."""
    x, y = script.batch(step)
    for at, factor in zip(rows, factors, strict=True):
        if way == "target":
            y[at] = ABSURD
            continue
        x[at] *= factor
        with torch.no_grad():
            output = script.model(x[at : at + 1])[0]
        if not y.is_floating_point():
            y[at] = output.argmin()
        elif y.shape[1] > 1:
            y[at] = (output < 0).float()
    return x, y


def row_norm(script: Script, x: Tensor, y: Tensor) -> float:
    """Norm of one row's own gradient."""
    loss = script.loss(script.model(x), y)
    parts = torch.autograd.grad(loss, list(script.model.parameters()))
    return float(torch.stack(torch._foreach_norm(parts)).norm())


def examine(run: int) -> Told:
    """One run, guarded at default settings."""
    torch.set_num_threads(1)
    plan = planned(run)
    script = script_of(run, plan.task, plan.step + MORE)
    usual = script.batch
    # A copy: the guard may keep the batch, and the plan must stay what it is.
    script.batch = lambda step: tuple(t.clone() for t in plan.batch) if step == plan.step else usual(step)  # type: ignore[assignment, return-value]
    guard: Any = steadygrad.guard(script.model, script.optimizer, say=lambda line: None)
    script.run(fingerprints=False)
    guard.detach()
    alarms = [alarm for alarm in guard.alarms if alarm.severity != "info"]
    if not alarms:
        return Told(plan, "-", 0, ())
    return Told(plan, alarms[0].code, alarms[0].step, tuple(sorted(getattr(alarms[0], "rows", ()))))


def show(runs: int = RUNS, *, workers: int = 1) -> int:
    """A line for each; gives how many are wrong."""
    print(
        f"{'run':>4s} {'task':23s} {'way':7s} {'step':>5s} {'rows':14s} {'apart':>9s}   {'told':14s} {'code':6s} {'step':>5s}"
    )
    right: dict[str, list[bool]] = {}
    with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
        for told in pool.map(examine, range(runs)):
            plan = told.plan
            right.setdefault(f"{plan.task}, {plan.way}", []).append(told.right)
            rows, said = (",".join(map(str, each)) or "-" for each in (plan.rows, told.rows))
            print(
                f"{plan.run:4d} {plan.task:23s} {plan.way:7s} {plan.step:5d} {rows:14s} {plan.apart:9.3g}   "
                f"{said:14s} {told.code:6s} {told.step:5d} {'right' if told.right else 'WRONG'}",
                flush=True,
            )
    for kind, each in sorted(right.items()):
        print(f"{kind:35s} {sum(each)} of {len(each)}")
    good = sum(map(sum, right.values()))
    print(f"exactly the bad rows in {good} of {runs}")
    return runs - good
