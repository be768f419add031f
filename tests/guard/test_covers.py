"""What a guard puts over functions of torch's: it goes with the last guard, and what it stands for stays the same to the bit."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm
from torch.utils.checkpoint import checkpoint

import steadygrad
from tests.guard.runs import Net, batch

PLACES: tuple[tuple[Any, str], ...] = (
    (torch.autograd, "backward"),
    (torch.amp.GradScaler, "scale"),
    (torch.nn.utils.clip_grad, "_get_total_norm"),
    (torch.nn.utils.clip_grad, "_clip_grads_with_norm_"),
    (torch.nn.utils.clip_grad, "_group_tensors_by_device_and_dtype"),
    (torch.nn.utils, "get_total_norm"),
    (torch.nn.utils, "clip_grads_with_norm_"),
    (nn.Module, "__call__"),
)


def standing() -> list[Any]:
    return [getattr(home, name) for home, name in PLACES]


@pytest.fixture(autouse=True)
def originals() -> Iterator[list[Any]]:
    gc.collect()  # Guards of other tests.
    before = standing()
    assert not any(hasattr(one, "__wrapped__") and "steadygrad" in one.__code__.co_filename for one in before)
    yield before
    gc.collect()
    assert standing() == before


def guarded(model: nn.Module | None = None, **options: Any) -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    model = Net() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return model, optimizer, steadygrad.guard(model, optimizer, probe_every=0, quiet=True, **options)


def test_the_last_guard_to_detach_takes_them_along(originals: list[Any]) -> None:
    (_, _, first), (_, _, second) = guarded(), guarded()
    covered = standing()
    assert all(now is not before for now, before in zip(covered, originals, strict=True))
    first.detach()
    assert standing() == covered
    second.detach()
    assert standing() == originals


@pytest.mark.long
def test_they_go_with_guards_that_are_collected(originals: list[Any]) -> None:
    held = guarded()
    assert standing() != originals
    del held
    gc.collect()
    assert standing() == originals


@pytest.mark.long
def test_somebody_else_covers_them_meanwhile(originals: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a cover of somebody's, ours stays and does nothing; the next guard is put on top."""
    calls: list[str] = []

    def over(name: str, covered: Any) -> Any:
        def theirs(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return covered(*args, **kwargs)

        return theirs

    model, optimizer, guard = guarded()
    with monkeypatch.context() as patch:
        for home, name in (*PLACES[:5], PLACES[-1]):
            patch.setattr(home, name, over(name, getattr(home, name)))
        guard.detach()
        for _ in range(2):
            model, optimizer, guard = guarded()
            total = _step(model, optimizer)
            assert torch.isfinite(total)
            assert guard.optimizers[0].watch.clip_steps == 1
            guard.detach()
        assert set(calls) >= {"backward", "_clip_grads_with_norm_"}
    for (home, name), original in zip(PLACES, originals, strict=True):
        setattr(home, name, original)  # What stayed below is what they put back.


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, bound: float = 0.1) -> Tensor:
    optimizer.zero_grad()
    model(torch.randn(4, 24), torch.arange(4)).square().sum().backward()
    total = clip_grad_norm_(model.parameters(), bound)
    optimizer.step()
    return total


@pytest.mark.long
def test_a_checkpoint_with_re_entry_is_one_backward_pass() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    _, optimizer, guard = guarded(model)
    watch = guard.optimizers[0].watch
    for _ in range(3):
        optimizer.zero_grad()
        x = torch.randn(4, 8, requires_grad=True)
        inner: Any = checkpoint(model[:2], x, use_reentrant=True)
        model[2](inner).sum().backward()
        assert watch._backwards == 1
        optimizer.step()
    guard.detach()


@pytest.mark.long
def test_a_clip_of_a_model_that_is_not_guarded_is_torch_s_own() -> None:
    def clipped(with_guard: bool) -> list[Tensor]:
        torch.manual_seed(0)
        guard = None
        if with_guard:
            model, optimizer, guard = guarded()
            _step(model, optimizer)
        torch.manual_seed(1)
        other = nn.Linear(64, 64)
        other(torch.randn(8, 64)).square().sum().backward()
        totals = [clip_grad_norm_(other.parameters(), bound) for bound in (0.3, 1e9)]
        torch.nn.utils.clip_grad_value_(other.parameters(), 1e-3)
        if guard is not None:
            assert guard.optimizers[0].watch.clip_steps == 1
            guard.detach()
        return [*totals, *(p.grad for p in other.parameters() if p.grad is not None)]

    assert all(torch.equal(a, b) for a, b in zip(clipped(True), clipped(False), strict=True))


SHAPES = st.lists(st.integers(0, 9), max_size=3).map(tuple)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])


@pytest.mark.long
@settings(max_examples=100, deadline=None)
@given(
    shapes=st.lists(SHAPES, min_size=1, max_size=6),
    kinds=st.one_of(DTYPES.map(lambda one: [one] * 6), st.lists(DTYPES, min_size=6, max_size=6)),
    absent=st.sets(st.integers(0, 5), max_size=3),
    order=st.permutations(range(6)),
    left_out=st.sets(st.integers(0, 5), max_size=3),
    size=st.sampled_from([1e-42, 1e-6, 1.0, 1e6, 1e30]),
    bound=st.sampled_from([1e-3, 1.0, 1e3, 1e38]),
    norm_type=st.sampled_from([2.0, 2.0, 2, 1.0, math.inf]),
    raising=st.booleans(),
    spoilt=st.sampled_from([None, None, None, math.nan, math.inf]),
    strided=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_a_clip_gives_the_same_bits(
    shapes: list[tuple[int, ...]],
    kinds: list[torch.dtype],
    absent: set[int],
    order: list[int],
    left_out: set[int],
    size: float,
    bound: float,
    norm_type: float,
    raising: bool,
    spoilt: float | None,
    strided: bool,
    seed: int,
) -> None:
    def clipped(with_guard: bool) -> list[Any]:
        torch.manual_seed(seed)
        parameters = [nn.Parameter(torch.zeros(s, dtype=k)) for s, k in zip(shapes, kinds, strict=False)]
        given = [torch.randn(p.shape, dtype=torch.float64).mul(size).to(p.dtype) for p in parameters]
        if spoilt is not None and given[0].numel():
            given[0].view(-1)[0] = spoilt
        if strided:
            given = [one.mT.contiguous().mT if one.dim() > 1 else one for one in given]
        guard = None
        model = nn.ParameterList(parameters)
        if with_guard:
            guard = steadygrad.guard(model, torch.optim.SGD(parameters, lr=0.1), probe_every=0, quiet=True)
        losses = [
            (p * g).sum().double() for at, (p, g) in enumerate(zip(parameters, given, strict=True)) if at not in absent
        ]
        if losses:
            torch.stack(losses).sum().backward()
        for p, g in zip(parameters, given, strict=True):
            if p.grad is not None and guard is None:
                assert torch.equal(p.grad.nan_to_num(), g.nan_to_num())
        asked = [parameters[at] for at in order if at < len(parameters) and at not in left_out]
        found: list[Any] = []
        try:
            found.append(clip_grad_norm_(asked, bound, norm_type, error_if_nonfinite=raising))
        except RuntimeError as error:
            found.append(str(error))
        found += [p.grad for p in parameters]
        if guard is not None:
            assert not guard.optimizers[0].off
            guard.detach()
        return found

    for mine, torchs in zip(clipped(True), clipped(False), strict=True):
        assert type(mine) is type(torchs)
        if isinstance(mine, Tensor):
            assert mine.dtype == torchs.dtype and mine.shape == torchs.shape
            bits = [one.detach().contiguous().view(-1).view(torch.uint8) for one in (mine, torchs)]
            assert torch.equal(*bits)
        else:
            assert mine == torchs


def clip_by_norm(model: nn.Module) -> list[Tensor]:
    return [clip_grad_norm_(model.parameters(), 0.5), clip_grad_norm_(model.parameters(), 0.4)]


def clip_all_and_a_part(model: nn.Module) -> list[Tensor]:
    return [clip_grad_norm_(model.parameters(), 0.5), clip_grad_norm_(model.get_submodule("head").parameters(), 0.1)]


def clip_a_part_and_all(model: nn.Module) -> list[Tensor]:
    return [clip_grad_norm_(model.get_submodule("head").parameters(), 0.1), clip_grad_norm_(model.parameters(), 0.5)]


def clip_by_value_and_norm(model: nn.Module) -> list[Tensor]:
    torch.nn.utils.clip_grad_value_(model.parameters(), 0.01)
    return [clip_grad_norm_(model.parameters(), 0.05)]


def norm_after_the_clip(model: nn.Module) -> list[Tensor]:
    clip_grad_norm_(model.parameters(), 0.5)
    return [torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])]


def unseen_writes(model: nn.Module) -> list[Tensor]:
    """As loops do that average over processes by hand."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.data.mul_(0.5)
    return [clip_grad_norm_(model.parameters(), 0.1)]


def unseen_writes_by_numpy(model: nn.Module) -> list[Tensor]:
    last = [p.grad for p in model.parameters() if p.grad is not None][-1]
    last.numpy()[...] *= 3.0
    return [clip_grad_norm_(model.parameters(), 0.1)]


def other_tensors_in_their_place(model: nn.Module) -> list[Tensor]:
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.data = 0.5 * parameter.grad.data
    return [clip_grad_norm_(model.parameters(), 0.1)]


def mended_where_not_finite(model: nn.Module) -> list[Tensor]:
    """A NaN in a gradient, in rare steps, that the program takes away before it clips."""
    first = next(p.grad for p in model.parameters() if p.grad is not None)
    if float(first.detach().abs().sum()) * 1e4 % 3 < 1:
        first.data.view(-1)[0] = torch.nan
    get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    for parameter in model.parameters():
        if parameter.grad is not None:
            torch.nan_to_num(parameter.grad.data, out=parameter.grad.data)
    return [clip_grad_norm_(model.parameters(), 0.1)]


@pytest.mark.parametrize(
    "clip",
    [
        unseen_writes,
        unseen_writes_by_numpy,
        other_tensors_in_their_place,
        mended_where_not_finite,
        clip_by_norm,
        clip_all_and_a_part,
        clip_a_part_and_all,
        clip_by_value_and_norm,
        norm_after_the_clip,
    ],
)
@pytest.mark.long
@pytest.mark.parametrize("every", [1, 3])
def test_what_comes_after_a_clip_finds_gradients_as_it_left_them(clip: Any, every: int) -> None:
    """Norms that were read before a clip are not handed to the next one."""

    def trained(watched: bool) -> list[Any]:
        torch.manual_seed(0)
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        guard = steadygrad.guard(model, optimizer, probe_every=0, every=every, quiet=True) if watched else None
        found = []
        for step in range(12):
            x, token, y = batch(step)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x, token), y).backward()
            found += [one.item() for one in clip(model)]
            optimizer.step()
        if guard is not None:
            guard.detach()
        return [found, *(p.detach().clone() for p in model.parameters())]

    bare, watched = trained(False), trained(True)
    assert bare[0] == watched[0]
    assert all(torch.equal(a, b) for a, b in zip(bare[1:], watched[1:], strict=True))
