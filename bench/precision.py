"""Train nets with what ``sg.precision`` keeps higher, and with one operation fewer: ``python -m bench.precision [PRECISION …]``.

Each net asks for its verdict on a hundred batches of scikit-learn's digits, then is trained on four times a hundred others: in
bf16, with everything in the narrow format, with the operations that the verdict keeps, and with one of them fewer. Results go to
``precision.jsonl``, a line each, and are taken from there; ``--write`` puts their table into ``docs/precision.md``.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from sklearn import datasets
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.record.precision import PRECISIONS, OperationRounding
from steadygrad.rounding.check_precision import precision_of
from steadygrad.rounding.emulation import Site
from steadygrad.rounding.formats import RECIPES
from steadygrad.rounding.search import plan_for
from steadygrad.rounding.training import behind, losses_of
from steadygrad.subject.subject import Subject, make_subject

RESULTS = Path(__file__).parent / "precision.jsonl"
PAGE = Path(__file__).parents[1] / "docs" / "precision.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"

STEPS = 100
"""Of each training, those behind the verdict too: what is missing of a fall shrinks with the steps, as a delay does."""
FRESH = (1, 2, 3, 4)
"""Seeds of the batches that the verdict has not seen."""
BATCH = 32
WITHIN = 0.01


class Tokens(nn.Module):
    """A pre-norm transformer over the eight rows of a digit."""

    def __init__(self, width: int, depth: int, act: Callable[[Tensor], Tensor] = F.gelu) -> None:
        super().__init__()
        self.embed, self.head, self.act = nn.Linear(8, width), nn.Linear(width, 10), act
        self.place = nn.Parameter(torch.randn(8, width) * 0.02)
        self.mix = nn.ModuleList(nn.MultiheadAttention(width, 4, batch_first=True) for _ in range(depth))
        self.up = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.view(-1, 8, 8)) + self.place
        for i, mix in enumerate(self.mix):
            normed = self.norms[2 * i](x)
            x = x + mix(normed, normed, normed, need_weights=False)[0]
            x = x + self.down[i](self.act(self.up[i](self.norms[2 * i + 1](x))))
        return self.head(x.mean(1))


class Residual(nn.Module):
    """Layers with a skip each."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(64, width), nn.Linear(width, 10)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers:
            x = x + torch.relu(layer(x)) / len(self.layers) ** 0.5
        return self.head(x)


class Mixer(nn.Module):
    """Rows and columns of a digit mixed in turns (Tolstikhin et al. 2021)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, width), nn.Linear(width, 10)
        self.rows = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
        self.columns = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.view(-1, 8, 8))
        for rows, columns in zip(self.rows, self.columns, strict=True):
            x = x + rows(F.layer_norm(x, x.shape[-1:]).mT).mT
            x = x + F.gelu(columns(F.layer_norm(x, x.shape[-1:])))
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    """A gated recurrence over the rows, its products written out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.into, self.gates, self.head = nn.Linear(8, 2 * width), nn.Linear(width, 2 * width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), self.gates.in_features)
        for row in x.view(-1, 8, 8).unbind(1):
            gate, new = (self.into(row) + self.gates(state)).chunk(2, -1)
            state = torch.lerp(state, torch.tanh(new), torch.sigmoid(gate))
        return self.head(state)


class Dense(nn.Module):
    """Layers that each take what all before them made (Huang et al. 2017)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64 + width * i, width) for i in range(depth))
        self.head = nn.Linear(64 + width * depth, 10)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, F.gelu(layer(x))], 1)
        return self.head(x)


def mlp(act: type[nn.Module], *widths: int, he: bool = False) -> nn.Module:
    """A plain net."""
    sizes = list(zip((64, *widths), (*widths, 10), strict=True))
    net = nn.Sequential(*(part for into, out in sizes for part in (nn.Linear(into, out), act())))[:-1]
    for layer in net[::2] if he else ():
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return net


def convolutional(normed: bool) -> nn.Module:
    """Three convolutions and a head."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for into, out in ((1, 16), (16, 16), (16, 32)):
        layers += [nn.Conv2d(into, out, 3, padding=1), *([nn.BatchNorm2d(out)] if normed else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))


NETS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "MLP, tanh, 5 layers": (lambda: mlp(nn.Tanh, 64, 64, 64, 64), "adam:1e-3"),
    "MLP, ReLU, 5 layers, He, SGD": (lambda: mlp(nn.ReLU, 64, 64, 64, 64, he=True), "sgd:0.02,momentum=0.9"),
    "MLP, GELU, bottleneck of 4": (lambda: mlp(nn.GELU, 64, 4, 64), "adam:3e-3"),
    "densely connected, 4 layers": (lambda: Dense(32, 4), "adam:1e-3"),
    "residual MLP, 8 layers": (lambda: Residual(64, 8), "adam:1e-3"),
    "MLP-mixer, 3 blocks": (lambda: Mixer(32, 3), "adam:1e-3"),
    "gated recurrence": (lambda: Recurrent(32), "adam:3e-3"),
    "convolutions": (lambda: convolutional(False), "adam:1e-3"),
    "convolutions, batch norm": (lambda: convolutional(True), "adam:1e-3"),
    "transformer, 2 blocks": (lambda: Tokens(32, 2), "adamw:1e-3"),
}


@dataclass(frozen=True)
class Result:
    """One net in one precision; what is missing of bf16's fall, in the mean of trainings on fresh batches."""

    net: str
    precision: str
    operations: int
    kept: list[str]
    whole: float
    """With everything in the precision."""
    with_kept: float
    fewer: float | None
    """Without the one of them that does least harm alone; None: nothing is kept."""
    noise: float
    """What the net as it is and the net in bf16 differ by, from the verdict."""
    seconds: float


def batches(seed: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Batches by step, drawn at random."""
    x, y = datasets.load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)

    def at(step: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(x), (BATCH,), generator=torch.Generator().manual_seed(1000 * seed + step))
        return x[rows], y[rows]

    return at


def subject_of(net: str, seed: int = 0) -> Subject:
    """The net at its start, always the same, with batches of the seed."""
    build, optimizer = NETS[net]
    torch.manual_seed(0)
    return make_subject(build(), batches(seed), F.cross_entropy, optimizer=optimizer)


@functools.cache
def trained(net: str, precision: str, seed: int, kept: tuple[Site, ...] = ()) -> tuple[float, ...]:
    """The losses with all but some operations in a precision."""
    return losses_of(subject_of(net, seed), plan_for(RECIPES[precision], kept), STEPS)


def examine(net: str, precision: str) -> Result:
    """Ask for the verdict, then train."""
    found = precision_of(subject_of(net), precision, steps=STEPS, tolerance=WITHIN)
    kept = tuple(site_of(one) for one in sorted(found.kept, key=lambda one: -one.harm))

    def missing(sites: tuple[Site, ...]) -> float:
        return fmean(behind(trained(net, precision, seed, sites), trained(net, found.higher, seed)) for seed in FRESH)

    return Result(
        net,
        precision,
        len(found.operations),
        [site.weight.removesuffix(".weight") or f"{site.module} {site.name}" for site in kept],
        missing(()),
        missing(kept),
        missing(kept[:-1]) if kept else None,
        found.noise,
        found.seconds,
    )


def site_of(one: OperationRounding) -> Site:
    """The operation as a plan knows it."""
    return Site(one.module, one.name, one.location, one.weight)


def known() -> list[Result]:
    """What was measured so far."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return [Result(**json.loads(line)) for line in lines]


def borne(one: Result) -> float:
    """What may be missing: as ``sg.precision`` has it."""
    return max(WITHIN, one.noise)


def table(results: list[Result]) -> str:
    """The table of the page."""
    rows = [
        "| net | precision | kept in bf16 | all narrow | with the kept | one fewer | bf16, float32 differ by |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in sorted(results, key=lambda one: (list(PRECISIONS).index(one.precision), list(NETS).index(one.net))):
        kept = f"{len(one.kept)} of {one.operations}" + (f": {', '.join(one.kept)}" if one.kept else "")
        with_kept = f"{100 * one.with_kept:.1f} %" if one.kept else ""
        fewer = "" if one.fewer is None else f"{100 * one.fewer:.1f} %"
        rows.append(
            f"| {one.net} | {one.precision} | {kept} | {100 * one.whole:.1f} % | {with_kept} | {fewer} "
            f"| {100 * one.noise:.1f} % |"
        )
    good = sum(one.with_kept <= borne(one) for one in results)
    needed = [one for one in results if one.fewer is not None]
    worse = sum(one.fewer is not None and one.fewer > borne(one) for one in needed)
    rows += [
        "",
        f"With what is kept {good} of {len(results)} are within 1 % of bf16's fall, or within what bf16 and float32 differ by.",
        f"With one operation fewer {worse} of {len(needed)} are further from it than that; the others hold one too many.",
    ]
    return "\n".join(rows).replace("| -", "| −")


def main() -> None:
    """Measure what is not known yet, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("precisions", nargs="*", default=["nvfp4", "fp8", "mxfp8"], metavar="PRECISION")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    done = {(one.net, one.precision) for one in known()}
    for precision in asked.precisions:
        for net in NETS:
            if (net, precision) not in done:
                result = examine(net, precision)
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(result)) + "\n")
                print(result, flush=True)
    text = table(known())
    print(text)
    if asked.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
