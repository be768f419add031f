"""Layers whose forward reaches its weights by a way around the module tree, as models in the field do. Each is one way."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 6

REGISTRY: dict[int, Any] = {}
"""Outside of every model: what is reached through it cannot be made the copy's."""


class Way(nn.Module):
    """A layer that runs ``self.fc``, and in ``call`` says by which way."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.call(x))  # type: ignore[no-any-return, operator]


class OverContainer(Way):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.ModuleDict({"up": nn.Linear(WIDTH, WIDTH), "down": self.fc})
        m = self.mlp
        self.call = lambda x: m["down"](F.gelu(m["up"](x)))


class OverLayer(Way):
    def __init__(self) -> None:
        super().__init__()
        fc = self.fc
        self.call = lambda x: fc(x)


class OverSelf(Way):
    def __init__(self) -> None:
        super().__init__()

        def call(x: Tensor) -> Tensor:
            return self.fc(x)  # type: ignore[no-any-return]

        self.call = call


class OverWeight(Way):
    def __init__(self) -> None:
        super().__init__()
        w, b = self.fc.weight, self.fc.bias
        self.call = lambda x: F.linear(x, w, b)


class ByDefault(Way):
    def __init__(self) -> None:
        super().__init__()
        self.call = lambda x, fc=self.fc: fc(x)


class ByKeyword(Way):
    def __init__(self) -> None:
        super().__init__()

        def call(x: Tensor, *, fc: nn.Module = self.fc) -> Tensor:
            return fc(x)  # type: ignore[no-any-return]

        self.call = call


class Nested(Way):
    def __init__(self) -> None:
        super().__init__()
        fc = self.fc

        def outer(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
            return lambda x: function(x) * 0.9

        self.steps = {"all": [(outer(outer(lambda x: fc(x))), 1.0)]}

    def call(self, x: Tensor) -> Tensor:
        for step, factor in self.steps["all"]:
            x = step(x) * factor
        return x


class Recursive(Way):
    def __init__(self) -> None:
        super().__init__()
        fc = self.fc

        def call(x: Tensor, times: int = 2) -> Tensor:
            return fc(x) if times == 0 else call(x, times - 1)

        self.call = call


class Partial(Way):
    def __init__(self) -> None:
        super().__init__()
        fc = self.fc
        self.call = functools.partial(functools.partial(lambda x, factor: fc(x) * factor), factor=0.9)


class PartialInClosure(Way):
    def __init__(self) -> None:
        super().__init__()
        linear = functools.partial(F.linear, weight=self.fc.weight, bias=self.fc.bias)
        self.call = lambda x: linear(x)


class BoundMethod(Way):
    def __init__(self) -> None:
        super().__init__()
        self.call = self.fc.forward


class BoundInClosure(Way):
    def __init__(self) -> None:
        super().__init__()
        forward = self.fc.forward
        self.call = lambda x: forward(x)


class BoundBuiltin(Way):
    def __init__(self) -> None:
        super().__init__()
        self.times = self.fc.weight.matmul

    def call(self, x: Tensor) -> Tensor:
        return self.times(x.T).T + self.fc.bias  # type: ignore[no-any-return]


class WeakReference(Way):
    def __init__(self) -> None:
        super().__init__()
        self.ref = weakref.ref(self.fc)

    def call(self, x: Tensor) -> Tensor:
        return self.ref()(x)  # type: ignore[no-any-return, misc]


class WeakProxy(Way):
    def __init__(self) -> None:
        super().__init__()
        # Not an attribute by itself: torch would take it for a layer.
        self.proxies = [weakref.proxy(self), weakref.proxy(self.fc)]

    def call(self, x: Tensor) -> Tensor:
        return self.proxies[1](self.proxies[0].fc(x))  # type: ignore[no-any-return]


class WeakMethod(Way):
    def __init__(self) -> None:
        super().__init__()
        self.ref = weakref.WeakMethod(self.fc.forward)

    def call(self, x: Tensor) -> Tensor:
        return self.ref()(x)  # type: ignore[no-any-return, misc]


class WeakValues(Way):
    def __init__(self) -> None:
        super().__init__()
        self.all = weakref.WeakValueDictionary({"fc": self.fc})
        self.keys = weakref.WeakKeyDictionary({self.fc: "fc"})
        self.set = weakref.WeakSet([self.fc])

    def call(self, x: Tensor) -> Tensor:
        (key,), (one,) = self.keys, self.set
        return self.all["fc"](key(one(x)))  # type: ignore[no-any-return]


class Hook(Way):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(WIDTH, WIDTH)
        other, seen = self.other, []

        def after(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            seen.append(len(seen))
            return other(output) / len(seen)  # type: ignore[no-any-return]

        self.fc.register_forward_hook(after)
        self.call = self.fc


class Cached(Way):
    def __init__(self) -> None:
        super().__init__()
        fc = self.fc
        self.layer = functools.lru_cache(lambda: fc)

    def call(self, x: Tensor) -> Tensor:
        return self.layer()(x)  # type: ignore[no-any-return]


class Counting(Way):
    """Changes what only its closure knows, so that a mark left there changes what it computes."""

    def __init__(self) -> None:
        super().__init__()
        fc, calls, seen = self.fc, 0, []

        def call(x: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            seen.append(calls)
            return fc(x) / (calls + len(seen))  # type: ignore[no-any-return]

        self.call = call


class Slotted:
    __slots__ = ("layer",)

    def __init__(self, layer: Any) -> None:
        self.layer = layer


class InObject(Way):
    def __init__(self) -> None:
        super().__init__()
        fc, holder = self.fc, Slotted(self.fc)
        self.holder = Slotted(lambda x: fc(x) + holder.layer(x))

    def call(self, x: Tensor) -> Tensor:
        return self.holder.layer(x)  # type: ignore[no-any-return]


class Unregistered(Way):
    """A layer that no module knows: it is trained by nobody, and still keeps its statistics."""

    def __init__(self) -> None:
        super().__init__()
        norm, fc = nn.BatchNorm1d(WIDTH), self.fc
        self.call = lambda x: fc(norm(x))


class InRegistry(Way):
    def __init__(self) -> None:
        super().__init__()
        REGISTRY[0] = self.fc

    def call(self, x: Tensor) -> Tensor:
        return REGISTRY[0](x)  # type: ignore[no-any-return]


class ClassCache(Way):
    weights: ClassVar[dict[str, Tensor]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.weights["fc"] = self.fc.weight

    def call(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weights["fc"], self.fc.bias)


class CachedAlias(Way):
    """Reads the weights' memory by a tensor of its own, of which autograd knows nothing."""

    def __init__(self) -> None:
        super().__init__()
        REGISTRY[1] = self.fc.weight.detach()

    def call(self, x: Tensor) -> Tensor:
        return F.linear(x, REGISTRY[1], self.fc.bias)


class Prepared(Way):
    """Has computed with the weights before, and keeps the result with its graph."""

    def __init__(self) -> None:
        super().__init__()
        REGISTRY[2] = self.fc.weight * 0.9

    def call(self, x: Tensor) -> Tensor:
        return F.linear(x, REGISTRY[2] + 0.0, self.fc.bias)


class NotCopied(nn.Linear):
    def __deepcopy__(self, memo: dict[int, Any]) -> NotCopied:
        return self


class SelfReturning(Way):
    def __init__(self) -> None:
        super().__init__()
        self.call = NotCopied(WIDTH, WIDTH)


REBOUND: tuple[type[Way], ...] = (
    OverContainer,
    OverLayer,
    OverSelf,
    OverWeight,
    ByDefault,
    ByKeyword,
    Nested,
    Recursive,
    Partial,
    PartialInClosure,
    BoundMethod,
    BoundInClosure,
    BoundBuiltin,
    WeakReference,
    WeakProxy,
    WeakMethod,
    WeakValues,
    Hook,
    Cached,
    Counting,
    InObject,
    Unregistered,
)
REFUSED: tuple[type[Way], ...] = (InRegistry, ClassCache, CachedAlias, Prepared)
