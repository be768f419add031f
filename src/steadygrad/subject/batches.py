"""Fresh batches from where the user has them: a ``DataLoader``, another iterable, or a function of the step.

Each is drawn when it is first asked for, once, and kept. The loader is not touched: a shallow copy is drawn from, with
copies of its samplers and generators, and random numbers of its own. Knows loaders; knows nothing of models.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_collate,
)

from steadygrad.copies.nested import size_of
from steadygrad.copies.randomness import found_randomness, same_randomness, seed_torch
from steadygrad.errors import BatchError, SteadygradError, UserCodeError
from steadygrad.torch_internals.tensors import tree_leaves

FEWEST_SAMPLES, MOST_BATCHES = 32, 16
"""The size of the part kept apart for the judgement: batches from the first on, up to this many samples."""

MOST_BYTES = 2**30
"""Of batches that are kept; further ones are those drawn before, again from the start."""


class Batches:
    """The batches of a source by number. Not thread-safe.

    ``words`` names the source, as in "DataLoader"; ``is_iterator``: what was drawn from it is gone from it.
    """

    def __init__(self, source: Any, *, seed: int = 0, prepare: Callable[[Any], Any] = lambda batch: batch) -> None:
        """``prepare`` is given each batch that was drawn, and gives what is kept."""
        # Accelerate wraps a loader to move its batches, and a copy of the wrapper is none of the loader.
        source = getattr(source, "base_dataloader", source)
        self.words = type(source).__name__
        self.is_iterator = isinstance(source, Iterator)
        self._source, self._seed, self._prepare = source, seed, prepare
        self._by_step = not isinstance(source, Iterable)
        if self._by_step:
            self.words = f"{getattr(source, '__name__', self.words)}(step)"
        self._kept: list[Any] = []
        self._apart = 1
        self._bytes = 0
        self._iterator: Iterator[Any] | None = None
        self._resume: Callable[[], None] | None = None
        self._ended = False

    def at(self, number: int) -> Any:
        """Batch ``number``; beyond the last one those that are trained on, again from the start.

        Raises ``BatchError`` where there is none at all, ``UserCodeError`` for an exception of the source's own.
        """
        while number >= len(self._kept) and not self._ended:
            self._draw()
        if not self._kept:
            raise BatchError("the batches given are empty; give at least one")
        if number < len(self._kept):
            return self._kept[number]
        first = min(self._apart, len(self._kept) - 1)
        return self._kept[first + (number - first) % (len(self._kept) - first)]

    def keep_apart(self) -> bool:
        """Set the first batches apart. False where there is no other to train on, as where each is the same."""
        sizes = (size_of(self.at(number)) or FEWEST_SAMPLES for number in itertools.count())
        together = itertools.accumulate(itertools.islice(sizes, MOST_BATCHES))
        self._apart = 1 + next((n for n, size in enumerate(together) if size >= FEWEST_SAMPLES), MOST_BATCHES - 1)
        other = self.at(self._apart)
        if len(self._kept) < 2 or _same(other, self._kept[0]):
            return False
        self._apart = min(self._apart, len(self._kept) - 1)
        return True

    @property
    def shuffled(self) -> bool:
        """Return whether each batch is of samples drawn at random, stacked along its first dimension."""
        source = self._source
        return (
            isinstance(source, DataLoader)
            and source.batch_size is not None
            and source.collate_fn is default_collate
            and isinstance(source.sampler, (RandomSampler, SubsetRandomSampler, WeightedRandomSampler))
        )

    @property
    def unseen(self) -> list[Any]:
        """Return the batches that judge, and are never trained on."""
        return [self.at(number) for number in range(self._apart)]

    def to_train_on(self, step: int) -> Any:
        """The batch of training step ``step``, which begins with 0."""
        return self.at(self._apart + step)

    def close(self) -> None:
        """End the loader's worker processes. What is asked for later is among those drawn so far."""
        self._iterator, self._ended = None, True

    def _draw(self) -> None:
        with same_randomness():
            if self._resume is not None:
                self._resume()
            else:
                _seed(self._seed)
            try:
                batch = self._next()
            except StopIteration:
                self.close()
                return
            except SteadygradError:
                raise
            except Exception as error:
                raise UserCodeError("the batches raised this when they were drawn") from error
            finally:
                self._resume = found_randomness()
        self._kept.append(self._prepare(batch))
        self._bytes += sum(leaf.nbytes for leaf in tree_leaves(batch) if isinstance(leaf, Tensor))
        if self._bytes > MOST_BYTES and len(self._kept) > self._apart:
            self.close()

    def _next(self) -> Any:
        if self._by_step:
            return self._source(len(self._kept))
        if self._iterator is None:
            self._iterator = iter(_apart(self._source))
        return next(self._iterator)


def is_source(batch: Any) -> bool:
    """Return whether it gives batches, and is not one: a pair is a batch, a longer list of pairs is not.

    Raises ``BatchError`` for a data set, which gives single samples.
    """
    if isinstance(batch, (Tensor, Mapping, tuple, str, bytes, nn.Module)) or hasattr(batch, "__array__"):
        return False
    if isinstance(batch, list):
        parts = all(isinstance(one, (tuple, list, Mapping)) for one in batch)
        return bool(batch) and parts and (len(batch) != 2 or isinstance(batch[0], Mapping)) and _alike(batch)
    if isinstance(batch, Dataset) and not isinstance(batch, IterableDataset):
        raise BatchError(f"the batch is a {type(batch).__name__}, which gives single samples; wrap it in a DataLoader")
    if isinstance(batch, Iterable):
        return True
    return callable(batch) and takes_a_step(batch)


def _same(one: Any, other: Any) -> bool:
    pairs = zip(tree_leaves(one), tree_leaves(other), strict=False)
    return all(torch.equal(a, b) for a, b in pairs if isinstance(a, Tensor) and isinstance(b, Tensor))


def _alike(batches: list[Any]) -> bool:
    return len({(type(one), len(one)) for one in batches}) == 1


def takes_a_step(function: Callable[..., Any]) -> bool:
    """Return whether it is a function of the step: it must be given one argument, so it is none that gives one batch."""
    try:
        signature = inspect.signature(function)
        signature.bind(0)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind()
    except TypeError:
        return True
    return False


def _apart(source: Any) -> Any:
    """Return a source that can be drawn from without a mark on ``source``: a copy of a loader on the same data, else itself."""
    if not isinstance(source, DataLoader):
        return source
    twin = copy.copy(source)
    own = vars(twin)
    # One that keeps its workers would hand out, and start again, the iterator that the program is in the middle of.
    own.update(_iterator=None, persistent_workers=False)
    if isinstance(source.dataset, IterableDataset):
        own["dataset"] = copy.copy(source.dataset)
    memo: dict[int, Any] = {id(source.dataset): own["dataset"]}
    for name in ("generator", "sampler", "batch_sampler"):
        own[name] = _copied(getattr(source, name), memo)
    return twin


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except Exception:
        return value  # A sampler that holds a lock or an open file.


def _seed(seed: int) -> None:
    seed_torch(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)
