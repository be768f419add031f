"""The verdict on published architectures, with batches from a ``DataLoader``: ``python -m bench.healthy [NAME ...]``.

Each is built tiny by its own library, and checked as a user would, at AdamW 1e-3 (3e-4 for most of ``timm``'s) with a fresh
batch each step. Whatever is called anything but healthy is trained as well, for ``STEPS`` steps: what it learns says whether
that is a false alarm. ``record.jsonl`` has a row each. ``timm`` is asked only where it is installed.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

import steadygrad as sg
from bench.healthy import data, language, pictures, vision
from bench.healthy.record import read, totals, write
from bench.healthy.small import build

STEPS = 150
Setup = tuple[nn.Module, DataLoader[Any], Callable[..., torch.Tensor] | None, float]


def setups() -> Iterator[tuple[str, str, Callable[[], Setup]]]:
    """Library, name and how it is made, of all."""
    for name, model, config, task, overrides in (*language.TABLE, *vision.TABLE):
        yield "transformers", name, lambda m=model, c=config, t=task, o=overrides: _transformer(m, c, t, o)
    if importlib.util.find_spec("timm"):
        for name, make, size in pictures.table():
            yield (
                "timm",
                name,
                lambda make=make, s=size, n=name: (
                    make().train(),
                    data.loader(data.pairs(s)),
                    F.cross_entropy,
                    pictures.RATES.get(n, 3e-4),
                ),
            )


def _transformer(model: str, config: str, task: Callable[[], data.Dicts], overrides: dict[str, Any]) -> Setup:
    return build(model, config, overrides), data.loader(task()), None, 1e-3


def examine(make: Callable[[], Setup]) -> dict[str, Any]:
    """The verdict on one, and where it is not healthy what training makes of it."""
    torch.manual_seed(0)
    model, batches, loss_fn, rate = make()
    size = sum(parameter.numel() for parameter in model.parameters())
    started = time.perf_counter()
    report = sg.check(model, batches, loss_fn, optimizer=torch.optim.AdamW(model.parameters(), lr=rate))
    seconds = time.perf_counter() - started
    told = [f"{one.severity} {one.code}: {one.message}" for one in report.findings if one.severity != "info"]
    row: dict[str, Any] = {
        "parameters": size,
        "seconds": round(seconds, 2),
        "verdict": str(report.verdict),
        "findings": told,
    }
    if report.verdict != "healthy" or told:
        row["losses"] = train(make)
    return row


def train(make: Callable[[], Setup]) -> list[float]:
    """Mean loss of the first ten steps and of the last ten."""
    torch.manual_seed(0)
    model, batches, loss_fn, rate = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    losses: list[float] = []
    while len(losses) < STEPS:
        for batch in batches:
            optimizer.zero_grad()
            loss = model(**batch).loss if loss_fn is None else loss_fn(model(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == STEPS:
                break
    return [round(sum(part) / len(part), 4) for part in (losses[:10], losses[-10:])]


def main(names: list[str]) -> int:
    """Examine, print and write; those named alone, or all that the record does not have yet."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    import transformers

    transformers.logging.set_verbosity_error()
    rows = read()
    for library, name, make in setups():
        if (names and library not in names and name not in names) or ((library, name) in rows and name not in names):
            continue
        row = {"library": library, "name": name, **examine(make)}
        print(name, *(f"{key}={value}" for key, value in list(row.items())[2:]))
        sys.stdout.flush()
        write(read() | {(library, name): row})
    print(*totals(read()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
