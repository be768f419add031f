"""One run of an experiment: parameters checked, random state set and put back, time taken.

What a user's own function raises comes back as the cause of a ``UserCodeError``; what it returns is looked at.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from steadygrad.errors import ExperimentError, SteadygradError, UserCodeError
from steadygrad.lab.catalog import Experiment
from steadygrad.lab.outcome import Outcome, Ran
from steadygrad.lab.parameters import Value, values


def run(experiment: Experiment, given: Mapping[str, Value] | None = None, *, seed: int = 0, quick: bool = False) -> Ran:
    """Measure. The random states of Python, numpy and torch are set to ``seed``, and afterwards what they were.

    Raises ``SettingsError`` for a parameter that is unknown or out of its limits, ``ExperimentError`` where no outcome
    comes back, ``UserCodeError`` where a user's function raises.
    """
    chosen = values(experiment.name, experiment.parameters, given or {}, quick=quick)
    measure = experiment.measure()
    began = time.perf_counter()
    with _seeded(seed):
        try:
            outcome = measure(**chosen)
        except SteadygradError:
            raise
        except SystemExit as error:
            raise ExperimentError(
                f"{experiment.name} ends the program (exit {error.code}); return an Outcome instead"
            ) from None
        except Exception as error:
            if experiment.theirs:
                raise UserCodeError(f"{experiment.name} raised this when it was run; fix it there") from error
            told = ", ".join(f"{name}={value}" for name, value in chosen.items())
            raise ExperimentError(f"{experiment.name} cannot be measured with {told}: {error}") from error
    if not isinstance(outcome, Outcome):
        raise ExperimentError(
            f"{experiment.name} returned {type(outcome).__name__}; an experiment returns steadygrad.lab.Outcome"
        )
    return Ran(
        name=experiment.name,
        summary=experiment.summary,
        sections={heading: text for heading, text in experiment.sections.items() if heading != "Parameters"},
        parameters=chosen,
        seed=seed,
        quick=quick,
        outcome=outcome,
        seconds=time.perf_counter() - began,
        changed=tuple(given or ()),
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    import numpy as np
    import torch

    from steadygrad.copies.randomness import same_randomness

    with same_randomness():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        yield
