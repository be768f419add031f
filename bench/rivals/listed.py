"""Every rival, with its paper and the nets that it applies to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from bench.rivals import blocks, learned, numbers, shaped, transformers
from bench.rivals.nets import Net

Make = Callable[[Net, Tensor], nn.Module]
"""From a net and a batch to a fresh model; the weights are drawn from torch's global random state."""

ALONE = "as torch initialises it"
"""A row that is no rival: the net with no change."""
CURE, BEST = "cure", "cure --best"
"""Ours: the default, which takes the least intrusive cure that heals; and all tried, of which the fastest learner is taken."""
OURS = (CURE, BEST)
NUMBERS = ("He / Xavier", "orthogonal", "LSUV", "MetaInit", "GradInit")
"""Rivals that set the first weights and change nothing else."""

LAYERED = ("mlp", "conv")
ALL = (*LAYERED, "recurrent", "transformer")


@dataclass(frozen=True)
class Rival:
    """One row of the table: how it makes each kind of net."""

    makes: dict[str, Make]
    """By kind of net; a kind that is not there is one that the rival does not apply to."""


def _for(make: Make, kinds: tuple[str, ...] = LAYERED) -> Rival:
    return Rival(dict.fromkeys(kinds, make))


RIVALS = {
    "He / Xavier": _for(numbers.he_or_xavier, ALL),
    "orthogonal": _for(numbers.orthogonal, ALL),
    "LSUV": _for(numbers.lsuv),
    "MetaInit": _for(learned.metainit, (*LAYERED, "recurrent")),
    "GradInit": _for(learned.gradinit, ALL),
    "DKS / TAT": _for(shaped.dks_or_tat),
    "Fixup": _for(blocks.fixup),
    "SkipInit": _for(blocks.skipinit),
    "ReZero": Rival({**dict.fromkeys(LAYERED, blocks.rezero), "transformer": transformers.rezero}),
    "norm-free (NF)": _for(blocks.norm_free),
    "batch norm": _for(blocks.batch_norm),
    "layer norm": _for(blocks.layer_norm),
    "pre-norm": _for(transformers.pre_norm, ("transformer",)),
    "DeepNorm": _for(transformers.deepnorm, ("transformer",)),
    "T-Fixup": _for(transformers.t_fixup, ("transformer",)),
}


def maker(name: str, net: Net) -> Make | None:
    """How a row makes this net; None where it does not apply."""
    return numbers.as_it_is if name == ALONE else RIVALS[name].makes.get(net.kind)
