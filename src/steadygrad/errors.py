"""The errors that a user can meet, each with its remedy in one sentence.

Everything here is a ``SteadygradError``: the command line prints its message alone and exits with 2, a Python caller
catches one class. An exception raised by the user's own code is never turned into one of these.
"""

from __future__ import annotations


def in_one_line(error: BaseException, most: int = 200) -> str:
    """Return the type and the first line of the text, ``most`` characters of it: "RuntimeError: CUDA out of memory".

    Of a ``UserCodeError`` it is what the user's code raised.
    """
    if isinstance(error, UserCodeError) and error.__cause__ is not None:
        error = error.__cause__
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:most]}".rstrip(": ")


class SteadygradError(Exception):
    """A check could not be made; the message says what was wrong and what to do."""


class TargetError(SteadygradError):
    """The model could not be found or built from what was given."""


class BatchError(SteadygradError):
    """No batch could be made, or the one given does not fit."""


class SubjectError(SteadygradError):
    """The model, loss and optimizer do not make a subject: no gradient, loss not scalar, nothing to train."""


class SettingsError(SteadygradError):
    """A setting or option is unknown or has a value it cannot have."""


class OutputError(SteadygradError):
    """The report could not be written where it was asked for."""


class MissingPackageError(SteadygradError):
    """An optional package is not installed; the message names the extra that brings it."""


class CorruptReportError(SteadygradError):
    """A saved report is not what ``to_json`` wrote."""

    def __init__(self, why: str) -> None:
        """Put ``why`` into the message."""
        super().__init__(f"cannot read the report: {why}")


class UnknownRuleError(SteadygradError):
    """No rule has this code or name."""


class FindingsError(SteadygradError):
    """Raised by ``report.raise_for`` when there are findings at the given severity."""


class UserCodeError(SteadygradError):
    """The user's own code raised while the probe ran it; ``__cause__`` is their exception, with its traceback."""


class InternalError(SteadygradError):
    """A failure of steadygrad's own while it looked at a model that is not at fault; ``__cause__`` has its traceback."""


class CannotCureError(SteadygradError):
    """A cure cannot be applied to this model; the planner goes on to the next."""


class UnknownCureError(SteadygradError):
    """No cure has this name."""


class CannotFixError(SteadygradError):
    """A cure has no plain form in this source; the message says why."""


class JournalError(SteadygradError):
    """A file is no journal, or one that cannot be read or continued."""


class ProgramError(SteadygradError):
    """There is no program to run, or it cannot be read."""


class TrainingStopped(SteadygradError):
    """Raised out of ``optimizer.step`` by a guard whose ``on_alarm`` stops the training; all is saved before."""


class UnknownExperimentError(SteadygradError):
    """No experiment of the lab has this name."""


class ExperimentError(SteadygradError):
    """An experiment gave no outcome."""
