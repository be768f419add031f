"""Values for the shell's completion: formats, rules, cures, optimizers, files. Nothing here imports torch: Tab answers at once.

Each function is a ``shell_complete`` of click: the context, the parameter, and what is typed so far.
"""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

OPTIMIZERS = (
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "asgd",
    "lbfgs",
    "nadam",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "sparseadam",
)
"""Of torch.optim, lower case, as ``--optimizer`` takes them."""

FAIL_ON = {"error": "findings that stop training", "warning": "stricter", "never": "report only"}


def formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of a check's report."""
    from steadygrad.report import FORMATS

    return _items(((name, "") for name in FORMATS), incomplete)


def run_formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of a run."""
    from steadygrad.report.run import FORMATS

    return _items(((name, "") for name in FORMATS), incomplete)


def rules(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes with their names; of several with commas between, the last."""
    from steadygrad.rules import load

    begun, comma, last = incomplete.rpartition(",")
    return [
        CompletionItem(f"{begun}{comma}{rule.code}", help=rule.name)
        for rule in load()
        if rule.code.startswith(last.upper()) or rule.name.startswith(last.lower())
    ]


def words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What ``explain`` explains: rules, and our words."""
    from steadygrad.glossary import TERMS

    return rules(ctx, param, incomplete) + _items(((term, "a word") for term in TERMS if " " not in term), incomplete)


def cures(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names with what each does."""
    from steadygrad.cures import load

    return _items(((cure.name, cure.summary) for cure in load()), incomplete)


def groups(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Groups of cures."""
    from steadygrad.record import GROUPS

    return _items(((group, "") for group in GROUPS), incomplete)


def optimizers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of optimizers; a rate follows after a colon."""
    return _items(((name, f"{name}:RATE") for name in OPTIMIZERS), incomplete)


def fail_on(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Levels at which a check fails."""
    return _items(FAIL_ON.items(), incomplete)


def precisions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Formats of numbers."""
    from steadygrad.record.precision import PRECISIONS

    return _items(PRECISIONS.items(), incomplete)


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell's own completion of files."""
    return [CompletionItem(incomplete, type="file")]


def _items(known: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name, help=told or None) for name, told in known if name.startswith(incomplete)]
