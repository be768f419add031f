"""Choices that a pass makes among options, and whether an option that nobody picked is a part of the model.

A router picks experts, a quantizer entries of a codebook, both by a ``topk`` or an ``argmax`` over as many numbers as there
are options. So does a metric over classes; what tells them apart is the gradient: the part of the model that belongs to an
option gets none where the option was never picked. Knows torch's names and the model's parameters; judges nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steadygrad.probe.taped import Taped
from steadygrad.record import Routing

CHOOSES = frozenset({"topk", "argmax", "argmin", "max", "min", "multinomial", "gumbel_softmax"})

KINDS = ("modules", "stack", "entries")
"""What the options may be, the surest first."""

KEPT = 1024
"""Entries of one parameter that a record lists: a codebook may have many thousands."""


@dataclass
class Choice:
    """One expression that picks, and how often it picked each option, over all its calls."""

    call: Taped
    counts: Tensor


def counts(name: str, args: Any, kwargs: Any, output: Any) -> Tensor | None:
    """How often a call picked each of its options, (options,); None where it picks among none."""
    values = args[0] if args else kwargs.get("input", kwargs.get("logits"))
    picked = _indices(name, args, kwargs, output)
    if not isinstance(values, Tensor) or picked is None or type(picked) is not Tensor:
        return None
    dimension = _dimension(name, args, kwargs)
    if dimension is None or not values.dim() or picked.dtype != torch.int64:
        return None
    options = values.shape[dimension]
    try:
        return torch.bincount(picked.detach().reshape(-1), minlength=options).cpu() if options > 1 else None
    except (RuntimeError, NotImplementedError):
        return None  # Under vmap, or on the meta device, there are no numbers to count.


def _indices(name: str, args: Any, kwargs: Any, output: Any) -> Tensor | None:
    if name == "gumbel_softmax":
        hard = kwargs.get("hard", args[2] if len(args) > 2 else False)
        return output.detach().argmax(_dimension(name, args, kwargs)) if hard else None
    if name in ("topk", "max", "min"):
        # The greatest of two tensors, or of all numbers, is no choice: it comes without positions.
        output = output[1] if isinstance(output, tuple) and len(output) == 2 else None
    return output if isinstance(output, Tensor) else None


def _dimension(name: str, args: Any, kwargs: Any) -> int | None:
    place, default = {"topk": (2, -1), "gumbel_softmax": (4, -1), "multinomial": (9, -1)}.get(name, (1, None))
    found = kwargs.get("dim", args[place] if len(args) > place else default)
    return found if isinstance(found, int) else None


def add(choices: dict[tuple[Any, ...], Choice], call: Taped, counted: Tensor) -> None:
    """Note one call; those of one expression in one module are one choice."""
    key = (call.name, call.module, call.call, len(counted))
    if key in choices:
        choices[key].counts += counted
    else:
        choices[key] = Choice(call, counted)


@dataclass(frozen=True)
class _Parts:
    """Alike parts of the model, as many as there are options: modules of a list, or slices of a parameter."""

    name: str
    kind: str
    dead: frozenset[int]


def routings(choices: Iterable[Choice], named: Sequence[tuple[str, Tensor]]) -> tuple[Routing, ...]:
    """The choices that parts of the model belong to, as records. ``named``: its parameters, with the pass's gradients."""
    found = []
    for choice in choices:
        never = frozenset((choice.counts == 0).nonzero().view(-1).tolist())
        options = len(choice.counts)
        known = [one for one in _parts(named, options) if never <= one.dead and len(one.dead) < options]
        # A matrix has as many rows as something else by chance: only rows that were left out say that they were the options.
        known = [one for one in known if never or one.kind != "entries"]
        if not known:
            continue
        parts = max(known, key=lambda one: (_shared(one.name, choice.call.module), -KINDS.index(one.kind)))
        total = int(choice.counts.sum())
        share = choice.counts[choice.counts > 0].double() / max(1, total)
        found.append(
            Routing(
                name=choice.call.name,
                module=choice.call.module,
                location=choice.call.location,
                parts=parts.name,
                kind=parts.kind,
                options=options,
                picks=total,
                used=options - len(never),
                effective=math.exp(float(torch.special.entr(share).sum())),
                most=float(share.max()) if len(share) else 0.0,
                lost=tuple(sorted(never)[: KEPT if parts.kind == "entries" else None]),
            )
        )
    return tuple(found)


def _parts(named: Sequence[tuple[str, Tensor]], options: int) -> Iterator[_Parts]:
    lists: dict[str, dict[int, list[Tensor]]] = defaultdict(lambda: defaultdict(list))
    for name, parameter in named:
        words = name.split(".")
        for at, word in enumerate(words):
            if word.isdigit():
                lists[".".join(words[:at])][int(word)].append(parameter)
        if parameter.requires_grad and parameter.dim() > 1 and parameter.shape[0] == options:
            yield _Parts(name, "entries" if parameter.dim() == 2 else "stack", _still(parameter))
    for name, members in lists.items():
        if members.keys() == set(range(options)):
            trained = {at: [p for p in own if p.requires_grad] for at, own in members.items()}
            dead = {at for at, own in trained.items() if own and not any(_moves(p) for p in own)}
            yield _Parts(name, "modules", frozenset(dead))


def _moves(parameter: Tensor) -> bool:
    gradient = parameter.grad
    return gradient is not None and bool((gradient.to_dense() if gradient.is_sparse else gradient).any())


def _still(parameter: Tensor) -> frozenset[int]:
    """The slices along the first dimension whose gradient is exactly zero."""
    if parameter.grad is None:
        return frozenset(range(len(parameter)))
    dense = parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad
    return frozenset((~dense.flatten(1).any(1)).nonzero().view(-1).tolist())


def _shared(one: str, other: str) -> int:
    """How many names two paths have in common at their beginning."""
    pairs = list(zip(one.split("."), other.split("."), strict=False))
    return next((at for at, (a, b) in enumerate(pairs) if a != b), len(pairs))
