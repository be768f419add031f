"""A few thousand elements say of an activation what all of it says, however the samples were folded into its rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import steadygrad as sg
from steadygrad.probe.layout import FIRST, Layout, by_shape, follow
from steadygrad.probe.run_probe import probe
from steadygrad.probe.sampling import FEWEST, MOST, take


def biased(layer: nn.Module) -> nn.Module:
    """Units that differ: some always on, some rarely, one in eight never."""
    with torch.no_grad():
        bias = layer.bias
        assert isinstance(bias, Tensor)
        bias.copy_(torch.linspace(-1.0, 1.5, len(bias)))
        bias[::8] = -8.0
    return layer


class Net(nn.Module):
    """One layer and one ReLU, on the batch as ``fold`` makes it; the input of the ReLU is kept."""

    def __init__(self, fold: Callable[[Tensor], Tensor], layer: nn.Module) -> None:
        super().__init__()
        self.fold, self.layer = fold, biased(layer)
        self.whole = torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(self.fold(x))
        self.whole = h.detach()
        return torch.relu(h)


def same(x: Tensor) -> Tensor:
    return x


def samples_first(n: int, h: Tensor) -> Tensor:
    return h.reshape(n, -1)


def folds_first(n: int, h: Tensor) -> Tensor:
    return h.unflatten(0, (-1, n)).movedim(1, 0).reshape(n, -1)


def second(n: int, h: Tensor) -> Tensor:
    return h.movedim(1, 0).reshape(n, -1)


def patches(size: int, x: Tensor) -> Tensor:
    """(samples, channels, height, width) → (samples × patches, channels × size × size)."""
    cut = x.unfold(2, size, size).unfold(3, size, size).permute(0, 2, 3, 1, 4, 5)
    return cut.reshape(cut.shape[0] * cut.shape[1] * cut.shape[2], -1)


def conv(channels: int, out: int, dimensions: int = 2, **options: Any) -> nn.Module:
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    layer: nn.Module = kind(channels, out, 3, padding=1, **options)
    return layer


View = Callable[[int, Tensor], Tensor]
CASES: dict[str, tuple[tuple[int, ...], Callable[[Tensor], Tensor], Callable[[], nn.Module], View, int]] = {}


def case(name: str, shape: tuple[int, ...], fold: Any, layer: Any, view: View = samples_first, unit: int = 1) -> None:
    CASES[name] = (shape, fold, layer, view, unit)


first_two = partial(torch.flatten, start_dim=0, end_dim=1)


def turned(x: Tensor) -> Tensor:
    return x.transpose(0, 1).flatten(0, 1)


def joined(x: Tensor) -> Tensor:
    return torch.cat(list(x.unbind(1)))


def stacked(x: Tensor) -> Tensor:
    return torch.stack(list(x.unbind(1))).flatten(0, 1)


for views, channels, size in ((3, 32, 16), (3, 64, 8), (2, 16, 16), (6, 24, 8), (12, 8, 8), (5, 128, 4)):
    case(f"{views} views, {channels} channels", (64, views, 3, size, size), first_two, partial(conv, 3, channels))
case("views in front", (64, 3, 3, 8, 8), turned, partial(conv, 3, 32), folds_first)
case("views joined by cat", (64, 3, 3, 8, 8), joined, partial(conv, 3, 64), folds_first)
case("views stacked", (16, 4, 3, 8, 8), stacked, partial(conv, 3, 48), folds_first)
case("views by view(-1)", (32, 4, 1, 16, 16), lambda x: x.view(-1, *x.shape[2:]), partial(conv, 1, 16))
case("as many channels as samples", (64, 3, 3, 8, 8), first_two, partial(conv, 3, 64))
case("frames of a clip", (16, 8, 3, 16, 16), first_two, partial(conv, 3, 32))
case("frames, channels in front", (8, 3, 6, 16, 16), lambda x: x.transpose(1, 2).flatten(0, 1), partial(conv, 3, 20))
case("clips, whole", (8, 3, 6, 12, 12), same, partial(conv, 3, 16, 3))
case("frames joined by repeat", (16, 3, 8, 8), lambda x: x.repeat(4, 1, 1, 1), partial(conv, 3, 32), folds_first)
case("frames by repeat_interleave", (16, 3, 8, 8), lambda x: x.repeat_interleave(4, 0), partial(conv, 3, 32))
case("patches of 4", (32, 3, 32, 32), partial(patches, 4), lambda: nn.Linear(48, 96), unit=-1)
case("patches of 8", (32, 1, 64, 64), partial(patches, 8), lambda: nn.Linear(64, 256), unit=-1)
case("patches of 16", (10, 3, 64, 64), partial(patches, 16), lambda: nn.Linear(768, 100), unit=-1)
case("positions flattened", (32, 64, 24), first_two, lambda: nn.Linear(24, 128), unit=-1)
case("positions flattened, wide", (8, 128, 16), first_two, lambda: nn.Linear(16, 1024), unit=-1)
case("positions flattened, narrow", (64, 50, 12), first_two, lambda: nn.Linear(12, 10), unit=-1)
case("positions in front", (32, 64, 24), turned, lambda: nn.Linear(24, 128), folds_first, -1)
case("positions in front, odd", (24, 25, 30), turned, lambda: nn.Linear(30, 50), folds_first, -1)
case("samples second", (32, 20, 24), lambda x: x.transpose(0, 1), lambda: nn.Linear(24, 128), second, -1)
case("samples second, long", (8, 200, 16), lambda x: x.transpose(0, 1), lambda: nn.Linear(16, 64), second, -1)
case("a sequence", (32, 64, 24), same, lambda: nn.Linear(24, 512), unit=-1)
case("a signal", (64, 4, 128), same, partial(conv, 4, 48, 1))
case("signals folded", (16, 9, 1, 64), first_two, partial(conv, 1, 40, 1))
case("images", (64, 3, 32, 32), same, partial(conv, 3, 64))
case("images, many channels", (64, 16, 7, 7), same, partial(conv, 16, 512))
case("images, few", (4, 3, 64, 64), same, partial(conv, 3, 32))
case("one image", (1, 3, 64, 64), same, partial(conv, 3, 32))
case("rows", (64, 20), same, lambda: nn.Linear(20, 64), unit=-1)
case("rows, wide", (128, 20), same, lambda: nn.Linear(20, 4096), unit=-1)
case("rows, many", (1000, 20), same, lambda: nn.Linear(20, 100), unit=-1)
case("rows, few", (7, 20), same, lambda: nn.Linear(20, 13), unit=-1)
case("a column", (512, 20), same, lambda: nn.Linear(20, 8), unit=-1)
case("sets of points", (12, 100, 3), first_two, lambda: nn.Linear(3, 64), unit=-1)


def mean_square(model: nn.Module, x: Any) -> tuple[Tensor, Any]:
    output = model(x)
    return output.square().mean(), output


def spread_of(rows: Tensor) -> float:
    return float((rows - rows.mean(0)).square().sum() / rows.square().sum())


def error(measured: float | None, true: float, scale: float | None = None) -> float:
    assert measured is not None
    return abs(measured - true) / (abs(true) if scale is None else scale)


@pytest.mark.parametrize("alike", [False, True], ids=["", "samples alike"])
@pytest.mark.parametrize("name", CASES)
def test_statistics_are_those_of_the_whole_activation(name: str, alike: bool) -> None:
    shape, fold, make, view, unit = CASES[name]
    torch.manual_seed(0)
    net = Net(fold, make())
    # Samples that differ by something of their own, or hardly: then only the places count, not the samples.
    own = torch.randn(shape[0], *([1] * (len(shape) - 1)))
    x = (0.01 if alike else 1.0) * (torch.randn(shape) + own) + 0.5 * torch.randn(1, *shape[1:])
    trace = probe(net, mean_square, x)
    whole = net.whole.double()
    relu = next(o for o in trace.operations if o.name == "relu")
    layer = trace.operations[relu.parents[0]]
    seen, saturation = layer.output, relu.saturation
    assert seen is not None and saturation is not None
    std = float(whole.std(correction=0))
    errors = {
        "mean": error(seen.mean, float(whole.mean()), std),
        "std": error(seen.std, std),
        "mean of the inputs": error(saturation.input_mean, float(whole.mean()), std),
        "std of the inputs": error(saturation.input_std, std),
        "inactive": error(saturation.saturated_share, float((whole <= 0).double().mean())),
        "dead": abs(saturation.dead_share - float((whole.movedim(unit, 0).flatten(1) <= 0).all(1).double().mean())),
    }
    if shape[0] > 1:
        errors["spread"] = error(seen.spread, spread_of(view(shape[0], whole)))
    limits = {name: 0.05 if name != "dead" else 1e-9 for name in errors}
    assert not {name: value for name, value in errors.items() if value > limits[name]}


def test_there_are_thirty_shapes_and_more() -> None:
    assert len(CASES) >= 30


SIZES = st.integers(1, 40)


@pytest.mark.long
@given(st.lists(SIZES, min_size=1, max_size=5), st.integers(1, 80), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_no_sample_is_of_a_single_channel(sizes: list[int], batch: int, random: Any) -> None:
    """Whatever the shape, the order in memory and the size of the batch: every dimension is seen from end to end."""
    order = random.sample(range(len(sizes)), len(sizes))
    for dimension, size in enumerate(sizes):
        index = torch.arange(size, dtype=torch.float32).view([-1 if d == dimension else 1 for d in range(len(sizes))])
        laid = index.expand(sizes).permute(order).contiguous().permute([order.index(d) for d in range(len(sizes))])
        for tensor in (laid, index.expand(sizes)):
            sample = take(tensor, batch)
            assert sample is not None and sample.numel() <= max(FEWEST, MOST)
            assert sample.unique().tolist() == list(range(size))


@given(st.integers(2, 9), st.integers(1, 6), st.sampled_from([1, 300, 5000]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_column_is_one_place_in_several_samples(batch: int, views: int, places: int, views_first: bool) -> None:
    at = torch.arange(views * places, dtype=torch.float32).view(1, views, places).expand(batch, views, places)
    whole = at.transpose(0, 1) if views_first else at
    sample = take(whole.flatten(0, 1), batch, Layout(0, 1 if views_first else views))
    assert sample is not None and bool((sample == sample[0]).all())
    assert sample.shape[0] >= min(batch, 4)


CALLS: dict[str, tuple[Callable[..., Tensor], tuple[Any, ...]]] = {
    "flatten": (torch.flatten, (0, 1)),
    "transpose": (torch.transpose, (0, 1)),
    "permute": (lambda x: x.permute(*reversed(range(x.dim()))), ()),
    "view": (lambda x: x.contiguous().view(-1, *x.shape[2:]), ()),
    "unsqueeze": (torch.unsqueeze, (1,)),
    "cat": (lambda x: torch.cat([x, x]), ()),
    "stack": (lambda x: torch.stack([x, x]), ()),
    "repeat": (lambda x: x.repeat(3, *[1] * (x.dim() - 1)), ()),
    "repeat_interleave": (lambda x: x.repeat_interleave(3, 0), ()),
    "__getitem__": (lambda x: x[:, 0], ()),
    "mean": (lambda x: x.amax(-1), ()),
    "relu": (lambda x: x + 0, ()),
}


@pytest.mark.long
@given(st.integers(2, 7), st.lists(st.sampled_from(sorted(CALLS)), max_size=6))
@settings(max_examples=400, deadline=None)
def test_samples_are_followed_through_calls(batch: int, names: list[str]) -> None:
    """Whatever a layout says of a row, the row says of itself: every element holds the number of its sample."""
    x = torch.arange(batch).view(-1, 1, 1, 1).expand(batch, 3, 2, 4).contiguous()
    known: Layout | None = FIRST
    for name in names:
        call, arguments = CALLS[name]
        if x.dim() < 3 or known is None:
            break
        turned = call(x, *arguments)
        known, x = follow(name, (x, *arguments), {}, x, known, turned, batch), turned
    if known is not None:
        index = torch.arange(x.shape[known.dimension]).view([-1 if d == known.dimension else 1 for d in range(x.dim())])
        assert bool((index // known.inner % batch == x).all())


def test_what_a_shape_tells() -> None:
    assert by_shape((64, 10), 64) == Layout(0)
    assert by_shape((20, 64, 10), 64) == Layout(1)
    assert by_shape((192, 64, 8, 8), 64) == Layout(0, 3), "channels as many as samples are no batch"
    assert by_shape((192, 10), 64) == Layout(0, 3)
    assert by_shape((100, 10), 64) is None
    assert by_shape((1, 10), 1) is None


class Flat(nn.Module):
    """Ids flattened before they are looked up, which no autograd node tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(50, 16), nn.Linear(16, 32)

    def forward(self, ids: Tensor) -> Tensor:
        return torch.relu(self.out(self.table(ids.t().reshape(-1))))


def test_ids_flattened_before_the_embedding_are_followed() -> None:
    torch.manual_seed(0)
    ids = torch.arange(20).expand(8, 20).clone()  # Equal samples: positions differ, samples do not.
    trace = probe(Flat(), mean_square, ids)
    output = next(o for o in trace.operations if o.name == "linear").output
    assert output is not None and output.spread is not None and output.spread < 1e-12


def test_as_many_steps_as_samples_are_told_apart() -> None:
    """(time, samples, features) with as many steps as samples: only the call that turned it tells which is which."""

    class TimeFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.out = nn.Linear(5, 16), nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.tanh(self.into(x.transpose(0, 1)))).mean(0)

    torch.manual_seed(0)
    x = torch.randn(1, 24, 5).expand(24, 24, 5).clone()  # Equal samples: steps differ, samples do not.
    trace = probe(TimeFirst(), mean_square, x)
    spreads = [o.output.spread for o in trace.operations if o.name in ("linear", "tanh") and o.output is not None]
    assert len(spreads) == 3 and all(spread is not None and spread < 1e-12 for spread in spreads)


@pytest.mark.parametrize("shape", [(64, 3, 3, 8, 8), (64, 3, 8, 8)], ids=["views", "images"])
def test_units_of_a_residual_sum_of_convolutions_are_channels(shape: tuple[int, ...]) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.branch = conv(3, 16), conv(16, 16)
            with torch.no_grad():
                for layer in (self.stem, self.branch):
                    layer.bias[:4] = -50.0  # type: ignore[index, operator]

        def forward(self, x: Tensor) -> Tensor:
            h = self.stem(x.flatten(0, -4))
            return torch.relu(h + self.branch(h))

    torch.manual_seed(0)
    trace = probe(Residual(), mean_square, torch.randn(shape))
    saturation = next(o for o in trace.operations if o.name == "relu").saturation
    assert saturation is not None and saturation.dead_share == 4 / 16


def test_a_unit_that_is_active_once_is_not_dead() -> None:
    """One position of one sample in 65,536 elements of each channel, which no sample of elements would meet."""
    torch.manual_seed(0)
    x = -torch.rand(64, 8, 32, 32) - 1
    x[3, :5, 7, 9] = 1.0
    layer = nn.Conv2d(8, 8, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(8)[:, :, None, None])
    trace = probe(nn.Sequential(layer, nn.ReLU()), mean_square, x)
    saturation = next(o for o in trace.operations if o.name == "relu").saturation
    assert saturation is not None and saturation.dead_share == 3 / 8


def test_views_folded_into_the_batch_are_no_dead_units() -> None:
    """Rendered views, grey on white: every channel of the second layer is active somewhere, 46 % of its places are."""

    class MultiView(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = conv(1, 16), conv(16, 32)
            self.out = nn.Linear(32 * 16, 40)

        def forward(self, views: Tensor) -> Tensor:
            samples, count = views.shape[:2]
            x = views.flatten(0, 1)
            for layer in (self.conv1, self.conv2):
                x = nn.functional.max_pool2d(torch.relu(layer(x)), 2)
            return self.out(x.flatten(1).view(samples, count, -1).amax(1))

    torch.manual_seed(0)
    kinds, y = torch.rand(40, 3, 1, 16, 16), torch.randint(0, 40, (64,))
    x = 255 * (0.8 * kinds[y] + 0.2 * torch.rand(64, 3, 1, 16, 16))
    report = sg.check(MultiView(), (x, y), nn.functional.cross_entropy, trial=0)
    assert "SG103" not in {finding.code for finding in report.findings}
