"""What is measured where a verdict is bad already: it names the cause, changes no verdict and costs a healthy model nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from steadygrad import rules
from steadygrad.errors import SteadygradError, UserCodeError, in_one_line
from steadygrad.record import StepTest, Trace
from steadygrad.rules.sg113_noisy_gradient import LEARNS, NOISY, may_be_noise
from steadygrad.settings import Settings
from steadygrad.source.user_errors import running_theirs
from steadygrad.steptest.averaging import affordable, averaged
from steadygrad.steptest.curvature import with_curvature
from steadygrad.steptest.noise import noise_in
from steadygrad.steptest.run_steptest import Stepped
from steadygrad.subject.subject import Subject


def as_stepped(stepped: Stepped | None) -> tuple[StepTest | None, tuple[str, ...]]:
    """The record as the steps have left it."""
    return (None if stepped is None else stepped.record), ()


def with_causes(
    subject: Subject, trace: Trace, stepped: Stepped | None, progress: Callable[[str], None] | None
) -> tuple[StepTest | None, tuple[str, ...]]:
    """The record with curvature and noise of the gradient where they may be the cause; notes of what could not be measured."""
    if stepped is None:
        return as_stepped(stepped)
    record = with_curvature(subject, stepped)
    # An iterator's batches are gone once they are drawn, and this takes hundreds.
    if subject.batches is None or subject.batches.is_iterator or (most := affordable(stepped.seconds)) < 2:
        return record, ()
    if not may_be_noise(rules.run(trace, record, Settings()), trace):
        return record, ()
    if progress is not None:
        progress("noise of the gradient")
    try:
        with running_theirs("the model, its loss or its optimizer raised this on further batches"):
            return _with_noise(subject, record, most), ()
    except (SteadygradError, torch.OutOfMemoryError, MemoryError) as error:
        why = in_one_line(error) if isinstance(error, UserCodeError) else str(error) or in_one_line(error)
        return record, (f"not measured: whether the gradient is noise for the most part ({why})",)


def _with_noise(subject: Subject, record: StepTest, most: int) -> StepTest:
    noise = noise_in(subject)
    if noise is not None and noise.share >= NOISY:
        noise = replace(noise, averaged=averaged(subject, noise, most, LEARNS))
    return replace(record, noise=noise)
