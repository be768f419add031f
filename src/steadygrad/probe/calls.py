"""The kind of a torch call for the tape, by its name: nothing, a cut, a number, a scaling, or a layer of its own.

``kinds`` says what an operation is to a gradient; this says whether there is an operation at all. May rely on torch's names
and signatures. Must not know what was recorded.
"""

from __future__ import annotations

import types
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from steadygrad.probe.operation_kinds import SUMS, kind_of

QUIET = frozenset(
    [
        "__get__",
        "__set__",
        "size",
        "dim",
        "numel",
        "is_floating_point",
        "is_complex",
        "__len__",
        "stride",
        "storage_offset",
        "__bool__",
        "__int__",
        "is_contiguous",
        "device",
        "dtype",
        "nelement",
        "ndimension",
        "data_ptr",
        "__hash__",
        "get_device",
        "is_same_size",
        "requires_grad_",
        "register_hook",
        "retain_grad",
        "__repr__",
        "__format__",
        "numpy",
        "__array__",
        "has_names",
        "backward",
        "untyped_storage",
    ]
)
"""Calls that make no autograd node and detach nothing; ``__get__`` and ``__set__`` are attributes of a tensor."""

CUTS = frozenset(
    {"detach", "detach_", "round", "floor", "ceil", "sign", "argmax", "bernoulli", "multinomial", "heaviside"}
)

NUMBERS = frozenset({"item", "tolist", "__float__"})
"""Calls that make a Python number of a tensor: the path ends there, though mostly nobody wanted it to go on."""

EXITS = frozenset(
    {"item", "tolist", "__float__", "__int__", "__bool__", "__index__", "__complex__", "numpy", "__array__"}
)
"""Calls by which values leave torch, as numbers or as arrays."""

IN_PLACE = frozenset(
    {"__setitem__", "__set__"}
    | {f"__i{name}__" for name in ("add", "sub", "mul", "truediv", "div", "floordiv", "mod", "pow", "and", "or", "xor")}
)
"""Calls that write into their first tensor, besides those whose name ends in one underscore."""

FLAT = frozenset(
    name + end
    for name in ("round", "floor", "ceil", "trunc", "fix", "sign", "heaviside", "floor_divide", "bernoulli")
    for end in ("", "_")
) | {"__floordiv__", "__ifloordiv__"}
"""Calls whose derivative is zero wherever it is defined: autograd goes on, with nothing."""

ARITHMETIC = frozenset(
    {"add", "sub", "subtract", "mul", "multiply", "div", "divide", "truediv", "true_divide", "pow"}
    | {"full_like", "new_full", "new_tensor", "masked_fill", "where"}
)
"""Calls by which a Python number may enter a result, also under a name of the reflected kind (``__radd__``)."""

SHAPED = frozenset({"zeros", "ones", "empty", "rand", "randn", "randint", "randperm", "eye", "arange", "linspace"})
"""Calls whose numbers say how large a new tensor is, or where it begins and ends."""

REMADE = frozenset({"tensor", "new_tensor", "as_tensor", "asarray"})
"""Calls that make a new tensor of the values of others."""

ENDS = EXITS | CUTS | FLAT | REMADE | {"data", "__set__", "Parameter", "__deepcopy__", "grad"}
"""Calls that end the path also where gradients are on."""

DATA = Tensor.data.__get__  # type: ignore[attr-defined]
"""The function that ``x.data`` calls."""

SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]
"""The function that ``x.data = y`` calls."""

SCALINGS = frozenset({"mul", "rmul", "imul", "div", "truediv", "multiply", "divide", "true_divide"})
"""Calls that scale: of one tensor and a number they weigh no gradient against another."""

GROWING = frozenset({"pow", "square", "exp"})
"""Calls of which large numbers come out where ordinary ones went in."""

_SAMPLED = frozenset({"activation", "linear", "normalisation", "attention", "recurrent", "embedding"})


def is_sampled(name: str, kind: str, tensors: int) -> bool:
    """Return whether the output of a call on so many ``tensors`` is worth statistics: what weighs, sums, scales or grows."""
    bare = name.strip("_")
    return kind in _SAMPLED or name in SUMS or bare in GROWING or (tensors == 1 and bare in SCALINGS)


def without_dispatch(function: Any) -> Any:
    """The same Python function, whose own look-out for torch-function modes is switched off, so that its body is seen."""
    blind = {name: (lambda *_: False) for name in function.__globals__ if name.startswith("has_torch_function")}
    twin = types.FunctionType(
        function.__code__,
        {**function.__globals__, **blind},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


COMPOSITES = {F.multi_head_attention_forward: without_dispatch(F.multi_head_attention_forward)}
"""Functions that are whole layers: what runs inside them is recorded, not they."""


def fan_in(name: str, weight: Tensor, *, first: bool = False) -> int:
    """Count the inputs that one unit of the layer sums; 1 for an embedding, which picks. ``first``: it is the first operand."""
    if name.startswith("conv_transpose"):
        return weight[:, 0].numel()
    if name in ("linear",) or name.startswith("conv"):
        return weight[0].numel()
    if kind_of(name) == "embedding":
        return 1
    # x @ weight sums over the rows of the weight, weight @ x over its columns.
    return int(weight.shape[-1] if first and name.strip("_") in ("matmul", "mm", "bmm", "mv") else weight.shape[-2])
