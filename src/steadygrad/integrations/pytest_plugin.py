"""pytest: a failing gradient fails a test. The fixture ``steadygrad``, a marker, and models as test items.

pytest loads this file at its start, so it imports nothing of steadygrad's but errors until a model is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steadygrad.errors import SteadygradError, UserCodeError

if TYPE_CHECKING:
    from steadygrad import Report

LEVELS = ("error", "warning")
MARKER = (
    'steadygrad(fail_on="error", ignore=()): how the fixture steadygrad judges in this test: the severity from which a finding '
    "fails it, and the codes to ignore"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--steadygrad`` and ``--steadygrad-fail-on``."""
    group = parser.getgroup("steadygrad", "gradients that vanish or explode")
    group.addoption(
        "--steadygrad",
        action="append",
        default=[],
        metavar="TARGET",
        help="Check a model as a test: file.py, file.py:name or package.module:name. May be given several times.",
    )
    group.addoption(
        "--steadygrad-fail-on",
        choices=LEVELS,
        help="Severity from which a finding fails a test: error (default) or warning.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add an item for each ``--steadygrad TARGET``."""
    items.extend(
        ModelItem.from_parent(session, name=f"steadygrad {target}", target=target)
        for target in config.getoption("--steadygrad")
    )


class ModelItem(pytest.Item):
    """One model, checked as ``steadygrad check TARGET`` does it, with the settings of the pyproject.toml beside it."""

    def __init__(self, *, target: str, **more: Any) -> None:
        """Keep the target; pytest passes the rest."""
        super().__init__(**more)
        self.target = target

    def runtest(self) -> None:
        """Check the model; raise ``FoundError`` where a finding fails it."""
        from steadygrad import rules
        from steadygrad._check import check_subject
        from steadygrad.subject.from_options import plain_options, subject_of
        from steadygrad.subject.settings_for import settings_for

        settings = settings_for(self.target, {"fail_on": self.config.getoption("--steadygrad-fail-on")})
        rules.resolve(settings.selectors)
        options = plain_options(device=settings.device, dtype=settings.dtype, seed=settings.seed)
        report = check_subject(subject_of(self.target, options), trial=settings.trial, settings=settings)
        _judge(report, settings.fail_on)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *more: Any) -> Any:
        """The report, or one sentence; an exception of the user's own keeps the user's traceback."""
        error = excinfo.value
        if isinstance(error, FoundError):
            return str(error)
        if isinstance(error, UserCodeError) and error.__cause__ is not None:
            own = pytest.ExceptionInfo.from_exception(error.__cause__)
            return f"{super().repr_failure(own, *more)}\nsteadygrad: {error}"
        return f"steadygrad: {error}" if isinstance(error, SteadygradError) else super().repr_failure(excinfo, *more)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the place that pytest prints for the test: the file of the target."""
        return Path(self.target.partition(":")[0]), None, self.name


class FoundError(Exception):
    """A check found what fails the test; its text is the report."""


@dataclass(frozen=True)
class Checker:
    """The fixture ``steadygrad``."""

    fail_on: str
    ignore: tuple[str, ...]

    def check(self, model: Any, batch: Any = None, loss_fn: Callable[..., Any] | None = None, **options: Any) -> Report:
        """Check the model as ``steadygrad.check`` does; fail the test with the report where a finding is severe enough.

        Args:
            model: A module.
            batch: One batch, a loader, or a function of the step.
            loss_fn: From output and target to a scalar tensor.
            **options: What ``steadygrad.check`` takes besides.

        Returns:
            The report, where nothing fails the test.
        """
        __tracebackhide__ = True
        import steadygrad

        ignore = options.pop("ignore", None) or self.ignore
        report = steadygrad.check(model, batch, loss_fn, ignore=ignore or None, **options)
        try:
            _judge(report, self.fail_on)
        except FoundError as error:
            pytest.fail(str(error), pytrace=False)
        return report


@pytest.fixture(name="steadygrad")
def steadygrad_fixture(request: pytest.FixtureRequest) -> Checker:
    """``steadygrad.check(model, batch, loss_fn)`` fails the test with the text of the report."""
    marker = request.node.get_closest_marker("steadygrad")
    given = dict(marker.kwargs) if marker is not None else {}
    fail_on = given.pop("fail_on", None) or request.config.getoption("--steadygrad-fail-on") or "error"
    ignore = given.pop("ignore", ())
    if given or (marker is not None and marker.args):
        raise pytest.UsageError(
            f"the marker steadygrad takes fail_on and ignore, not {', '.join(given) or marker.args}"
        )
    if fail_on not in LEVELS:
        raise pytest.UsageError(f"the marker steadygrad has fail_on={fail_on!r}, expected 'error' or 'warning'")
    return Checker(fail_on, _codes(ignore))


def _codes(ignore: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(ignore.split(",")) if isinstance(ignore, str) else tuple(ignore)


def _judge(report: Report, fail_on: str) -> None:
    if fail_on != "never" and report.at_least(fail_on):
        from steadygrad.report import render

        raise FoundError(render(report, "text", color="never"))
