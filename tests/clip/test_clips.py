"""The laws that every clip keeps, and the gradients that it may meet."""

from __future__ import annotations

import copy
import inspect
import math
import random
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import steadygrad as sg
from steadygrad.clip import ClipBeforeStep, QuantileState, ZScoreState
from steadygrad.clip.value import untouched_below
from tests.clip.given import gradients, norm, parameters, same


def seasoned(state: QuantileState | ZScoreState) -> QuantileState | ZScoreState:
    """As after 50 steps of norms about 1."""
    for step in range(50):
        state.bound(1.0 + 0.1 * math.sin(step))
    return state


CLIPS: dict[str, Callable[[list[nn.Parameter]], object]] = {
    "value": lambda p: sg.clip_value_(p, -0.4, 0.7),
    "norm": lambda p: sg.clip_norm_(p, 1.0),
    "norm-inf": lambda p: sg.clip_norm_(p, 1.0, math.inf),
    "per-parameter": lambda p: sg.clip_per_parameter_(p, 1.0),
    "adaptive": lambda p: sg.clip_adaptive_(p, 0.1),
    "adaptive-whole": lambda p: sg.clip_adaptive_(p, 0.1, whole_vectors=True),
    "quantile": lambda p: sg.clip_quantile_(p, seasoned(QuantileState(0.5))),
    "zscore": lambda p: sg.clip_zscore_(p, seasoned(ZScoreState())),
}
EVERY = pytest.mark.parametrize("kind", CLIPS)


@EVERY
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_twice_is_once_and_no_norm_is_raised(kind: str, seed: int, scale: float) -> None:
    items = parameters(seed, scale=scale)
    before = gradients(items)
    CLIPS[kind](items)
    once = gradients(items)
    assert all(norm([a]) <= norm([b]) * (1 + 1e-6) for a, b in zip(once, before, strict=True))
    CLIPS[kind](items)
    for twice, one in zip(gradients(items), once, strict=True):
        torch.testing.assert_close(twice, one, rtol=3e-6, atol=0)


@EVERY
@given(seed=st.integers(0, 1000), scale=st.floats(1e-2, 1e2))
@settings(max_examples=25, deadline=None)
def test_the_order_of_parameters_does_not_matter(kind: str, seed: int, scale: float) -> None:
    dtypes = (torch.float32, torch.float64)
    items, mixed = parameters(seed, scale=scale, dtypes=dtypes), parameters(seed, scale=scale, dtypes=dtypes)
    CLIPS[kind](items)
    CLIPS[kind](random.Random(seed).sample(mixed, len(mixed)))
    for a, b in zip(gradients(items), gradients(mixed), strict=True):
        torch.testing.assert_close(a, b, rtol=3e-6, atol=0)


@EVERY
def test_small_gradients_are_left_alone(kind: str) -> None:
    items = parameters(0, scale=1e-6)
    before = gradients(items)
    CLIPS[kind](items)
    assert same(gradients(items), before)


@EVERY
def test_no_gradients_no_parameters_and_a_generator_of_none(kind: str) -> None:
    bare = nn.Parameter(torch.ones(3))
    for nothing in ([], [bare], iter([bare]), bare):
        CLIPS[kind](nothing)
    assert bare.grad is None


@EVERY
def test_one_tensor_a_generator_and_a_list_are_the_same(kind: str) -> None:
    results = []
    for given_as in (lambda p: p, lambda p: [p], lambda p: (one for one in [p])):
        (item,) = parameters(0, scale=10, shapes=((6, 4),))
        CLIPS[kind](given_as(item))
        results.append(item.grad)
    assert same(results[:1], results[1:2]) and same(results[:1], results[2:])


@EVERY
def test_an_empty_gradient_is_no_trouble(kind: str) -> None:
    items = parameters(0, scale=10, shapes=((0, 5), (4, 5), (0,), (3, 0)))
    CLIPS[kind](items)
    assert norm(gradients(items)) < norm(gradients(parameters(0, scale=10, shapes=((0, 5), (4, 5), (0,), (3, 0)))))


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.complex128], ids=str)
def test_halves_and_complex_numbers_keep_their_dtype_and_go_down(kind: str, dtype: torch.dtype) -> None:
    items = parameters(1, scale=30, dtypes=[dtype])
    before = gradients(items)
    CLIPS[kind](items)
    assert all(item.grad.dtype == dtype for item in items)
    assert norm(gradients(items)) < norm(before) / 2


@EVERY
def test_gradients_that_share_no_layout_with_their_parameter_are_clipped_in_place(kind: str) -> None:
    plain, turned = parameters(0, scale=10, shapes=((6, 4),)), parameters(0, scale=10, shapes=((6, 4),))
    turned[0].grad = turned[0].grad.t().contiguous().t()
    held = turned[0].grad
    CLIPS[kind](plain)
    CLIPS[kind](turned)
    assert turned[0].grad is held
    torch.testing.assert_close(held, plain[0].grad, rtol=1e-6, atol=0)


def sparse_and_dense(scale: float) -> tuple[nn.Parameter, nn.Parameter]:
    """The same gradient twice; the sparse one has a row in two pieces."""
    generator = torch.Generator().manual_seed(0)
    weight, values = torch.randn(10, 3, generator=generator), scale * torch.randn(4, 3, generator=generator)
    sparse, dense = nn.Parameter(weight.clone()), nn.Parameter(weight.clone())
    sparse.grad = torch.sparse_coo_tensor(torch.tensor([[1, 4, 1, 9]]), values, (10, 3), check_invariants=True)
    dense.grad = sparse.grad.to_dense()
    return sparse, dense


@EVERY
def test_a_sparse_gradient_is_clipped_as_the_dense_one(kind: str) -> None:
    sparse, dense = sparse_and_dense(10.0)
    others = [parameters(0), parameters(0)]
    CLIPS[kind]([sparse, *others[0]])
    CLIPS[kind]([dense, *others[1]])
    assert sparse.grad.is_sparse
    torch.testing.assert_close(sparse.grad.to_dense(), dense.grad, rtol=1e-6, atol=0)
    assert all(torch.allclose(a, b) for a, b in zip(gradients(others[0]), gradients(others[1]), strict=True))


@pytest.mark.parametrize("whole_vectors", [False, True])
def test_adaptive_takes_sparse_gradients_of_other_shapes(whole_vectors: bool) -> None:
    for shape, sparse_dim in (((6, 5), 2), ((6, 5, 2), 2), ((6, 5, 2), 1)):
        sparse, dense = parameters(0, shapes=(shape,)) + parameters(0, shapes=(shape,))
        dense.grad[2:4] = 0.0
        sparse.grad = dense.grad.to_sparse(sparse_dim)
        sg.clip_adaptive_([sparse], 0.1, whole_vectors=whole_vectors)
        sg.clip_adaptive_([dense], 0.1, whole_vectors=whole_vectors)
        torch.testing.assert_close(sparse.grad.to_dense(), dense.grad, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["value", "norm", "norm-inf", "per-parameter", "adaptive", "adaptive-whole"])
def test_a_device_other_than_the_cpu_is_never_read(kind: str) -> None:
    items = [nn.Parameter(torch.empty(shape, device="meta")) for shape in ((6, 5), (5,), (3, 2, 3, 3))]
    for item in items:
        item.grad = torch.empty_like(item)
    with pytest.raises(RuntimeError):  # a read would be noticed
        items[0].grad.sum().item()
    CLIPS[kind](items)


# There ``torch.nn.utils.clip_grad_norm_`` breaks the graph too: the compiler cannot read how torch groups tensors.
@pytest.mark.long
@pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="torch 2.6 cannot compile its own grouping of tensors")
@pytest.mark.parametrize("kind", ["value", "norm", "per-parameter"])
def test_it_compiles_without_a_break(kind: str) -> None:
    items = parameters(0, scale=10)
    expected = parameters(0, scale=10)
    CLIPS[kind](expected)
    torch.compile(lambda: CLIPS[kind](items), backend="eager", fullgraph=True)()
    for a, b in zip(gradients(items), gradients(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=0)


@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(0, 3), st.sampled_from([(7, 5), (400, 400)]))
@settings(max_examples=40, deadline=None)
def test_any_interval_is_a_clamp(seed: int, low: float, width: float, shape: tuple[int, int]) -> None:
    items = parameters(seed, shapes=[shape, (5,)])
    before = gradients(items)
    sg.clip_value_(items, low, low + width)
    once = gradients(items)
    assert same(once, [old.clamp(low, low + width) for old in before])
    sg.clip_value_(items, low, low + width)
    assert same(gradients(items), once)


def test_an_interval_may_be_open_on_a_side_and_nan_stays() -> None:
    items = parameters(0)
    items[0].grad[0, 0], items[0].grad[0, 1] = math.nan, math.inf
    before = gradients(items)
    sg.clip_value_(items, -math.inf, 0.5)
    assert same(gradients(items), [old.clamp(max=0.5) for old in before])


@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(0, 3), st.floats(1e-3, 10))
@settings(max_examples=60, deadline=None)
def test_under_its_bound_on_the_norm_no_element_lies_outside(seed: int, low: float, width: float, scale: float) -> None:
    high = low + width
    for gradient in gradients(parameters(seed, scale=scale)):
        if float(gradient.norm()) < untouched_below(low, high):
            assert torch.equal(gradient, gradient.clamp(low, high))


def test_complex_gradients_are_clamped_by_real_and_imaginary_part() -> None:
    (item,) = parameters(0, scale=3, shapes=((200, 200),), dtypes=[torch.complex64])
    before = item.grad.clone()
    sg.clip_value_(item, -1, 2)
    assert torch.equal(item.grad, torch.complex(before.real.clamp(-1, 2), before.imag.clamp(-1, 2)))


def test_adaptive_keeps_what_is_not_finite_within_its_unit() -> None:
    items = parameters(0, shapes=((4, 3),))
    items[0].grad[1, 2], items[0].grad[2, 0] = math.nan, math.inf
    sg.clip_adaptive_(items, 0.1)
    gradient = items[0].grad
    assert bool(gradient[[0, 3]].isfinite().all()) and bool(gradient[1].isnan().all())
    assert gradient[2].nan_to_num().tolist() == [0, 0, 0] and bool(gradient[2, 0].isnan())


NONSENSE = {
    "low above high": lambda p: sg.clip_value_(p, 1, -1),
    "low is NaN": lambda p: sg.clip_value_(p, math.nan, 1),
    "high is text": lambda p: sg.clip_value_(p, -1, "1"),
    "negative norm": lambda p: sg.clip_norm_(p, -1),
    "norm is NaN": lambda p: sg.clip_norm_(p, math.nan),
    "norm of order 3": lambda p: sg.clip_norm_(p, 1, 3),
    "no norm": lambda p: sg.clip_norm_(p, None),
    "negative norm of each": lambda p: sg.clip_per_parameter_(p, -1),
    "ratio 0": lambda p: sg.clip_adaptive_(p, 0),
    "epsilon below 0": lambda p: sg.clip_adaptive_(p, 0.1, -1),
    "share 2": lambda p: sg.clip_quantile_(p, QuantileState(2)),
    "window 0": lambda p: sg.clip_quantile_(p, QuantileState(0.9, window=0)),
    "score 0": lambda p: sg.clip_zscore_(p, ZScoreState(0)),
    "alpha 2": lambda p: sg.clip_zscore_(p, ZScoreState(alpha=2)),
    "no warm-up": lambda p: sg.clip_zscore_(p, ZScoreState(warm_up=0)),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_numbers_that_make_no_sense_are_refused_in_one_sentence(case: str) -> None:
    items = parameters(0)
    before = gradients(items)
    with pytest.raises(ValueError, match="expected") as caught:
        NONSENSE[case](items)
    assert isinstance(caught.value, sg.SteadygradError) and "\n" not in str(caught.value)
    assert same(gradients(items), before)


HOOKED = [
    sg.Clip.value(-0.1, 0.2),
    sg.Clip.norm(0.1),
    sg.Clip.norm(0.1, math.inf),
    sg.Clip.per_parameter(0.1),
    sg.Clip.adaptive(0.01),
    sg.Clip.quantile(0.5),
    sg.Clip.zscore(1.0),
]


@pytest.mark.parametrize("clip", HOOKED, ids=str)
def test_a_hooked_clip_acts_before_the_step(clip: sg.Clip) -> None:
    layer = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    hook = ClipBeforeStep(clip)
    if hook.state is not None:
        seasoned(hook.state)
    optimizer.register_step_pre_hook(hook)
    plain = copy.deepcopy(layer)
    (100 * layer(torch.ones(2, 4)).square().sum()).backward()
    optimizer.step()
    (100 * plain(torch.ones(2, 4)).square().sum()).backward()
    moved = [b.detach() - a.detach() for a, b in zip(layer.parameters(), plain.parameters(), strict=True)]
    assert all(norm([m]) < norm([p.grad]) / 2 for m, p in zip(moved, plain.parameters(), strict=True))


DIRECT: dict[sg.Clip, Callable[[list[nn.Parameter]], object]] = {
    sg.Clip.value(-0.1, 0.2): lambda p: sg.clip_value_(p, -0.1, 0.2),
    sg.Clip.norm(0.1): lambda p: torch.nn.utils.clip_grad_norm_(p, 0.1),
    sg.Clip.norm(0.1, math.inf): lambda p: torch.nn.utils.clip_grad_norm_(p, 0.1, math.inf),
    sg.Clip.per_parameter(0.1): lambda p: [torch.nn.utils.clip_grad_norm_([one], 0.1) for one in p],
    sg.Clip.adaptive(0.01): lambda p: sg.clip_adaptive_(p, 0.01),
}


@pytest.mark.parametrize("clip", DIRECT, ids=str)
def test_a_hooked_clip_is_the_clip_of_its_name(clip: sg.Clip) -> None:
    hooked, direct = parameters(0, scale=10), parameters(0, scale=10)
    ClipBeforeStep(clip)(torch.optim.SGD(hooked), (), {})
    DIRECT[clip](direct)
    assert same(gradients(hooked), gradients(direct))


@EVERY
def test_nothing_is_warned_of(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CLIPS[kind](parameters(0, scale=10, dtypes=[torch.float32, torch.complex64, torch.bfloat16]))


@pytest.mark.parametrize(
    ("state", "settings"),
    [(QuantileState(), ("share", "window")), (ZScoreState(), ("z", "alpha", "warm_up"))],
    ids=["quantile", "z-score"],
)
def test_a_state_takes_its_settings_alone_and_prints_no_lists(
    state: QuantileState | ZScoreState, settings: tuple[str, ...]
) -> None:
    assert tuple(inspect.signature(type(state)).parameters) == settings
    for _ in range(30):
        state.bound(0.125)
    assert "[" not in repr(state) and "deque" not in repr(state)


def test_by_default_elements_are_clipped_to_one_on_either_side() -> None:
    weight = torch.nn.Parameter(torch.zeros(4))
    weight.grad = torch.tensor([-3.0, -0.5, 1.5, 3.0])
    sg.clip_value_([weight])
    assert weight.grad.tolist() == [-1.0, -0.5, 1.0, 1.0]
