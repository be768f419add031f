"""Fresh batches: each is drawn once, in the loader's own way, and loader, samplers, generators and workers are as before."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

import steadygrad as sg
from steadygrad.copies.nested import size_of
from steadygrad.errors import BatchError, UserCodeError
from steadygrad.subject.batches import Batches, is_source

RULE = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


def samples(count: int = 640) -> TensorDataset:
    x = torch.randn(count, 8, generator=torch.Generator().manual_seed(1))
    return TensorDataset(x, (x @ RULE).argmax(1))


class Stream(IterableDataset):
    """Counts how often it was begun; endless."""

    def __init__(self) -> None:
        self.begun = 0

    def __iter__(self) -> Iterator[Any]:
        self.begun += 1
        while True:
            x = torch.randn(8)
            yield x, (x @ RULE).argmax()


class Noisy(Dataset):
    """Draws from every generator there is, as augmentations do."""

    def __len__(self) -> int:
        return 320

    def __getitem__(self, at: int) -> Any:
        x = torch.randn(8) + random.random() + float(np.random.rand())
        return x, (x @ RULE).argmax()


class Counting(Sampler):
    """A sampler that goes on where it was."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.at = (self.at + 1) % 640
            yield self.at


def generated() -> Iterator[Any]:
    noise = torch.Generator().manual_seed(3)
    while True:
        x = torch.randn(32, 8, generator=noise)
        yield x, (x @ RULE).argmax(1)


LOADERS: dict[str, Callable[[], Any]] = {
    "plain": lambda: DataLoader(samples(), 32),
    "shuffled": lambda: DataLoader(samples(), 32, shuffle=True),
    "generator": lambda: DataLoader(samples(), 32, shuffle=True, generator=torch.Generator().manual_seed(5)),
    "own sampler": lambda: DataLoader(
        samples(), 32, sampler=RandomSampler(samples(), generator=torch.Generator().manual_seed(6))
    ),
    "weighted": lambda: DataLoader(samples(), 32, sampler=WeightedRandomSampler([1.0] * 640, 640)),
    "distributed": lambda: DataLoader(samples(), 32, sampler=DistributedSampler(samples(), 2, 1)),
    "sampler with a state": lambda: DataLoader(samples(), 32, sampler=Counting()),
    "workers": lambda: DataLoader(samples(), 32, shuffle=True, num_workers=2),
    "persistent workers": lambda: DataLoader(samples(), 32, shuffle=True, num_workers=2, persistent_workers=True),
    "augmented": lambda: DataLoader(Noisy(), 32, shuffle=True),
    "iterable": lambda: DataLoader(Stream(), 32),
    "iterable, workers": lambda: DataLoader(Stream(), 32, num_workers=2),
    "last one short": lambda: DataLoader(samples(100), 32),
    "list": lambda: [*zip(samples().tensors[0].split(32), samples().tensors[1].split(32), strict=True)],
    "generator function": generated,
    "by step": lambda: lambda step: tuple(one[step * 8 % 600 :][:32] for one in samples().tensors),
}


def marks(loader: Any) -> list[Any]:
    """All that drawing might change."""
    found = [torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())]
    if isinstance(loader, DataLoader):
        found += [
            loader.generator and loader.generator.get_state().tolist(),
            loader._iterator,
            loader.persistent_workers,
        ]
        sampler: Any = loader.sampler
        found += [getattr(sampler, name, None) for name in ("epoch", "at")]
        generator = getattr(sampler, "generator", None)
        found += [generator and generator.get_state().tolist(), getattr(loader.dataset, "begun", None)]
    return found


@pytest.mark.parametrize("name", LOADERS)
def test_a_check_on_a_loader_leaves_no_mark_and_says_what_it_saw(name: str) -> None:
    loader = LOADERS[name]()
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    before, children = marks(loader), multiprocessing.active_children()
    report = sg.check(model, loader, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=3e-3))
    assert marks(loader) == before
    assert multiprocessing.active_children() == children
    assert report.verdict is sg.Verdict.HEALTHY, report.findings
    assert report.trial is not None and report.trial.unseen is not None
    assert 0.02 < report.trial.unseen.learned < 1
    assert "fresh ones of" in report.setup.batch


@pytest.mark.long
def test_a_loader_in_the_middle_of_an_epoch_goes_on_as_it_would_have() -> None:
    def epoch(check: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        loader = DataLoader(samples(), 32, shuffle=True, num_workers=1, persistent_workers=True)
        seen = []
        for number, (x, _) in enumerate(loader):
            seen.append(x)
            if check and number == 3:
                sg.check(nn.Linear(8, 4), loader, F.cross_entropy)
        return seen

    assert all(torch.equal(a, b) for a, b in zip(epoch(False), epoch(True), strict=True))


def test_batches_are_drawn_once_and_those_judged_on_are_not_trained_on() -> None:
    drawn: list[int] = []

    def batch(step: int) -> Any:
        drawn.append(step)
        return torch.full((8, 2), float(step)), torch.zeros(8)

    batches = Batches(batch)
    assert batches.keep_apart()
    apart = [int(x[0, 0]) for x, _ in batches.unseen]
    assert apart == [0, 1, 2, 3], "32 samples together"
    assert [int(batches.to_train_on(step)[0][0, 0]) for step in range(5)] == [4, 5, 6, 7, 8]
    assert [int(batches.to_train_on(step)[0][0, 0]) for step in range(5)] == [4, 5, 6, 7, 8]
    assert drawn == list(range(9))


def test_a_short_one_begins_again_behind_what_is_kept_apart() -> None:
    pairs = [(torch.full((32, 2), float(n)), torch.zeros(32)) for n in range(3)]
    batches = Batches(iter(pairs))
    assert batches.is_iterator and batches.keep_apart() and len(batches.unseen) == 1
    assert [int(batches.to_train_on(step)[0][0, 0]) for step in range(5)] == [1, 2, 1, 2, 1]


@pytest.mark.parametrize("pairs", [1, 4])
def test_one_batch_or_always_the_same_is_none_that_is_fresh(pairs: int) -> None:
    x, y = samples().tensors
    report = sg.check(nn.Linear(8, 4), [(x[:64], y[:64])] * pairs, F.cross_entropy)
    assert report.trial is not None and report.trial.unseen is None
    assert "the only one of list" in report.setup.batch


def test_the_same_seed_draws_the_same() -> None:
    loader = DataLoader(Noisy(), 32, shuffle=True)
    first, again, other = (Batches(loader, seed=seed).at(2)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_is_one_batch_and_what_gives_them() -> None:
    x, y = torch.zeros(4, 2), torch.zeros(4)
    for batch in (x, (x, y), [x, y], {"x": x}, [[x, x], [y, y]], [x, y, x], None):
        assert not is_source(batch), batch
    for source in ([(x, y)] * 3, [[x, y]], [{"x": x}] * 2, iter([(x, y)]), lambda step: (x, y)):
        assert is_source(source), source
    with pytest.raises(BatchError, match="DataLoader"):
        is_source(samples())


def test_an_exception_of_the_batches_own_is_theirs() -> None:
    def broken() -> Iterator[Any]:
        yield samples()[:32]
        raise KeyError("a column is missing")

    with pytest.raises(UserCodeError) as caught:
        Batches(broken()).keep_apart()
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(KeyError, match="a column is missing"):
        sg.check(nn.Linear(8, 4), broken(), F.cross_entropy)


def test_a_batch_of_a_loader_comes_to_the_models_precision() -> None:
    model = nn.Linear(8, 4).double()
    report = sg.check(model, DataLoader(samples(), 32), F.cross_entropy)
    assert report.trace.dtype == "float64" and size_of(next(iter(DataLoader(samples(), 32)))) == 32


@pytest.mark.long
@pytest.mark.parametrize("what", [sg.cure, sg.find_lr])
def test_cure_and_the_rate_search_take_a_loader(what: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    layers = [layer for _ in range(10) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
    model = nn.Sequential(nn.Linear(8, 16), *layers, nn.Linear(16, 4))
    loader = DataLoader(samples(), 32, shuffle=True)
    before = marks(loader)
    found = what(model, loader, F.cross_entropy, optimizer=torch.optim.Adam(model.parameters(), lr=1e-3))
    assert marks(loader) == before
    if what is sg.cure:
        assert found.before.verdict is sg.Verdict.WILL_NOT_TRAIN and found.after.verdict is sg.Verdict.HEALTHY
        assert found.after.trial.unseen is not None
    else:
        assert found.rate
