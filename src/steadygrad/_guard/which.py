"""The names of a guard's optimizers, for lines that are about one of several. Words only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch


def labels(names: Sequence[str], optimizers: Sequence[torch.optim.Optimizer], holders: Sequence[int]) -> list[str]:
    """ "Generator's Adam": for each the model that it holds most of, where ``holders[i]`` is model i's optimizer; "" if alone."""
    if len(optimizers) == 1:
        return [""]
    models = dict(zip(holders, names, strict=True))
    plain = [
        f"{models[at]}'s {type(one).__name__}" if at in models else type(one).__name__
        for at, one in enumerate(optimizers)
    ]
    counts = Counter(plain)
    return [name if counts[name] == 1 else f"{name} #{plain[:at].count(name) + 1}" for at, name in enumerate(plain)]


def without_looks(names: Sequence[str], holders: Sequence[int]) -> list[str]:
    """Explain why the steps of some are not probed, a line for each."""
    return [
        f"no probe at the steps of {name}: its parameters are probed with the steps of "
        f"{', '.join(names[at] for at in dict.fromkeys(holders))}, which hold most of it"
        for index, name in enumerate(names)
        if name and index not in holders
    ]
