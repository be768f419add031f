"""One training, and the record of all: what is there is not trained again, and each row is written when it is known."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from bench.rivals.listed import ALONE, BEST, OURS, RIVALS, maker
from bench.rivals.nets import BATCH, Data, Net, digits, plain

RECORD = Path(__file__).with_name("record.jsonl")
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
FIRST, SECOND = 0, 1
"""Seeds. The first climbs to its best rate of the grid, the second trains the two best rates of the first."""
LAST = 20
"""Steps whose mean loss is the score."""


@dataclass(frozen=True)
class Row:
    """One training."""

    net: str
    way: str
    """The rival, or one of ``OURS``, or ``ALONE``."""
    seed: int
    rate: float
    loss: float | None
    """Mean of the last ``LAST`` steps; None where it stopped being finite."""
    accuracy: float
    """On the held-out fifth."""
    seconds: float
    """Of this process, the making of the model included where it was made for this row."""
    taken: str = ""
    """What the cure did."""


def train(model: nn.Module, optimizer: torch.optim.Optimizer, data: Data, net: Net, seed: int) -> tuple[float, float]:
    """(score, held-out accuracy); the score is infinite where the loss stops being finite."""
    losses: list[float] = []
    for x, y in data.batches(seed, net.steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            return math.inf, 0.0
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = float((model(data.held_x).argmax(1) == data.held_y).float().mean())
    return sum(losses[-LAST:]) / LAST, accuracy


def _row(net: Net, way: str, seed: int, rate: float, got: tuple[float, float], began: float, taken: str = "") -> Row:
    loss = round(got[0], 5) if math.isfinite(got[0]) else None
    return Row(net.title, way, seed, rate, loss, round(got[1], 4), round(time.process_time() - began, 1), taken)


def cure(net: Net, way: str, seed: int) -> Row:
    """The net cured on fresh batches, with default settings or ``best``, then trained at the rate that the cure chose."""
    began, data = time.process_time(), digits(net.kind)
    torch.manual_seed(seed)
    model = plain(net)
    loader = DataLoader(TensorDataset(data.x, data.y), batch_size=BATCH, shuffle=True, drop_last=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    cured = sg.cure(model, loader, F.cross_entropy, optimizer=optimizer, best=way == BEST)
    if cured.loss_fn is not None:
        raise ValueError(f"the cure of {net.title} has another loss, and this bench compares losses")
    got = train(cured.model, cured.optimizer, data, net, seed)
    return _row(net, way, seed, float(cured.optimizer.param_groups[0]["lr"]), got, began, cured.words)


def rival(net: Net, way: str, seed: int, wanted: Callable[[], float | None]) -> Iterator[Row]:
    """The rival's net, made once, and trained at each rate that is wanted next, in view of what was yielded before."""
    make, data = maker(way, net), digits(net.kind)
    made: nn.Module | None = None
    while make is not None and (rate := wanted()) is not None:
        began = time.process_time()
        if made is None:
            torch.manual_seed(seed)
            first, _ = next(data.batches(seed, 1))
            made = make(net, first)
        model = copy.deepcopy(made)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
        yield _row(net, way, seed, rate, train(model, optimizer, data, net, seed), began)


def rows(record: Path = RECORD) -> list[Row]:
    """Every training so far."""
    return [Row(**json.loads(line)) for line in record.read_text().splitlines()] if record.exists() else []


def climbed(losses: dict[float, float]) -> float | None:
    """The next rate for the first seed: the three in the middle, then outwards until the best has been passed on both sides."""
    for rate in RATES[1:-1]:
        if rate not in losses:
            return rate
    best = RATES.index(min(sorted(losses), key=lambda rate: losses[rate]))
    return next((rate for rate in RATES[max(best - 1, 0) : best + 2] if rate not in losses), None)


def two_best(losses: dict[float, float]) -> list[float]:
    """The rates that the second seed trains."""
    return sorted((rate for rate, loss in losses.items() if math.isfinite(loss)), key=lambda rate: losses[rate])[:2]


def measure(net: Net, record: Path = RECORD) -> Iterator[Row]:
    """Train what the record lacks of one net, and write each row at once."""

    def losses(way: str, seed: int) -> dict[float, float]:
        mine = [row for row in rows(record) if (row.net, row.way, row.seed) == (net.title, way, seed)]
        return {row.rate: math.inf if row.loss is None else row.loss for row in mine}

    def wanted(way: str, seed: int) -> float | None:
        if seed == FIRST:
            return climbed(losses(way, FIRST))
        return next((rate for rate in two_best(losses(way, FIRST)) if rate not in losses(way, SECOND)), None)

    def kept(row: Row) -> Row:
        with record.open("a") as file:
            file.write(json.dumps(asdict(row)) + "\n")
        return row

    for ours in OURS:
        for seed in (FIRST, SECOND):
            if not losses(ours, seed):
                yield kept(cure(net, ours, seed))
    for way in (ALONE, *RIVALS):
        for seed in (FIRST, SECOND):
            for row in rival(net, way, seed, partial(wanted, way, seed)):
                yield kept(row)
