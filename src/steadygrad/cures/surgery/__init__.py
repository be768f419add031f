"""How new modules are put into a model that runs: in place of a module, into its graph, or at its calls.

``put_in`` takes wires and finds the least heavy way that can hold them all:

1. *by module*: every wire sits at a module of torch's that can be exchanged; class and keys of the model stay.
2. *by graph*: ``torch.fx`` traces the model, the wires go into the graph; parameters keep their names.
3. *by call*: where it cannot be traced, the model's own ``forward`` runs, and the calls are rerouted as they happen; so
   are those of a loop, which a graph would hold to the steps of one batch.

Knows modules, graphs and calls; knows no disease.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from steadygrad.cures.surgery.by_call import reroute
from steadygrad.cures.surgery.by_graph import NotTraceableError, rewrite
from steadygrad.cures.surgery.by_module import exchange, exchangeable
from steadygrad.cures.surgery.wire import ADDED, Wire
from steadygrad.record import Operation

__all__ = ["ADDED", "Wire", "put_in"]

Run = Callable[[nn.Module], Any]
"""Runs a model on the batch, from the same seed each time."""


def put_in(model: nn.Module, wires: Sequence[Wire], operations: Sequence[Operation], run: Run) -> tuple[nn.Module, str]:
    """The model with the wires put in, and the way that was taken. ``model`` is changed or used up.

    ``operations`` are those of a probe of this model; ``run`` shows whether a traced graph computes what the model does.
    """
    looped = any(wire.how == "carry" for wire in wires)
    if not looped and exchangeable(model, wires, operations):
        exchange(model, wires)
        return model, "modules exchanged"
    if not looped and _is_only_a_forward(model):
        try:
            return rewrite(model, wires, run), "graph rewritten by torch.fx"
        except NotTraceableError:
            pass  # A forward that cannot be traced is run as it is, and its calls rerouted.
    reroute(model, wires)
    return model, "calls rerouted as they happen"


def _is_only_a_forward(model: nn.Module) -> bool:
    """Whether nothing but ``forward`` is called from outside: a graph would lose ``training_step`` and its like."""
    if isinstance(model, torch.jit.ScriptModule):
        return False
    known = set(dir(nn.Module))
    kinds = [kind for kind in type(model).__mro__ if not kind.__module__.startswith("torch.")]
    names = {name for kind in kinds for name, value in vars(kind).items() if callable(value)}
    return not any(name not in known and not name.startswith("_") for name in names)
