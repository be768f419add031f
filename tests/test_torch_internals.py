"""The one home of torch's internals: no other file names one, and each exists and does what we need of it."""

from __future__ import annotations

import ast
import gc
import importlib
import inspect
import re
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.distributed.tensor
from torch import nn
from torch.utils.data import DataLoader

from steadygrad.torch_internals import compiling, held, modes, points, replacing, tensors, tracing
from tests.test_structure import SOURCE, modules

HOME = "steadygrad.torch_internals"
PRIVATE = re.compile(r"_[A-Za-z]\w*")

TORCH_2_6 = torch.__version__.startswith("2.6.")
"""Its compiler leaves out one function; what that calls, it may compile."""

OTHERS: dict[str, object] = {
    "_getframe": sys,
    "_make": namedtuple("Pair", "a b"),
    "_run_module_as_main": importlib.import_module("runpy"),
    "_Error": importlib.import_module("runpy"),
}
"""Private names of the standard library's that the package may name, each with what has it."""


def names_of_torch() -> set[str]:
    """Private names that torch's modules, classes and objects have, of all that the package handles."""
    weight = nn.Parameter(torch.ones(1))
    optimizers = [kind([weight]) for kind in (torch.optim.SGD, torch.optim.AdamW, torch.optim.LBFGS)]
    objects = [
        *(weight, (weight * 2).grad_fn, nn.RNN(1, 1), nn.Sequential(), *optimizers),
        *(torch.amp.GradScaler("cpu"), DataLoader([1]), torch.inference_mode(), torch.autograd.Function),
        *(torch, torch._C, torch._C._autograd, torch.nn.init, torch.nn.utils.clip_grad, torch.nn.modules.module),
        *(
            torch.overrides,
            torch.distributed.tensor.DTensor,
            torch.utils,
            torch.utils._foreach_utils,
            torch.fx._symbolic_trace,
            torch.autograd,
        ),
        *(torch.compile(nn.Linear(1, 1)), sys.modules["torch._dynamo.eval_frame"]),
    ]
    return {name for one in objects for name in dir(one) if PRIVATE.fullmatch(name)}


def own_names(texts: Mapping[str, str]) -> set[str]:
    """Private names that the package itself gives to a module, a function, a class, an argument, a variable or ``self``."""
    found = {part for name in texts for part in name.split(".")}
    for text in texts.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                found.add(node.attr)
    return found


def _is_self(node: ast.expr) -> bool:
    is_super = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    return is_super or (isinstance(node, ast.Name) and node.id in ("self", "cls"))


def private_uses(text: str) -> Iterator[tuple[int, str, str]]:
    """Each private name that a file uses, with its line and how: read off ``self``, imported from us, spelt, or "foreign"."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute):
            yield node.lineno, node.attr, "self" if _is_self(node.value) else "foreign"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.strip("."), "spelt"
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module = (getattr(node, "module", None) or "").split(".")
            for name in (*module, *(part for alias in node.names for part in alias.name.split("."))):
                yield node.lineno, name, "ours" if module[0] == "steadygrad" else "foreign"


def outside_the_home(texts: Mapping[str, str]) -> list[str]:
    """Uses of private names that are neither the package's own nor the standard library's, nor in their home."""
    own, theirs = own_names(texts), names_of_torch()
    return [
        f"{name}:{line} {used}"
        for name, text in texts.items()
        if not name.startswith(HOME)
        for line, used, how in private_uses(text)
        if PRIVATE.fullmatch(used) and used not in OTHERS
        # A string may be any name, so only one that torch has counts.
        if (used in theirs and how in ("foreign", "spelt")) or (used not in own and how != "spelt")
    ]


def replacements_of_torch(texts: Mapping[str, str]) -> list[str]:
    """Calls that replace a function which is no ``Point``, and assignments to a class or module of torch's."""
    found = []
    for name, text in texts.items():
        if name.startswith(HOME):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in ("replace_everywhere", "put_over", "take_off", "replaced", "setattr"):
                    owner = ast.unparse(node.args[0])
                    if re.match(r"(self\._)?torch\b|nn\b|overrides\b|F\b", owner):
                        found.append(f"{name}:{node.lineno} {owner}")
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if re.match(r"(self\._)?torch\.|nn\.|overrides\.|F\.", ast.unparse(target)):
                        found.append(f"{name}:{node.lineno} {ast.unparse(target)}")
    return found


def test_no_other_file_names_a_private_name_of_torch() -> None:
    found = outside_the_home(modules(SOURCE))
    assert not found, "\n".join(found)


def test_no_other_file_replaces_a_function_of_torch() -> None:
    found = replacements_of_torch(modules(SOURCE))
    assert not found, "\n".join(found)


def test_the_names_of_the_standard_library_are_there() -> None:
    missing = [name for name, owner in OTHERS.items() if not hasattr(owner, name)]
    assert not missing


@pytest.mark.parametrize(
    "line",
    [
        "from torch.utils._pytree import tree_map",
        "from torch.nn.modules.conv import _ConvNd",
        "norms = torch._foreach_norm(gradients)",
        "held = getattr(parameter, '_backward_hooks', None)",
        "table = module._parameters",
        "count = gradient._version",
    ],
)
def test_the_check_sees(line: str) -> None:
    made_up = {
        "made_up.one": line,
        "made_up.two": "class Own:\n    def __init__(self):\n        self._parameters = []\n",
    }
    assert len(outside_the_home(made_up)) == 1 or "_pytree" in line


def test_the_check_sees_a_replaced_function() -> None:
    for line in ("torch.nn.Module.__call__ = mine", "setattr(torch.autograd, 'backward', mine)"):
        assert replacements_of_torch({"made_up.one": line})
    assert not replacements_of_torch({"made_up.one": "with replaced(*MODULE_CALL, mine): pass"})


# What each internal does.


def written(write: Callable[[torch.Tensor], object]) -> int:
    tensor = torch.zeros(3)
    before = tensors.version_of(tensor)
    write(tensor)
    return tensors.version_of(tensor) - before


def pairs() -> list[torch.Tensor]:
    return [torch.tensor([3.0, 4.0]), torch.tensor([6.0, 8.0])]


def in_place(function: Callable[..., Any], *args: Any) -> list[list[float]]:
    given = pairs()
    function(given, *args)
    return [one.tolist() for one in given]


def sequence_numbers() -> bool:
    first = tensors.next_sequence_number()
    node = (torch.ones(1, requires_grad=True) * 2).grad_fn
    return tensors.sequence_number(node) == first and tensors.next_sequence_number() == first + 1


def switched_off() -> bool:
    tensors.set_grad_enabled(False)
    off = not torch.is_grad_enabled()
    tensors.set_grad_enabled(True)
    return off and torch.is_grad_enabled()


def autocast_seen() -> bool:
    with torch.autocast("cpu"):
        inside = tensors.any_autocast()
    return bool(inside) and not tensors.any_autocast()


def sparse_parts() -> bool:
    sparse = torch.sparse_coo_tensor(torch.tensor([[2, 0]]), torch.tensor([5.0, 7.0]), (3,))
    tensors.values_of_sparse(sparse)[0] = 1.0
    return tensors.rows_of_sparse(sparse).tolist() == [[2, 0]] and sparse.to_dense().tolist() == [7.0, 0.0, 1.0]


def one_table_of_hooks_for_many_nodes() -> bool:
    came: list[float] = []
    holder = torch.zeros(0, requires_grad=True)
    without = tensors.accumulated_hooks(holder) is None
    holder.register_hook(lambda gradient: came.append(float(gradient)))
    table, references = tensors.accumulated_hooks(holder), sys.getrefcount(tensors.accumulated_hooks(holder))
    outputs = [torch.ones(1, requires_grad=True) * factor for factor in (2.0, 3.0)]
    for output in outputs:
        tensors.hook_node_with(output.grad_fn, holder)
    held_by_graphs = sys.getrefcount(table) > references
    for factor, output in zip((2.0, 3.0), outputs, strict=True):
        (output * factor).backward()
    return without and held_by_graphs and came == [2.0, 3.0]


def hooks_listed() -> bool:
    module = nn.Linear(1, 1)
    module.register_forward_hook(print)
    module.register_forward_pre_hook(repr)
    module.register_full_backward_hook(str)
    module.weight.register_hook(abs)
    everywhere = nn.modules.module.register_module_forward_hook(len)
    seen = set(held.global_hooks())
    everywhere.remove()
    return set(held.hooks_of(module)) == {print, repr, str, abs} and seen == {len} and not list(held.global_hooks())


def tables() -> bool:
    module = nn.BatchNorm1d(2)
    whole = nn.Sequential(module)
    unborn = nn.Linear.__new__(nn.Linear)
    return (
        held.parameter_table(module)["weight"] is module.weight
        and held.buffer_table(module)["running_mean"] is module.running_mean
        and held.child_table(whole)["0"] is module
        and held.own_parameters(module) == [module.weight, module.bias]
        and held.own_children(whole) == [module]
        and held.is_constructed(whole)
        and not held.is_constructed(unborn)
        and held.own_parameters(unborn) == held.own_children(unborn) == []
    )


def step_hooks_listed() -> bool:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters())
    optimizer.register_step_pre_hook(print)
    optimizer.register_step_post_hook(repr)
    return [*held.step_pre_hooks(optimizer).values(), *held.step_post_hooks(optimizer).values()] == [print, repr]


def lbfgs_steps_what_its_group_holds() -> bool:
    old, new = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    optimizer = torch.optim.LBFGS([old])
    optimizer.step(lambda: old.sum())
    optimizer.param_groups[0]["params"] = [new]
    optimizer.state.clear()
    held.list_parameters_again(optimizer)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = new.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return bool((new != 1).all())


def loss_scale_read() -> bool:
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    before = held.loss_scale_of(scaler, optimizer)
    scaler.scale(weight.sum()).backward()
    scaled = held.loss_scale_of(scaler, optimizer)
    scaler.unscale_(optimizer)
    fused = torch.optim.SGD([weight], lr=0.1, fused=True)
    return (
        before is None
        and scaled is not None
        and float(scaled) == 8.0
        and held.loss_scale_of(scaler, optimizer) is None
        and held.steps_with_loss_scale(fused)
        and not held.steps_with_loss_scale(optimizer)
    )


def loader_seen() -> bool:
    gc.collect()
    before = held.loader_at_work()
    iterator = iter(DataLoader([1, 2]))
    next(iterator)
    return not before and held.loader_at_work()


def modes_taken_off_from_below() -> bool:
    class Counts(torch.overrides.TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.calls += 1
            return func(*args, **(kwargs or {}))

    below, above = Counts(), Counts()
    modes.push_mode(below)
    modes.push_mode(above)
    torch.add(torch.ones(1), 1)
    found = modes.remove_mode(below)
    seen = below.calls
    torch.add(torch.ones(1), 1)
    rest = modes.remove_mode(above)
    return found and rest and not modes.remove_mode(below) and below.calls == seen > 0 and above.calls > seen


def modes_see_nothing_of_what_is_unseen() -> bool:
    class Sees(torch.overrides.TorchFunctionMode):
        names: ClassVar[list[str]] = []

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    with Sees() as sees:
        torch.sin(torch.ones(1))
        modes.unseen(torch.cos)(torch.ones(1))
        torch.tan(torch.ones(1))
    return "cos" not in sees.names and {"sin", "tan"} <= set(sees.names)


def each_point_is_called() -> bool:
    """Every function that is replaced while something is watched is gone through by what a user calls."""
    seen: set[points.Point] = set()

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return 2 * gradients[0]

    every = [value for value in vars(points).values() if isinstance(value, tuple) and hasattr(value[0], "__name__")]
    every = [*(point for point in every if point != points.CLIP_VALUE), *points.FILLS]

    def note(point: points.Point) -> Callable[..., Any]:
        def noted(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            seen.add(point)
            return original(*args, **kwargs)

        return noted

    names: list[str] = []

    class Names(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    from contextlib import ExitStack

    with ExitStack() as stack:
        for point in every:
            stack.enter_context(replacing.replaced(*point, note(point)))
        layer = nn.Linear(2, 2)
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, 1.0)
        nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD(layer.parameters())
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(Doubled.apply(layer(torch.ones(1, 2))).sum()).backward()
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        nn.utils.clip_grad_value_(layer.parameters(), 1.0)
        with torch.inference_mode():
            optimizer.step()
        with Names(), torch.no_grad():
            pass
    return seen == set(every) and len(every) == 14 and points.GRAD_MODE_NAME in names


def the_clip_by_value_is_known_by_its_code() -> bool:
    bodies = {inspect.unwrap(one).__code__ for one in (getattr(*points.CLIP_VALUE), nn.utils.clip_grad_value_)}
    called_by: list[Any] = []

    def group(original: Callable[..., Any], *args: Any) -> Any:
        called_by.append((sys._getframe(2).f_code, sys._getframe(2).f_locals["clip_value"]))
        return original(*args)

    layer = nn.Linear(1, 1)
    layer(torch.ones(1, 1)).sum().backward()
    with replacing.replaced(*points.CLIP_GROUP, group):
        nn.utils.clip_grad_value_(layer.parameters(), 0.5)
    return len(bodies) == 1 and called_by == [(*bodies, 0.5)]


def a_put_over_is_seen_by_all_and_taken_off() -> bool:
    original = nn.Module.__call__
    calls: list[int] = []

    def make(under: Callable[..., Any]) -> Callable[..., Any]:
        def cover(*args: Any, **kwargs: Any) -> Any:
            calls.append(threading.get_ident())
            return under(*args, **kwargs)

        return cover

    cover = replacing.put_over(*points.MODULE_CALL, make)
    thread = threading.Thread(target=lambda: nn.Identity()(1))
    thread.start()
    thread.join()
    nn.Identity()(1)
    went = replacing.take_off(*points.MODULE_CALL, cover)
    return (
        len(set(calls)) == 2
        and went
        and nn.Module.__call__ is original
        and not replacing.take_off(*points.MODULE_CALL, cover)
    )


def exported_clip_helpers_follow() -> bool:
    before = [getattr(*points.also(point)) for point in (points.CLIP_TOTAL, points.CLIP_SCALE) if points.also(point)]
    cover = replacing.put_over(*points.CLIP_TOTAL, lambda original: lambda *args: original(*args))
    home = points.also(points.CLIP_TOTAL)
    followed = home is None or getattr(*home) is cover
    replacing.take_off(*points.CLIP_TOTAL, cover)
    after = [getattr(*points.also(point)) for point in (points.CLIP_TOTAL, points.CLIP_SCALE) if points.also(point)]
    return followed and before == after


def compiled_seen() -> bool:
    layer = nn.Linear(1, 1)
    wrapped = torch.compile(layer, backend="eager")
    in_place = nn.Linear(1, 1)
    in_place.compile(backend="eager")
    (name, *_) = (name for name, _ in wrapped.named_parameters())
    wrapped(torch.ones(1, 1))
    return (
        compiling.inside_compiled(wrapped) is layer
        and compiling.inside_compiled(layer) is None
        and name.startswith(compiling.COMPILED_PREFIX)
        and compiling.is_compiled_in_place(in_place)
        and not compiling.is_compiled_in_place(layer)
        and compiling.anything_is_compiled()
    )


def what_is_compiled_of(marked: Callable[[Callable[..., Any]], Callable[..., Any]]) -> set[str]:
    """Which of two functions torch's compiler compiles: one marked so, and one that it calls."""
    compiled: set[str] = set()

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        compiled.update(node.target.__name__ for node in graph.graph.nodes if node.op == "call_function")
        return graph.forward

    def below(x: torch.Tensor) -> torch.Tensor:
        return torch.cos(x)

    def passes_on(x: torch.Tensor) -> torch.Tensor:
        return below(torch.sin(x))

    torch.compile(marked(passes_on), backend=backend)(torch.ones(1))
    return compiled


def a_caller_is_found_through_the_cover() -> bool:
    class Made:
        def give(self) -> None:
            """Is replaced."""

    found: list[Any] = []
    with replacing.replaced(Made, "give", lambda original, one: found.append(replacing.caller())):
        Made().give()
    return bool(found[0].f_code.co_name == "a_caller_is_found_through_the_cover")


def replaced_for_good() -> bool:
    class Made:
        def give(self) -> int:
            return 1

    replacing.replace_everywhere(Made, "give", lambda original, one: original(one) + 1)
    thread_gives: list[int] = []
    thread = threading.Thread(target=lambda: thread_gives.append(Made().give()))
    thread.start()
    thread.join()
    return [Made().give(), *thread_gives] == [2, 2]


def a_thread_knows_itself() -> bool:
    here = compiling.this_thread()
    elsewhere: list[bool] = []
    thread = threading.Thread(target=lambda: elsewhere.append(compiling.runs_in(here)))
    thread.start()
    thread.join()
    return compiling.runs_in(here) and compiling.runs_in(None) and elsewhere == [False]


def notes_of_the_call_follow() -> bool:
    noted = torch.fx._symbolic_trace
    before = noted._orig_module_call
    cover = replacing.put_over(*points.MODULE_CALL, lambda original: lambda *args, **kwargs: original(*args, **kwargs))
    during = noted._orig_module_call
    compiling.correct_notes(cover, before)
    corrected = noted._orig_module_call
    compiling.correct_notes(before, cover)
    replacing.take_off(*points.MODULE_CALL, cover)
    return during is cover and corrected is before and noted._orig_module_call is before


def uncompiled_runs_eager() -> bool:
    ran: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        def run(*args: Any) -> Any:
            ran.append("compiled")
            return graph.forward(*args)

        return run

    double = torch.compile(lambda x: 2 * x, backend=backend)
    double(torch.ones(1))
    with compiling.uncompiled():
        double(torch.ones(1))
    double(torch.ones(1))
    return ran == ["compiled", "compiled"]


def a_trace_is_of_one_thread() -> bool:
    other: list[Any] = []
    layer = nn.Sequential(nn.Linear(1, 1))

    class Waits(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            thread = threading.Thread(target=lambda: other.append(nn.Linear(1, 1)(torch.ones(1, 1))))
            thread.start()
            thread.join()
            return True

    graph = tracing.trace_in_this_thread(Waits(), layer)
    return isinstance(other[0], torch.Tensor) and [node.op for node in graph.nodes] == [
        "placeholder",
        "call_module",
        "output",
    ]


def a_parametrised_weight_is_computed_once() -> bool:
    count = [0]

    class Counts(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            count[0] += 1
            return 2 * x

    layer = nn.utils.parametrize.register_parametrization(nn.Linear(1, 1), "weight", Counts())
    count[0] = 0
    with tracing.computed_once():
        for _ in range(3):
            layer(torch.ones(1, 1))
        once = count[0]
        with torch.no_grad():
            layer.parametrizations.weight.original.mul_(2)
        layer(torch.ones(1, 1))
    return once == 1 and count[0] == 2


LAWS: dict[str, Callable[[], object]] = {
    "a write counts": lambda: written(lambda t: t.add_(1)) == 1 and written(torch.clone) == 0,
    "inference counts nothing": lambda: (
        tensors.writes_to(torch.inference_mode()(torch.ones)(1)) == 0
        and tensors.versions_of([torch.inference_mode()(torch.ones)(1)]) == []
        and tensors.versions_of([torch.ones(1)]) == [0]
    ),
    "norms of many": lambda: [float(one) for one in tensors.foreach_norm(pairs())] == [5.0, 10.0],
    "multiply many": lambda: in_place(tensors.foreach_mul_, 2.0) == [[6.0, 8.0], [12.0, 16.0]],
    "divide many": lambda: in_place(tensors.foreach_div_, pairs()) == [[1.0, 1.0], [1.0, 1.0]],
    "clamp many from below": lambda: in_place(tensors.foreach_clamp_min_, 5.0) == [[5.0, 5.0], [6.0, 8.0]],
    "clamp many from above": lambda: in_place(tensors.foreach_clamp_max_, 5.0) == [[3.0, 4.0], [5.0, 5.0]],
    "group by device and dtype": lambda: (
        sorted(len(lists[0]) for lists, _ in tensors.group_tensors([[*pairs(), torch.ones(1).double()]]).values())
        == [1, 2]
    ),
    "leaves of a tree": lambda: tensors.tree_leaves({"a": [1, (2,)], "b": None}) == [1, 2, None],
    "a tree again": lambda: tensors.tree_map(lambda x: x + 1, [1, {"a": 2}]) == [2, {"a": 3}],
    "paths of a tree": lambda: (
        tensors.tree_map_with_path(lambda path, x: (len(path), x), [1, {"a": 2}]) == [(1, 1), {"a": (2, 2)}]
    ),
    "sequence numbers": sequence_numbers,
    "gradients off and on": switched_off,
    "autocast": autocast_seen,
    "parts of a sparse tensor": sparse_parts,
    "hooks of a tensor": lambda: tensors.tensor_hooks(torch.ones(1)) == [] and tensors.tensor_hooks(None) == [],
    "one table of hooks for many nodes": one_table_of_hooks_for_many_nodes,
    "hooks of a module": hooks_listed,
    "tables of a module": tables,
    "kinds of layers": lambda: (
        isinstance(nn.BatchNorm2d(1), held.BatchNorm)
        and isinstance(nn.Conv1d(1, 1, 1), held.Convolution)
        and not isinstance(nn.Conv1d(1, 1, 1), held.TransposedConvolution)
        and isinstance(nn.ConvTranspose1d(1, 1, 1), held.TransposedConvolution)
        and isinstance(nn.MSELoss(), held.Loss)
    ),
    "hooks of a step": step_hooks_listed,
    "parameters of LBFGS": lbfgs_steps_what_its_group_holds,
    "loss scale": loss_scale_read,
    "a loader at work": loader_seen,
    "function modes": modes_taken_off_from_below,
    "unseen by modes": modes_see_nothing_of_what_is_unseen,
    "what is replaced is called": each_point_is_called,
    "clip by value": the_clip_by_value_is_known_by_its_code,
    "put over and taken off": a_put_over_is_seen_by_all_and_taken_off,
    "exported names follow": exported_clip_helpers_follow,
    "what is compiled": compiled_seen,
    "what is passed over is not compiled": lambda: what_is_compiled_of(compiling.passed_over) == {"cos"},
    "what is never compiled": lambda: (
        what_is_compiled_of(compiling.never_compiled) == ({"cos"} if TORCH_2_6 else set())
    ),
    "a caller": a_caller_is_found_through_the_cover,
    "replaced for good": replaced_for_good,
    "a thread": a_thread_knows_itself,
    "notes of the call": notes_of_the_call_follow,
    "uncompiled": uncompiled_runs_eager,
    "a trace": a_trace_is_of_one_thread,
    "computed once": a_parametrised_weight_is_computed_once,
}


@pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
def test_an_internal_of_torch_exists_and_behaves(law: Callable[[], object]) -> None:
    assert law()


def test_every_name_of_the_home_is_in_a_law() -> None:
    text = Path(__file__).read_text()
    offered = {
        name
        for module in (compiling, held, modes, replacing, tensors, tracing)
        for name in _defined(Path(inspect.getfile(module)).read_text()) - {"Function"}
        if not name.startswith("_")
    }
    missing = sorted(name for name in offered if not re.search(rf"\b{name}\b", text))
    assert not missing


def _defined(text: str) -> set[str]:
    found: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("torch"):
            found |= {
                alias.asname or alias.name for alias in node.names if alias.asname or alias.name.startswith("tree_")
            }
    return found
