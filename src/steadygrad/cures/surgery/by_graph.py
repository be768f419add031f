"""Wires put into a graph that ``torch.fx`` traced: the result scripts, exports and pickles where the original did.

The trace is trusted only after it has computed what the model computes, and only where training and evaluation have the
same code: control flow that looks at numbers, shapes or the mode is baked in otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn

from steadygrad.cures.surgery.wire import Wire, attach, in_place, named, paths_by_module
from steadygrad.record import Site
from steadygrad.torch_internals.tensors import tree_leaves
from steadygrad.torch_internals.tracing import trace_in_this_thread


class NotTraceableError(Exception):
    """``torch.fx`` cannot follow this model, or a wire's site is inside a module that stays whole."""


Key = tuple[str, str, int]


def rewrite(model: nn.Module, wires: Sequence[Wire], run: Callable[[nn.Module], Any]) -> fx.GraphModule:
    """A graph module with the wires in it; it shares the model's parameters and buffers. Raises ``NotTraceableError``."""
    graph, other = _traced(model), _traced(model, flipped=True)
    if _code(graph) != _code(other):
        raise NotTraceableError("its code differs between training and evaluation")
    traced = fx.GraphModule(model, graph, class_name=type(model).__name__)
    traced.training = model.training
    if not _same(run(model), run(traced)):
        raise NotTraceableError("its graph does not compute what it computes")
    nodes = _by_key(model, graph)
    whole = {where for where, name, _ in nodes if name == ""}

    def key(site: Site) -> Key:
        """A call inside a module that stays whole is the call of that module."""
        return site.module, "" if site.module in whole else site.name, site.occurrence

    for wire in wires:
        for site in (wire.site, wire.source):
            if site is not None and key(site) not in nodes:
                raise NotTraceableError(
                    f"{site.name} of {site.module or 'the model'} is inside a module that stays whole"
                )
    for wire in wires:
        node = nodes[key(wire.site)]
        if in_place(str(node.target if node.op == "call_method" else getattr(node.target, "__name__", ""))):
            _read_result(graph, node)
    paths = attach(traced, wires)
    # Joins go behind what else is wired to the same call: the skip is added to what the layer really gives.
    order = {"replace": 0, "before": 1, "after": 2, "join": 3}
    inputs = {key(wire.source): _first(nodes[key(wire.source)]) for wire in wires if wire.source is not None}
    for wire, path in sorted(zip(wires, paths, strict=True), key=lambda pair: order[pair[0].how]):
        _wire(graph, wire, path, key(wire.site), key(wire.source) if wire.source is not None else None, nodes, inputs)
    graph.lint()
    traced.recompile()
    return traced


def _wire(
    graph: fx.Graph,
    wire: Wire,
    path: str,
    key: Key,
    source_key: Key | None,
    last: dict[Key, fx.Node],
    inputs: dict[Key, fx.Node],
) -> None:
    node = last[key]
    if wire.how == "before":
        source = _first(node)
        with graph.inserting_before(node):
            new = graph.call_module(path, (source,))
        node.update_arg(0, new)
        return
    if wire.how == "replace":
        with graph.inserting_after(node):
            new = graph.call_module(path, (_first(node),))
        node.replace_all_uses_with(new)
        graph.erase_node(node)
        for name, value in inputs.items():
            inputs[name] = new if value is node else value
    else:
        with graph.inserting_after(node):
            new = graph.call_module(path, (node,))
        node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
        if wire.how == "join":
            assert source_key is not None
            source = inputs[source_key]
            new.args = (node, source)
            for name, value in inputs.items():
                inputs[name] = new if value is node and name != source_key else value
        else:
            for name, value in inputs.items():
                inputs[name] = new if value is node else value
    last[key] = new


def _read_result(graph: fx.Graph, node: fx.Node) -> None:
    """What reads the tensor that a call wrote into, behind it, reads the call's result: the same tensor until it is wired."""
    order = {one: number for number, one in enumerate(graph.nodes)}
    source = _first(node)
    for user in list(source.users):
        if order[user] > order[node]:
            user.replace_input_with(source, node)


def _traced(model: nn.Module, *, flipped: bool = False) -> fx.Graph:
    modes = [(module, module.training) for module in model.modules()]
    try:
        if flipped:
            model.train(not model.training)
        return trace_in_this_thread(fx.Tracer(), model)
    except Exception as error:
        # Whatever a model's code does with a stand-in for a tensor, the answer is the same: it cannot be traced.
        raise NotTraceableError(f"{type(error).__name__}: {error}") from None
    finally:
        for module, mode in modes:
            module.training = mode


def _code(graph: fx.Graph) -> str:
    return graph.python_code("self").src


def _same(one: Any, other: Any) -> bool:
    pairs = list(zip(tree_leaves(one), tree_leaves(other), strict=False))
    return all(
        torch.equal(a, b) or torch.allclose(a, b, rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in pairs
        if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
    )


def _by_key(model: nn.Module, graph: fx.Graph) -> dict[Key, fx.Node]:
    """Nodes by (module, function name, occurrence), as a tape would name the calls."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[Key, fx.Node] = {}
    paths = paths_by_module(model)
    for node in graph.nodes:
        if node.op == "call_module":
            # A module that stays whole: it is known by whatever call it makes; one name stands for all.
            where, name = paths[id(model.get_submodule(str(node.target)))], ""
        elif node.op == "call_function":
            where, name = _owner(node), getattr(node.target, "__name__", str(node.target))
        elif node.op == "call_method":
            where, name = _owner(node), str(node.target)
        else:
            continue
        name = named(name)
        found[where, name, seen[where, name]] = node
        seen[where, name] += 1
    return found


def _owner(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack")
    return str(next(reversed(stack.values()))[0]) if stack else ""


def _first(node: fx.Node) -> fx.Node:
    first = node.args[0] if node.args else next(iter(node.kwargs.values()), None)
    if not isinstance(first, fx.Node):
        raise NotTraceableError("its first argument is no tensor")
    return first
