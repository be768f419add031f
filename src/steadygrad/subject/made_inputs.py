"""Inputs for a model that came without a batch: the first guess that runs, in a size that costs little.

May rely on guesses and attempts; must not know of losses or optimizers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.errors import BatchError, SteadygradError, UserCodeError
from steadygrad.objective import call_model
from steadygrad.subject.candidate_inputs import Guess, guesses
from steadygrad.subject.default_loss import main_tensor
from steadygrad.subject.dry_run import Attempts, Ran, Run, in_short
from steadygrad.subject.inputs import draw, tensors_in

SAMPLES = 64
FEWEST = 8
FIRST_TRY = 4
"""Enough for batch norm, and too few to pass for a length or a number of channels."""
OTHER_TRIES = (1, 64, 32, 16, 2)
"""Batch sizes to try with the best guesses where none ran: some models are written for one size."""

GUESSES = 200

# Activations of all leaf modules together, in elements: 128 MB in float32, so that a check takes seconds on two cores.
ELEMENTS = 2**25

# What a shape that does not fit raises; anything else is a fault of the model that no other guess would mend.
MISFITS = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, KeyError, AttributeError)


@dataclass(frozen=True)
class Inputs:
    """Inputs that the model ran on, in words, and the output (with its graph) that it gave."""

    values: Any
    words: str
    output: Any


def synthesise(
    attempt: Attempts, seed: int, *, run: Run = call_model, finish: Callable[[Any], Any] = lambda values: values
) -> Inputs:
    """The first guess that the model runs on. ``finish`` makes a batch of the inputs, for a ``run`` that wants more.

    Raises ``BatchError`` where none does, ``UserCodeError`` where the model fails on whatever it is given.
    """
    model = attempt.model
    device = next((p.device for p in model.parameters()), torch.device("cpu"))

    def at_size(guess: Guess, samples: int, grad: bool) -> tuple[Any, Ran]:
        values = finish(draw_guess(guess.of_size(samples), seed, device))
        return values, attempt(values, run=run, grad=grad)

    chosen: Guess | None = None
    samples = FIRST_TRY
    failed: list[tuple[Guess, Ran]] = []
    possible: tuple[Guess, Ran] | None = None
    for guess in islice(guesses(model), GUESSES):
        _, ran = at_size(guess, FIRST_TRY, False)
        if ran.error is None and _one_row_a_sample(ran.output, FIRST_TRY):
            chosen, possible = guess, (guess, ran)
            break
        if ran.error is None:
            possible = possible or (guess, ran)
        else:
            failed.append((guess, ran))
    if possible is not None:
        chosen, ran = possible
        samples = _affordable(ran.elements // FIRST_TRY)
    else:
        best = sorted(failed, key=lambda pair: -pair[1].modules)[:3]
        for guess, size in ((guess, size) for guess, _ in best for size in OTHER_TRIES):
            if at_size(guess, size, False)[1].error is None:
                chosen, samples = guess, size
                break
    if chosen is None:
        raise _none_fits(model, failed)
    for size in dict.fromkeys((samples, FIRST_TRY)):
        values, ran = at_size(chosen, size, True)
        if ran.error is None:
            return Inputs(values, chosen.of_size(size).words, ran.output)
    raise _none_fits(model, [(chosen, ran)])


def draw_guess(guess: Guess, seed: int, device: torch.device) -> Any:
    """The tensors of a guess: one alone as it is, several as a tuple, named ones as a dict."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(guess.inputs, dict):
        return {name: draw(spec, generator, device) for name, spec in guess.inputs.items()}
    values = tuple(draw(spec, generator, device) for spec in guess.inputs)
    return values[0] if len(values) == 1 else values


def _one_row_a_sample(output: Any, samples: int) -> bool:
    found = main_tensor(output)
    tensors = [found] if isinstance(found, Tensor) else tensors_in(output)
    return not tensors or any(tensor.dim() == 0 or samples in tensor.shape[:1] for tensor in tensors)


def _affordable(elements: int) -> int:
    """The largest power of two, from 8 to 64, whose activations stay within ``ELEMENTS``."""
    size = SAMPLES
    while size > FEWEST and size * elements > ELEMENTS:
        size //= 2
    return size


def _none_fits(model: nn.Module, failed: list[tuple[Guess, Ran]]) -> SteadygradError:
    name = type(model).__name__
    how = "give one as batch=(x, y), or on the command line with --input 64,3,32,32 or --batch file.py:function"
    try:
        signature = str(inspect.signature(model.forward))
    except ValueError:
        signature = "(...)"
    if not failed:
        return BatchError(f"no batch can be made for {name}, whose forward takes {signature}; {how}")
    guess, ran = max(failed, key=lambda pair: pair[1].modules)
    error = ran.error
    assert error is not None
    everywhere = all(type(other.error) is type(error) for _, other in failed)
    # An error about one shape has other words for another shape.
    always = len({str(other.error) for _, other in failed}) == 1 and len(failed) > 2
    unlike_a_shape = not isinstance(error, MISFITS) or isinstance(error, NotImplementedError)
    if everywhere and (always or unlike_a_shape):
        raised = UserCodeError(f"{name} raised this on {guess.of_size(FIRST_TRY).words}; fix it, or {how}")
        raised.__cause__ = error
        return raised
    return BatchError(
        f"no batch can be made for {name}, whose forward takes {signature} ({guess.of_size(FIRST_TRY).words}, gave "
        f"{in_short(error)}); {how}"
    )
