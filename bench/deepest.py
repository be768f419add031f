"""How deep a net trains by numbers alone: ``python -m bench.deepest [WORD …]`` for nets of 1,000 to 10,000 layers.

Each net is built as torch initialises it, checked, cured in its numbers alone (the candidate that the row names, the rate by the
cures' own search), and trained for a hundred steps on fresh batches of scikit-learn's digits. A net is a row of
``deepest.jsonl``; what is there is not trained again. ``--table`` writes ``docs/measured-deepest.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from torch import nn
from torch.nn import functional as F

from bench.deepest_nets import plain, transformer
from bench.rivals.nets import digits
from steadygrad._check import check_subject
from steadygrad.cures.candidates import candidates_for
from steadygrad.cures.editable_copy import editable_copy_of
from steadygrad.cures.evaluate import Options, treat
from steadygrad.cures.learning_rate import search
from steadygrad.errors import CannotCureError
from steadygrad.numerals import percent
from steadygrad.subject.subject import make_subject

RECORD = Path(__file__).with_name("deepest.jsonl")
PAGE = Path(__file__).parents[1] / "docs" / "measured-deepest.md"
STEPS, LAST = 100, 10
"""Of a training, and those at its end whose losses are averaged."""
BEGIN = 0.03
"""Learning rate × layers at which the search begins: ``bench/cures.jsonl`` has 3e-5 at 1,000 layers."""

FOLDED, SCALED = "folded-initialisation", "depth-scale"

SQUASHING = (nn.Tanh, nn.Sigmoid, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.ReLU6)
BENDING = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.LogSigmoid)
SHRINKING = (nn.Hardswish, nn.Tanhshrink, nn.Softshrink)
ACTIVATIONS: dict[str, type[nn.Module]] = {one.__name__: one for one in (*SQUASHING, *BENDING, *SHRINKING)}
"""Every one that the folding knows and torch has as a module; a hard shrink has no working point."""


@dataclass(frozen=True)
class Net:
    """One row."""

    title: str
    kind: str
    """Of ``bench.rivals.nets.digits``."""
    depth: int
    build: Callable[[], nn.Module]
    cure: str
    """Name of the candidate."""


NETS = (
    *(
        Net(f"MLP, {name}", "mlp", 3_000, partial(plain, "mlp", act, 3_000), FOLDED)
        for name, act in ACTIVATIONS.items()
    ),
    *(
        Net(f"convolutions, {act.__name__}", "conv", 1_000, partial(plain, "conv", act, 1_000), FOLDED)
        for act in (nn.Tanh, nn.ReLU, nn.GELU, nn.Sigmoid)
    ),
    Net("transformer, pre-norm", "transformer", 1_000, partial(transformer, 1_000, norm_first=True), SCALED),
    Net("transformer, post-norm", "transformer", 1_000, partial(transformer, 1_000, norm_first=False), SCALED),
    Net("MLP, Tanh", "mlp", 10_000, partial(plain, "mlp", nn.Tanh, 10_000), FOLDED),
)


@dataclass(frozen=True)
class Row:
    """What became of one net."""

    net: str
    depth: int
    cure: str
    """Its words; empty where the check's candidate does not apply."""
    before: float | None
    """Decades over the trunk as torch initialises it; None where it has no trunk or the gradient is zero."""
    after: float | None
    rate: float | None
    first: float | None
    last: float | None
    """Mean loss of the last ``LAST`` steps."""
    accuracy: float | None
    """On the held-out fifth."""
    seconds: float
    """Of the processor, all in all."""
    why_not: str = ""


def measure(net: Net) -> Row:
    """Check, cure and train one net."""
    began, data = time.process_time(), digits(net.kind)
    torch.manual_seed(0)
    model = net.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=BEGIN / net.depth)
    subject = make_subject(model, next(data.batches(0, 1)), F.cross_entropy, optimizer=optimizer)
    report = check_subject(subject, trial=0)
    before = report.trunk.decades if report.trunk is not None else None
    copy = editable_copy_of(subject, report.trace)
    words, why_not = "", ""
    try:
        chosen = candidates_for(copy, report, Options(only=(net.cure,)))
        words = "; ".join(change.words for one in chosen[:1] for change in treat(copy, one.edits))
    except CannotCureError as error:
        why_not = str(error)
    cured = check_subject(copy.subject, trial=0)
    after = cured.trunk.decades if cured.trunk is not None else None
    found = search(copy.subject, impatient=True)
    if found.rate is None:
        seconds = round(time.process_time() - began, 1)
        return Row(net.title, net.depth, words, before, after, None, None, None, None, seconds, why_not or found.words)
    copy.set_rate(found.rate)
    losses = []
    for x, y in data.batches(1, STEPS):
        copy.optimizer.zero_grad()
        loss = F.cross_entropy(copy.model(x), y)
        loss.backward()
        copy.optimizer.step()
        losses.append(float(loss.detach()))
    copy.model.eval()
    with torch.no_grad():
        accuracy = float((copy.model(data.held_x).argmax(1) == data.held_y).float().mean())
    seconds = round(time.process_time() - began, 1)
    last = fmean(losses[-LAST:])
    return Row(net.title, net.depth, words, before, after, found.rate, losses[0], last, accuracy, seconds, why_not)


def rows() -> list[Row]:
    """Every net so far."""
    return [Row(**json.loads(line)) for line in RECORD.read_text().splitlines()] if RECORD.exists() else []


def missing(words: list[str]) -> Iterator[Net]:
    """What the record lacks, of the nets whose titles have these words."""
    known = {(row.net, row.depth) for row in rows()}
    for net in NETS:
        if (net.title, net.depth) not in known and all(word in net.title for word in words):
            yield net


def _cells(row: Row) -> Iterator[str]:
    yield row.net
    yield f"{row.depth:,}"
    for decades in (row.before, row.after):
        yield "–" if decades is None else f"{decades:.1f}".replace("-", "−")
    did = row.cure.removeprefix("numbers only: ").removesuffix(", same modules, same state_dict keys")
    yield did or row.why_not or "nothing: the fold is not proposed"
    yield "–" if row.rate is None else f"{row.rate:.2g}"
    yield "–" if row.first is None or row.last is None else f"{row.first:.2f} → {row.last:.2f}"
    yield "–" if row.accuracy is None else percent(row.accuracy)


def page(found: list[Row]) -> str:
    """The page of the documentation."""
    places = {(net.title, net.depth): at for at, net in enumerate(NETS)}
    ordered = sorted(found, key=lambda row: places[row.net, row.depth])
    learnt = sum(row.accuracy is not None and row.accuracy >= 0.5 for row in ordered)
    table = "\n".join("| " + " | ".join(_cells(row)) + " |" for row in ordered)
    measured = {(row.net, row.depth) for row in ordered}
    others = [f"{net.title} x{net.depth:,}" for net in NETS if (net.title, net.depth) not in measured]
    waiting = f"\nNot measured yet: {'; '.join(others)}.\n" if others else ""
    return f"""# How deep a net trains by numbers alone

Written by `python -m bench.deepest --table` from `bench/deepest.jsonl`. No net here has skips or norms but for the transformers.
Each has torch's own initialisation at first: a gradient of 10^−100 at the first layer is one that no optimizer can use. A cure of
the group "numbers" then sets its weights and biases, and the cures' own search finds the rate for Adam. No module changes.

Each then takes {STEPS} steps on fresh batches of 64 of scikit-learn's digits. Depths are far beyond use: they show that nothing
is lost on the way, and which activations the fold holds for. A net learns slowly there because its rate falls with the depth.

**Decades**: log10 of the gradient behind the first layer ÷ that behind the last. **Loss**: of the first step, and the mean of the
last {LAST}. **Accuracy**: on the held-out fifth, where guessing has 10 %. {learnt} of {len(ordered)} nets exceed 50 %.

| net | layers | decades: as built | cured | what the cure did | rate | loss | accuracy |
|---|---:|---:|---:|---|---:|---:|---:|
{table}
{waiting}"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.deepest", description=__doc__)
    parser.add_argument("nets", nargs="*", metavar="WORD", help="Words of the titles of nets, such as 'MLP' or 'Tanh'.")
    parser.add_argument("--table", action="store_true", help="Write the page from the record, and train nothing.")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for net in () if asked.table else missing(asked.nets):
        row = measure(net)
        with RECORD.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        print(row, flush=True)
    PAGE.write_text(page(rows()), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
