"""A cure as data: where it acts, what it edits, the result of its trial, and what was taken.

An edit says enough to be made in a model and to be written into source text. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadygrad.record.check import CheckRecord
from steadygrad.record.finding import Verdict
from steadygrad.record.span import Location

GROUPS = ("set-up", "learning rate", "numbers", "clip", "activation", "normalisation", "residual")
"""The parts that a cure changes, least intrusive first; the planner keeps to this order."""

SAFETIES = ("safe", "unsafe", "display only")
"""Numbers only; changes what the model computes; can be printed but not written."""


@dataclass(frozen=True, slots=True)
class Site:
    """One call in a forward pass: the ``occurrence``-th call (from 0) of torch function ``name`` made by ``module`` itself."""

    module: str
    """Path of the module whose ``forward`` makes the call ("" = the model)."""
    name: str
    occurrence: int
    call: Location | None = None
    construction: Location | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a model, its optimizer or its input, as data."""

    action: str
    """Name of the cure that makes it: "swap-activation", "normalise", …"""
    to: str
    """The new part: an activation, a kind of norm, a scheme of initialisation."""
    sites: tuple[Site, ...] = ()
    value: float | None = None
    """Learning rate, lower bound, branch scale: what the action says."""
    high: float | None = None
    """Upper bound of a clip."""
    span: int = 1
    """Layers that a residual addition jumps over."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A treatment that could help: its edits, in the order in which they are made."""

    name: str
    """The word for ``--cure``: "batch-norm-before"."""
    title: str
    """The words for a person: "batch norm before sigmoid"."""
    group: str
    """One of ``GROUPS``: the most intrusive of its edits."""
    safety: str
    edits: tuple[Edit, ...]
    parts: tuple[str, ...] = ()
    """Names of those that are joined in it, in the order in which they were joined; empty where it is one."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the candidates that are joined in it, or its own."""
        return self.parts or (self.name,)


@dataclass(frozen=True, slots=True)
class Change:
    """The effect of one edit on the model."""

    words: str
    """"20 weights initialised again", "adds 24 modules"."""
    short: str
    """The parts changed: "numbers only", "optimizer", "adds 24 modules"."""
    keys: tuple[tuple[str, str], ...] = ()
    """Pairs of state_dict keys, old and new, of tensors that are called otherwise now."""
    added: tuple[str, ...] = ()
    """state_dict keys that an old checkpoint lacks."""
    removed: tuple[str, ...] = ()
    """state_dict keys of an old checkpoint that have no place any more."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of one candidate."""

    candidate: Candidate
    verdict: Verdict | None
    """None where it could not be applied; ``why_not`` says why."""
    decades: float | None
    """Along the trunk, loss to input."""
    spread: float | None
    """Spread of the model's output over the samples."""
    fall: float | None
    """Relative fall of the loss in the step test."""
    learned: float | None
    """Share of the best trivial answer's loss that training on the batch removed: a hundred steps on parts of it where the
    candidate heals, 30 on the whole elsewhere; below 0 = worse than a constant."""
    rate: float | None
    """Learning rate it was judged at, where the step test chose another than the user's."""
    changes: tuple[Change, ...] = ()
    why_not: str = ""
    taken: bool = False


@dataclass(frozen=True)
class CureRecord:
    """The candidates tried, the effect of each on the verdict, and the one taken."""

    tried: tuple[Tried, ...]
    before: CheckRecord
    after: CheckRecord
    """The check of the cured model; the same as ``before`` where nothing was taken."""
    words: str
    """Why this one, or why none."""
    seed: int
    seconds: float

    @property
    def taken(self) -> Tried | None:
        """The candidate that was taken; None where nothing helped, or nothing was wrong."""
        return next((one for one in self.tried if one.taken), None)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes made; empty where there are none."""
        return self.taken.changes if self.taken is not None else ()
