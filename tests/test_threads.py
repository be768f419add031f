"""What is replaced in torch while something is measured is replaced for the measuring thread alone."""

from __future__ import annotations

import contextlib
import io
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import steadygrad as sg
from steadygrad.copies.randomness import same_randomness
from steadygrad.cures.surgery.by_call import reroute
from steadygrad.cures.surgery.weights import visit
from steadygrad.cures.surgery.wire import Wire
from steadygrad.record import CheckRecord, Site
from steadygrad.source.spans import construction_of, recording_constructions
from steadygrad.subject.dry_run import attempts
from steadygrad.torch_internals.compiling import uncompiled
from steadygrad.torch_internals.replacing import replaced
from steadygrad.torch_internals.tracing import trace_in_this_thread

WIDTH = 8


class Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x / 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] / 2


class Block(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return Halved.apply(x) + self.activation(self.norm(self.layer(x)))  # type: ignore[no-any-return]


def model(activation: Callable[[Tensor], Tensor] = torch.tanh) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*(Block(activation) for _ in range(20)), nn.Linear(WIDTH, 3))


def checked(net: nn.Module) -> CheckRecord:
    generator = torch.Generator().manual_seed(1)
    batch = (torch.randn(8, WIDTH, generator=generator), torch.arange(8) % 3)
    return sg.check(net, batch, F.cross_entropy, optimizer=torch.optim.SGD(net.parameters(), lr=1e-2), trial=2)


def trace_of(report: CheckRecord) -> list[Any]:
    return [
        (o.name, o.module, o.module_type, o.call, o.construction, o.output_shape, o.parents)
        for o in report.trace.operations
    ]


class Elsewhere(nn.Module):
    """What the other threads run: modules, parameters made of results, custom functions."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        nn.Parameter(self.foreign(x))
        return Halved.apply(self.foreign(x))  # type: ignore[no-any-return]


@contextmanager
def running(*works: Callable[[], object]) -> Iterator[None]:
    """Each of ``works`` again and again in a thread of its own; what one raises fails the test."""
    over = threading.Event()
    begun = [threading.Event() for _ in works]
    raised: list[BaseException] = []

    def work(number: int) -> None:
        try:
            while not over.is_set():
                works[number]()
                begun[number].set()
        except BaseException as error:
            raised.append(error)
            begun[number].set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(works))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    for thread in threads:
        thread.start()
    try:
        for event in begun:
            event.wait()
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not raised, raised[0]


def together(*works: Callable[[], Any]) -> list[Any]:
    """What each gives, all run at once."""
    given: list[Any] = [None] * len(works)
    ready = threading.Barrier(len(works))

    def work(number: int) -> None:
        ready.wait()
        given[number] = works[number]()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given


def functions() -> tuple[object, ...]:
    return (
        vars(nn.Module)["__call__"],
        vars(nn.Module)["__init__"],
        vars(nn.Module)["__getattr__"],
        vars(torch.autograd.Function)["apply"],
        vars(nn.Parameter)["__new__"],
        sys.stdout,
        list(warnings.filters),
    )


@pytest.mark.long
def test_a_probe_beside_threads_that_run_modules_is_the_probe_made_alone() -> None:
    net, elsewhere, x = model(), Elsewhere(), torch.randn(4, WIDTH)
    alone, before = checked(net), functions()
    with running(lambda: elsewhere(x), lambda: elsewhere(x)):
        beside = checked(net)
    assert trace_of(beside) == trace_of(alone)
    assert beside.trace.cuts == alone.trace.cuts
    assert beside.verdict is alone.verdict
    assert functions() == before


def test_two_probes_at_once_are_those_made_alone() -> None:
    nets = [model(torch.tanh), model(torch.sigmoid)]
    alone, before = [checked(net) for net in nets], functions()
    both = together(*(lambda net=net: checked(net) for net in nets))
    assert [trace_of(report) for report in both] == [trace_of(report) for report in alone]
    assert [report.trial for report in both] == [report.trial for report in alone]
    assert functions() == before


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_each_thread_has_its_own_replacement_whatever_ends_first(first_to_end: int) -> None:
    before = functions()
    entered, ends = threading.Barrier(3), [threading.Event(), threading.Event()]
    said: list[list[str]] = [[], []]

    def work(number: int) -> None:
        def called(original: Any, module: nn.Module, *args: Any) -> Any:
            said[number].append(type(module).__name__)
            return original(module, *args)

        with replaced(nn.Module, "__call__", called):
            entered.wait()
            (nn.Tanh(), nn.ReLU())[number](torch.zeros(1))
            ends[number].wait()
            (nn.Tanh(), nn.ReLU())[number](torch.zeros(1))

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    entered.wait()
    nn.Sigmoid()(torch.zeros(1))
    for number in (first_to_end, 1 - first_to_end):
        ends[number].set()
        threads[number].join()
    assert said == [["Tanh"] * 2, ["ReLU"] * 2]
    assert functions() == before


def test_what_somebody_puts_over_a_replacement_stays_and_calls_the_original() -> None:
    original, said = nn.Module.__call__, []

    def called(beneath: Any, *args: Any) -> Any:
        said.append("ours")
        return beneath(*args)

    with replaced(nn.Module, "__call__", called):
        covered: Any = nn.Module.__call__

        def theirs(module: nn.Module, *args: Any) -> Any:
            said.append("theirs")
            return covered(module, *args)

        nn.Module.__call__ = theirs  # type: ignore[method-assign]
    try:
        assert nn.Module.__call__ is theirs
        nn.Tanh()(torch.zeros(1))
        assert said == ["theirs"]
        with replaced(nn.Module, "__call__", called):
            nn.Tanh()(torch.zeros(1))
        assert said == ["theirs", "ours", "theirs"]
    finally:
        nn.Module.__call__ = covered
    with replaced(nn.Module, "__call__", called):
        pass
    assert nn.Module.__call__ is original


def test_only_this_threads_constructions_are_remembered() -> None:
    made: list[nn.Module] = []
    with recording_constructions():
        here = nn.Linear(1, 1)
        together(lambda: made.append(nn.Linear(1, 1)))
    assert construction_of(here) is not None
    assert construction_of(made[0]) is None


def test_calls_are_rerouted_in_their_own_thread() -> None:
    begun, over = threading.Event(), threading.Event()

    class Lasting(nn.Module):
        def forward(self) -> None:
            begun.set()
            over.wait()

    class Waiting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            thread.start()
            begun.wait()
            try:
                return torch.tanh(x)
            finally:
                over.set()
                thread.join()

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Waiting()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)  # type: ignore[no-any-return]

    net, thread = Outer(), threading.Thread(target=Lasting())
    reroute(net, [Wire("after", Site("inner", "tanh", 0), nn.Hardtanh(-0.01, 0.01))])
    assert float(net(torch.ones(4, WIDTH)).max()) < 0.011


def test_a_trace_of_fx_beside_threads_that_run_modules() -> None:
    net, elsewhere, x = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(30))), Elsewhere(), torch.randn(4, WIDTH)
    alone, before = fx.Tracer().trace(net).python_code("self").src, functions()
    with running(lambda: elsewhere(x), lambda: elsewhere(x)):
        codes = [trace_in_this_thread(fx.Tracer(), net).python_code("self").src for _ in range(5)]
    assert codes == [alone] * 5
    two = together(*(lambda: trace_in_this_thread(fx.Tracer(), net).python_code("self").src for _ in range(2)))
    assert two == [alone] * 2
    assert functions() == before


def test_a_parametrised_weight_is_kept_for_the_visiting_thread_alone() -> None:
    visited = nn.Sequential(parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)))
    trained = parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH))
    weights: list[Tensor] = []
    visit(
        visited,
        lambda net: net(torch.zeros(1, WIDTH)),
        lambda _: together(*[lambda: weights.extend((trained.weight, trained.weight))]),
    )
    assert weights[0] is not weights[1]


def test_a_compiled_function_of_another_thread_stays_compiled() -> None:
    compiled: list[str] = []

    def backend(graph: fx.GraphModule, _: Any) -> Any:
        compiled.append(threading.current_thread().name)
        return graph.forward

    function = torch.compile(lambda x: x.sin() + 1, backend=backend, fullgraph=True)
    with uncompiled():
        function(torch.zeros(3))
        assert not compiled
        together(lambda: function(torch.zeros(3)))
        assert len(compiled) == 1
    torch.compiler.reset()


def test_a_module_is_compiled_in_another_thread_during_a_probe() -> None:
    net, x = Elsewhere(), torch.randn(4, WIDTH)
    layer = torch.compile(nn.Sequential(net.foreign, nn.Tanh()), backend="eager", fullgraph=True)
    expected = torch.tanh(net.foreign(x))

    def called(original: Any, *args: Any) -> Any:
        return original(*args)

    with replaced(nn.Module, "__call__", called):
        given: Any = together(lambda: layer(x))[0]
    assert given is not None and torch.equal(given, expected)
    torch.compiler.reset()


def test_only_this_thread_falls_silent_whatever_ends_first() -> None:
    heard = io.StringIO()
    ends = [threading.Event(), threading.Event()]
    started = threading.Barrier(3)

    class Loud(nn.Module):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def forward(self, x: Tensor) -> Tensor:
            started.wait()
            print("nobody hears this")  # noqa: T201
            warnings.warn("nor this", stacklevel=1)
            ends[self.number].wait()
            return x

        def __deepcopy__(self, memo: Any) -> Loud:
            return Loud(self.number)

    def attempt(number: int) -> None:
        with attempts(Loud(number), 0) as tries:
            tries(torch.zeros(1))

    with contextlib.redirect_stdout(heard), warnings.catch_warnings(record=True, action="always") as warned:
        before = functions()
        threads = [threading.Thread(target=attempt, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        started.wait()
        print("heard")  # noqa: T201
        warnings.warn("seen", stacklevel=1)
        for end, thread in zip(ends, threads, strict=True):
            end.set()
            thread.join()
        assert functions() == before
    assert heard.getvalue() == "heard\n"
    assert [str(one.message) for one in warned] == ["seen"]


def test_random_states_are_what_they_were_whatever_ends_first() -> None:
    before = (torch.get_rng_state(), random.getstate())
    first, second = ExitStack(), ExitStack()
    first.enter_context(same_randomness())
    torch.rand(1), random.random()
    together(lambda: second.enter_context(same_randomness()))
    torch.rand(1), random.random()
    first.close()
    torch.rand(1), random.random()
    second.close()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
