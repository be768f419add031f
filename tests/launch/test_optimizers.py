"""Each optimizer is told of once, when it has been made entirely; those inside of others, and ours, are not."""

from __future__ import annotations

import copy
import types
from types import FrameType
from typing import Any

import pytest
import torch
from torch import nn

from steadygrad.launch.optimizers import tell_of_optimizers


class Watch:
    """A base class of optimizers of its own, so that torch's stays as it is; and what was told."""

    def __init__(self) -> None:
        class Base(torch.optim.Optimizer):
            def __init__(self, params: Any, defaults: Any) -> None:
                super().__init__(params, defaults)

            def step(self, closure: Any = None) -> None:
                """Nothing."""

        class Early(Base):
            def __init__(self, params: Any) -> None:
                super().__init__(params, {})
                self.entire = True

        self.told: list[Any] = []
        self.entire: list[bool] = []
        self.base: Any = Base
        self.early: Any = Early
        module: Any = types.SimpleNamespace(Optimizer=Base)
        tell_of_optimizers(module, self._tell)

    def _tell(self, optimizer: Any, frame: FrameType | None) -> None:
        assert frame is not None
        assert frame.f_code.co_filename == __file__
        self.told.append(optimizer)
        self.entire.append(getattr(optimizer, "entire", False))


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def parameters() -> list[nn.Parameter]:
    return list(nn.Linear(3, 2).parameters())


def test_one_of_a_class_that_was_there_before(watch: Watch, parameters: Any) -> None:
    made = watch.early(parameters)
    assert watch.told == [made]
    assert watch.entire == [True]


def test_one_of_a_class_made_later(watch: Watch, parameters: Any) -> None:
    class Late(watch.early):  # type: ignore[name-defined,misc]
        def __init__(self, params: Any) -> None:
            super().__init__(params)
            self.more = True

    made = Late(parameters)
    assert watch.told == [made]


def test_one_whose_making_fails_is_not_told_of(watch: Watch, parameters: Any) -> None:
    class Fails(watch.early):  # type: ignore[name-defined,misc]
        def __init__(self, params: Any) -> None:
            super().__init__(params)
            raise ValueError("after all")

    with pytest.raises(ValueError, match="after all"):
        Fails(parameters)
    assert watch.told == []
    made = watch.early(parameters)
    assert watch.told == [made]


def test_the_one_that_steps_all_parameters_for_another(watch: Watch, parameters: Any) -> None:
    class Twice(watch.base):  # type: ignore[name-defined,misc]
        def __init__(self, params: Any) -> None:
            super().__init__(params, {})
            self.inner = watch.early(self.param_groups[0]["params"])

    made = Twice(parameters)
    assert watch.told == [made.inner]


def test_the_whole_and_not_its_shards(watch: Watch, parameters: Any) -> None:
    class Sharded(watch.base):  # type: ignore[name-defined,misc]
        def __init__(self, params: Any) -> None:
            super().__init__(params, {})
            self.inner = [watch.early([p]) for p in self.param_groups[0]["params"]]

    made = Sharded(parameters)
    assert watch.told == [made]


def test_a_wrapper_that_shares_the_groups_of_another_is_not_told_of(watch: Watch, parameters: Any) -> None:
    class Wrapper(watch.base):  # type: ignore[name-defined,misc]
        def __init__(self, inner: Any) -> None:
            self.inner = inner
            self.param_groups = inner.param_groups

    inner = watch.early(parameters)
    Wrapper(inner)
    assert watch.told == [inner]


def test_a_copy_is_not_told_of(watch: Watch, parameters: Any) -> None:
    made = watch.early(parameters)
    copy.deepcopy(made)
    assert watch.told == [made]


def test_those_that_this_package_makes_are_not_told_of(watch: Watch, parameters: Any) -> None:
    from steadygrad.subject import optimizers

    made = optimizers.choose_optimizer(nn.Linear(3, 2), lambda _: watch.early(parameters))
    assert isinstance(made[0], watch.early)
    assert watch.told == []


def test_told_of_twice_is_told_of_once(watch: Watch, parameters: Any) -> None:
    module: Any = types.SimpleNamespace(Optimizer=watch.base)
    tell_of_optimizers(module, lambda *_: pytest.fail("the first stays"))
    made = watch.early(parameters)
    assert watch.told == [made]
