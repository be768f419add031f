"""Set-ups broken on purpose: the base of each family with one flaw in its forward pass; the base is the twin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.corpus.row import Row
from bench.corpus.rows.bases import BASES


@dataclass(frozen=True)
class Flaw:
    """One way to break a net, the rules that may name it, and its expression."""

    name: str
    amount: float
    cause: tuple[str, ...]
    line: str
    at: str = "flaw"
    """Builder's parameter: "flaw" (after each block) or "last" (on the output)."""


FLAWS: tuple[Flaw, ...] = (
    Flaw("scaled", 1e-4, ("SG101", "SG105"), "x * self.amount"),
    Flaw("scaled", 100.0, ("SG201", "SG205", "SG204"), "x * self.amount"),
    Flaw("squashed", 100.0, ("SG102",), "torch.sigmoid(x * self.amount)"),
    Flaw("squashed", 1e-3, ("SG101", "SG102", "SG105"), "torch.sigmoid(x * self.amount)"),
    Flaw("clamped", 30.0, ("SG103", "SG107", "SG105", "SG101"), "torch.clamp(x, min=self.amount)"),
    Flaw("shifted", 30.0, ("SG103", "SG105", "SG101"), "torch.relu(x - self.amount)"),
    Flaw("detached", 0.0, ("SG107",), "x.detach()"),
    Flaw("averaged", 1.0, ("SG105", "SG101"), "torch.lerp(x, x.mean(0, keepdim=True), self.amount)"),
    Flaw("logged", 0.0, ("SG203",), "torch.log(F.relu(x))"),
    Flaw("normed", 0.0, ("SG203",), "x / x.norm(dim=-1, keepdim=True)"),
    Flaw("rounded", 0.01, ("SG107", "SG101", "SG105"), "torch.round(x * self.amount)"),
    Flaw("powered", 4.0, ("SG101", "SG201", "SG204", "SG205", "SG203"), "torch.pow(x, self.amount)"),
)

SOFTMAX_TWICE = Flaw("softmaxed", 0.0, ("SG303",), "F.softmax(x, dim=-1)", at="last")
DEAD_HEAD = Flaw("shifted", 30.0, ("SG103", "SG105", "SG107", "SG101"), "torch.relu(x - self.amount)", at="last")

HAVE_LAST = {"mlp", "residual", "conv", "mixer", "encoder", "recurrent", "graph", "deepset", "bag"}


def rows() -> Iterator[Row]:
    for number, start in enumerate(BASES):
        for place, flaw in enumerate(FLAWS):
            # Four flaws of twelve for each family, so that each flaw is seen in families of every kind.
            if (5 * number + place) % 12 < 4:
                yield with_flaw(start, flaw)
        if start.model in HAVE_LAST and not dict(start.parameters).get("each"):
            if start.task not in ("diabetes", "friedman", "adding", "extremes"):
                plain = start.but(optimizer="sgd", rate=0.1)
                yield plain
                yield with_flaw(plain, SOFTMAX_TWICE)
            if number % 3 == 0:
                yield with_flaw(start, DEAD_HEAD)


def with_flaw(start: Row, flaw: Flaw) -> Row:
    """A row with one flaw in its forward pass; the row is the twin."""
    return start.broken(*flaw.cause, line=flaw.line, parameters={flaw.at: flaw.name, "amount": flaw.amount})
