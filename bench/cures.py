"""Which cure saves which plain net, at which depth: ``python -m bench.cures [--quick] [--only WORD …] [--jobs N]``.

A grid of {activation} x {depth} x {cure} over multilayer perceptrons and convolutional nets with torch's own
initialisation and Adam at 1e-3, on scikit-learn's digits. Each cell is cured on one batch as ``steadygrad.cure`` does it
with ``only=``, then trained on minibatches for at most ``STEPS`` steps; accuracy is that on the fifth of the digits that
is never trained on. The grid takes several hours; a cell that ``cures.jsonl`` has is not measured again, so it can be
stopped at any time. ``--table`` writes ``docs/measured-cures.md`` from what was measured so far.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad._check import check_subject
from steadygrad.cures.candidates import candidates_for
from steadygrad.cures.editable_copy import editable_copy_of
from steadygrad.cures.evaluate import Options, try_out
from steadygrad.subject.subject import make_subject

RESULTS = Path(__file__).parent / "cures.jsonl"
TABLE = Path(__file__).parents[1] / "docs" / "measured-cures.md"

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softsign": nn.Softsign,
    "hardtanh": nn.Hardtanh,
}
DEPTHS = {"mlp": (10, 30, 100, 300, 1000), "conv": (10, 30, 100, 300)}
CURES = {
    "none": "as it is",
    "folded-initialisation": "folded",
    "orthogonal-initialisation": "orthogonal",
    "data-driven-initialisation": "data-driven",
    "relu": "ReLU + He",
    "batch-norm-before": "batch norm",
    "layer-norm-before": "layer norm",
    "residual-span-1": "residual 1",
    "residual-span-2": "residual 2",
    "residual-span-3": "residual 3",
}
"""What the planner calls them, and what the table does; "none" trains the net as torch initialises it."""

WIDTH, CHANNELS, CLASSES = 64, 16, 10
BATCH = {"mlp": 128, "conv": 64}
STEPS, ENOUGH, EVERY = 400, 0.9, 10
"""Most steps, the accuracy at which a training ends, and how often it is taken."""


@dataclass(frozen=True, order=True)
class Cell:
    kind: str
    depth: int
    cure: str
    activation: str


@dataclass(frozen=True)
class Result:
    """One cell."""

    kind: str
    depth: int
    cure: str
    activation: str
    verdict: str
    """After the cure, at the rate of the step test."""
    rate: float
    accuracy: float
    """On the held-out fifth, when the training ended."""
    steps: int | None
    """To an accuracy of ``ENOUGH``; None where ``STEPS`` were not enough."""
    seconds: float
    why_not: str = ""


def grid(quick: bool) -> Iterator[Cell]:
    """The cells in order: folded first, then by depth, so that a grid that is stopped holds whole depths."""
    cures = list(CURES)
    for kind, depths in DEPTHS.items():
        for depth in depths[:2] if quick else depths:
            for cure in cures[:3] if quick else cures:
                for activation in ("sigmoid", "relu") if quick else ACTIVATIONS:
                    yield Cell(kind, depth, cure, activation)


def net(cell: Cell) -> nn.Sequential:
    act = ACTIVATIONS[cell.activation]
    if cell.kind == "mlp":
        body = [part for _ in range(cell.depth) for part in (nn.Linear(WIDTH, WIDTH), act())]
        return nn.Sequential(*body, nn.Linear(WIDTH, CLASSES))
    convolutions = [
        part for i in range(cell.depth) for part in (nn.Conv2d(CHANNELS if i else 1, CHANNELS, 3, padding=1), act())
    ]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(CHANNELS * 64, CLASSES))


def digits(kind: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(training x, y, held-out x, y): standardised as a whole, shuffled, a fifth held out."""
    data = load_digits()
    x = torch.tensor(data.data, dtype=torch.float32)
    x = (x - x.mean()) / x.std()
    x = x.view(-1, 1, 8, 8) if kind == "conv" else x
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order], torch.tensor(data.target)[order]
    held = len(x) // 5
    return x[held:], y[held:], x[:held], y[:held]


def measure(cell: Cell) -> Result:
    began = time.perf_counter()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model: nn.Module = net(cell)
    optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y, held_x, held_y = digits(cell.kind)
    size = 2 * BATCH[cell.kind]
    subject = make_subject(model, (x[:size], y[:size]), F.cross_entropy, optimizer=optimizer)
    before = check_subject(subject, trial=10)
    verdict = before.verdict.value
    if cell.cure != "none":
        options = Options(only=(cell.cure,))
        candidates = candidates_for(editable_copy_of(subject, before.trace), before, options)
        if not candidates:
            why = "nothing to change"
            return Result(**asdict(cell), verdict="", rate=0, accuracy=0, steps=None, seconds=0, why_not=why)
        outcome = try_out(subject, before, candidates[0], options, lambda _: None)
        if outcome.copy is None or outcome.tried.verdict is None:
            why = outcome.tried.why_not
            return Result(**asdict(cell), verdict="", rate=0, accuracy=0, steps=None, seconds=0, why_not=why)
        model, optimizer = outcome.copy.model, outcome.copy.optimizer
        verdict = outcome.tried.verdict.value
    generator = torch.Generator().manual_seed(1)
    accuracy, steps = 0.0, None
    for step in range(1, STEPS + 1):
        rows = torch.randint(0, len(x), (BATCH[cell.kind],), generator=generator)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        if not torch.isfinite(loss):
            break
        loss.backward()
        optimizer.step()
        if step % EVERY == 0:
            accuracy = _accuracy(model, held_x, held_y)
            if accuracy >= ENOUGH:
                steps = step
                break
    return Result(
        **asdict(cell),
        verdict=verdict,
        rate=float(optimizer.param_groups[0]["lr"]),
        accuracy=round(accuracy, 4),
        steps=steps,
        seconds=round(time.perf_counter() - began, 1),
    )


def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        right = float((model(x).argmax(1) == y).float().mean())
    model.train()
    return right


def known() -> dict[Cell, Result]:
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    results = [Result(**row) for row in rows]
    return {Cell(one.kind, one.depth, one.cure, one.activation): one for one in results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Two activations, two depths, two cures: some minutes.")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="Cells that have all these words.")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="Write the page of what was measured, measure nothing.")
    given = parser.parse_args()
    if not given.table:
        done = known()
        cells = [
            cell for cell in grid(given.quick) if set(given.only) <= {str(value) for value in asdict(cell).values()}
        ]
        with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
            for result in pool.imap(measure, [cell for cell in cells if given.quick or cell not in done]):
                print(line(result), flush=True)
                if not given.quick:
                    with RESULTS.open("a") as file:
                        file.write(json.dumps(asdict(result)) + "\n")
        return
    TABLE.write_text(page(known()))
    print(f"wrote {TABLE}")


def line(one: Result) -> str:
    end = one.why_not or f"{one.accuracy:.2f} {f'in {one.steps} steps' if one.steps else 'not in time'}"
    return f"{one.kind:4s} {one.activation:10s} x{one.depth:<4d} {one.cure:26s} {one.verdict:14s} {one.rate:.0e} {end}"


def page(results: dict[Cell, Result]) -> str:
    """Tables of steps to ``ENOUGH``, by kind and cure: rows are activations, columns depths.

    Rows and tables without a single number are left out.
    """
    parts = [
        "# The cures, measured\n\n"
        "Written by `python -m bench.cures --table` from `bench/cures.jsonl`. Plain nets with torch's own initialisation on\n"
        f"scikit-learn's digits, Adam at 1e-3; multilayer perceptrons {WIDTH} wide, convolutional nets with {CHANNELS} "
        "channels and kernels\nof 3 x 3. Each was cured on one batch, its rate taken from the step test, then trained on "
        f"minibatches of {BATCH['mlp']} ({BATCH['conv']}).\nA number is the step at which accuracy on the held-out fifth "
        f"reached {ENOUGH}; `.41` is the accuracy where {STEPS} steps were\nnot enough; `n/a` where the cure cannot be "
        "applied, `–` where nothing was measured: a cell of a deep\nnet takes minutes, and beyond 100 layers only folded nets "
        "were trained. Activations in which a cure finds nothing to\nchange are left out of its table.\n"
    ]
    waiting = [title for cure, title in CURES.items() if not any(cell.cure == cure for cell in results)]
    if waiting:
        parts.append(f"Not measured yet: {', '.join(waiting)}.\n")
    for kind, depths in DEPTHS.items():
        for cure, title in CURES.items():
            rows = {
                activation: [results.get(Cell(kind, depth, cure, activation)) for depth in depths]
                for activation in ACTIVATIONS
            }
            rows = {name: found for name, found in rows.items() if any(one and not one.why_not for one in found)}
            if not rows:
                continue
            parts.append(f"## {kind}: {title}\n")
            parts.append("| activation | " + " | ".join(f"x{depth}" for depth in depths) + " |")
            parts.append("|---|" + "---:|" * len(depths))
            for name, found in rows.items():
                parts.append(f"| {name} | " + " | ".join(map(_shown, found)) + " |")
            parts.append("")
    return "\n".join(parts)


def _shown(one: Result | None) -> str:
    if one is None:
        return "–"
    if one.why_not:
        return "n/a"
    return str(one.steps) if one.steps is not None else f"{one.accuracy:.2f}".removeprefix("0")


if __name__ == "__main__":
    main()
