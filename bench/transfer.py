"""Whether one learning rate serves every size: ``python -m bench.transfer [NAME …]`` sweeps rates at a small and a large size.

Each family is trained at every rate three times over: small, large as it is built, and large with the cure of ``sg.scale`` (eight
times as wide) or ``sg.scale_depth`` (four times as deep), measured on sizes up to four times the small one (up to twice as deep).
Samples are fresh at every step, and a loss is the mean of the last fifth of the steps and of all seeds. Each training is a row of
``transfer.jsonl``; what is there already is not trained again. ``--table`` prints the table of ``docs/scale.md``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import steadygrad as sg
from bench.transfer_nets import CLASSES, FEATURES, TOKENS, WORDS, Conv, Mlp, Recurrent, ResidualMlp, Transformer

RECORD = Path(__file__).with_name("transfer.jsonl")
SEEDS = 2
VARIANTS = ("small", "before", "after")

Draw = Callable[[torch.Generator], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Family:
    """What is scaled, and how it is trained."""

    build: Callable[[int], nn.Module]
    draw: Draw
    loss: Callable[..., Tensor]
    small: int
    optimizer: str
    rates: tuple[float, float]
    """The least and the greatest; those between are a factor of √2 apart."""
    steps: int = 150
    deep: bool = False

    @property
    def large(self) -> int:
        return self.small * (4 if self.deep else 8)

    def grid(self) -> list[float]:
        least, greatest = self.rates
        return [least * 2 ** (step / 2) for step in range(round(2 * math.log2(greatest / least)) + 1)]


def _vectors(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Classes that a fixed random net gives, with a part of chance, so that no net learns them whole."""
    fixed = torch.Generator().manual_seed(1)
    first, second = torch.randn(FEATURES, 64, generator=fixed), torch.randn(64, CLASSES, generator=fixed)
    x = torch.randn(128, FEATURES, generator=generator)
    scores = torch.tanh(x @ first / FEATURES**0.5) @ second / 4
    return x, torch.multinomial(scores.softmax(-1), 1, generator=generator)[:, 0]


def _images(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy prints of one of ten patterns, at a place of its own."""
    patterns = torch.randn(CLASSES, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    moved = torch.stack([patterns.roll((row, column), (2, 3)) for row in range(3) for column in range(3)])
    y = torch.randint(CLASSES, (64,), generator=generator)
    place = torch.randint(9, (64,), generator=generator)
    return 0.5 * moved[place, y] + torch.randn(64, 3, 8, 8, generator=generator), y


def _lines(words: int = WORDS) -> Draw:
    """Lines of a language in which a word depends on the one before it."""

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        table = (2 * torch.randn(words, words, generator=torch.Generator().manual_seed(1))).softmax(-1)
        line = torch.randint(words, (16, 1), generator=generator)
        for _ in range(TOKENS):
            following = torch.multinomial(table[line[:, -1]], 1, generator=generator)
            line = torch.cat([line, following], 1)
        return line[:, :-1], line[:, 1:]

    return draw


def _words_loss(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


ADAM = (2**-10, 2**-4)

FAMILIES = {
    "MLP, Adam": Family(Mlp, _vectors, F.cross_entropy, 32, "adam", ADAM),
    "MLP, SGD": Family(Mlp, _vectors, F.cross_entropy, 32, "sgd", (2**-4, 2**2)),
    "residual MLP": Family(lambda width: ResidualMlp(width, 4), _vectors, F.cross_entropy, 32, "adam", (2**-10, 2**-6)),
    "residual MLP, depth": Family(
        lambda depth: ResidualMlp(32, depth), _vectors, F.cross_entropy, 4, "adam", ADAM, deep=True
    ),
    "transformer": Family(Transformer, _lines(), _words_loss, 16, "adam", ADAM),
    "LSTM": Family(Recurrent, _lines(), _words_loss, 16, "adam", ADAM),
    "convolutional net": Family(Conv, _images, F.cross_entropy, 8, "adam", ADAM, steps=100),
    "transformer, 256 words": Family(
        lambda width: Transformer(width, words=256), _lines(256), _words_loss, 16, "adam", ADAM
    ),
    "transformer, 256 words, tied": Family(
        lambda width: Transformer(width, words=256, tied=True, base=16), _lines(256), _words_loss, 16, "adam", ADAM
    ),
    "transformer, depth": Family(
        lambda depth: Transformer(16, layers=depth), _lines(), _words_loss, 2, "adam", ADAM, deep=True
    ),
}


def _made(family: Family, size: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return family.build(size)


def _found(family: Family) -> Any:
    batch = family.draw(torch.Generator().manual_seed(0))
    sizes = (family.small, 2 * family.small, 4 * family.small)
    rate = family.rates[0] if family.optimizer == "adam" else 0.1
    optimizer = f"{family.optimizer}:{rate}"
    if family.deep:
        return sg.scale_depth(family.build, sizes[:2], batch, family.loss, optimizer=optimizer, seconds=0)
    return sg.scale(family.build, sizes, batch, family.loss, optimizer=optimizer)


def train(family: Family, found: Any, variant: str, rate: float, seed: int) -> float:
    """The loss that one training ends with; infinite where it leaves the numbers."""
    size = family.small if variant == "small" else family.large
    model = _made(family, size, seed)
    groups: Any = model.parameters()
    if variant == "after":
        found.initialise_(model, size)
        groups = found.groups(model, size, lr=rate)
    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[family.optimizer]
    optimizer = kind(groups, lr=rate)
    factor = 1.0
    if variant == "after" and not family.deep:
        factor = math.prod(found.multipliers(size).values())
    generator = torch.Generator().manual_seed(1000 + seed)
    losses = []
    for _ in range(family.steps):
        x, y = family.draw(generator)
        optimizer.zero_grad()
        loss = family.loss(factor * model(x), y)
        if not math.isfinite(float(loss.detach())):
            return math.inf
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return sum(losses[-family.steps // 5 :]) / len(losses[-family.steps // 5 :])


def rows() -> dict[tuple[str, str, float, int], float]:
    """Every training so far."""
    if not RECORD.exists():
        return {}
    found = [json.loads(line) for line in RECORD.read_text().splitlines()]
    return {
        (row["family"], row["variant"], row["rate"], row["seed"]): math.inf if row["loss"] is None else row["loss"]
        for row in found
    }


def sweep(name: str) -> None:
    """Train what is not there yet."""
    family, known, found = FAMILIES[name], rows(), None
    for variant in VARIANTS:
        for rate in family.grid():
            for seed in range(SEEDS):
                if (name, variant, rate, seed) in known:
                    continue
                found = found or _found(family)
                loss = train(family, found, variant, rate, seed)
                row = {
                    "family": name,
                    "variant": variant,
                    "rate": rate,
                    "seed": seed,
                    "loss": loss if math.isfinite(loss) else None,
                }
                with RECORD.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def curve(name: str, variant: str) -> dict[float, float]:
    """The mean loss of all seeds at each rate; empty until every training is there."""
    known = rows()
    found = {}
    for rate in FAMILIES[name].grid():
        losses = [known.get((name, variant, rate, seed), math.nan) for seed in range(SEEDS)]
        found[rate] = sum(losses) / SEEDS
    return {} if any(math.isnan(loss) for loss in found.values()) else found


@dataclass(frozen=True)
class Transfer:
    """The outcome of one family."""

    best: dict[str, float]
    """The best rate of each variant."""
    cost: dict[str, float]
    """Of the large net, by variant: its loss at the small net's best rate ÷ that at its own best, − 1."""


def outcomes() -> dict[str, Transfer]:
    """Of every family that is trained whole."""
    found = {}
    for name in FAMILIES:
        curves = {variant: curve(name, variant) for variant in VARIANTS}
        if not all(curves.values()):
            continue
        best = {variant: min(losses, key=lambda rate: losses[rate]) for variant, losses in curves.items()}
        small = best["small"]
        cost = {variant: curves[variant][small] / curves[variant][best[variant]] - 1 for variant in VARIANTS[1:]}
        found[name] = Transfer(best, cost)
    return found


def table() -> Iterator[str]:
    """The best rate and what the small net's best rate costs the large one, before and after the cure."""
    yield "| family | sizes | best rate: small | large, before | large, after | cost of the small's rate: before | after |"
    yield "|---|---|---|---|---|---|---|"
    for name, found in outcomes().items():
        family, small = FAMILIES[name], found.best["small"]
        least = family.rates[0]
        moved = [
            f"{'≤ ' if found.best[variant] == least else ''}{found.best[variant]:.2g} (×{found.best[variant] / small:.2g})"
            for variant in VARIANTS[1:]
        ]
        yield (
            f"| {name} | {family.small}, {family.large} | {small:.2g} | {moved[0]} | {moved[1]} "
            f"| {found.cost['before']:.1%} | {found.cost['after']:.1%} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", choices=[[], *FAMILIES], default=[])
    parser.add_argument("--table", action="store_true", help="print the table alone")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in [] if asked.table else asked.names or FAMILIES:
        sweep(name)
    print("\n".join(table()))


if __name__ == "__main__":
    main()
