"""The rules: found in this folder, selected, run on records, and their findings reduced to one for each cause.

A rule is one file, ``sgNNN_some_name.py``: code and name are the file's, the docstring is its documentation, and
``judge(trace, trial)`` gives its findings; one without it is found in training alone, by the guard. Adding a rule is
adding a file. No torch here; rules compute nothing that a record does not hold.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from steadygrad.errors import UnknownRuleError
from steadygrad.record import Finding, Severity, StepTest, Trace, Verdict
from steadygrad.settings import Settings
from steadygrad.written import nearest

Judge = Callable[[Trace, StepTest | None], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """One rule, as its file states it."""

    code: str
    name: str
    summary: str
    """First line of the docstring."""
    doc: str
    """The docstring after the first line, in Markdown, under the fixed headings."""
    judge: Judge | None
    """None for what only a guard can see, while the model trains."""


HEADINGS = (
    "What it measures",
    "Why it matters",
    "Example",
    "Use instead",
    "Cures and their safety",
    "When it is wrong",
    "Where the threshold comes from",
    "References",
)
"""Every rule's docstring has these sections, in this order."""


@functools.cache
def load() -> tuple[Rule, ...]:
    """All rules in this folder, by code."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.startswith("sg"))
    return tuple(_rule(name) for name in names)


def _rule(file_name: str) -> Rule:
    module = importlib.import_module(f"{__name__}.{file_name}")
    code, _, name = file_name.partition("_")
    summary, _, doc = inspect.cleandoc(module.__doc__ or "").partition("\n")
    return Rule(code.upper(), name.replace("_", "-"), summary.strip(), doc.strip(), getattr(module, "judge", None))


def find(word: str) -> Rule:
    """The rule with this code or name. Raises ``UnknownRuleError`` naming the nearest."""
    for rule in load():
        if word.lower() in (rule.code.lower(), rule.name):
            return rule
    raise UnknownRuleError(f"no rule {word!r}{_nearest(word)}; steadygrad rules lists them")


def resolve(selectors: Sequence[str]) -> frozenset[str]:
    """The codes that selectors mean: codes, prefixes of codes, or names. Raises ``UnknownRuleError``."""
    codes: set[str] = set()
    for selector in selectors:
        hits = {r.code for r in load() if r.code.startswith(selector.upper()) or r.name == selector.lower()}
        if not hits or not selector:
            raise UnknownRuleError(f"no rule {selector!r}{_nearest(selector)}; steadygrad rules lists them")
        codes |= hits
    return frozenset(codes)


def _nearest(word: str) -> str:
    close = nearest(word, [rule.code for rule in load()] + [rule.name for rule in load()])
    return f", did you mean {close}?" if close else ""


def run(trace: Trace, trial: StepTest | None, settings: Settings) -> tuple[Finding, ...]:
    """Findings of the selected rules, worst first; symptoms that another finding explains are left out."""
    selected = resolve(settings.select) if settings.select else frozenset(rule.code for rule in load())
    selected -= resolve(settings.ignore)
    # A rule that is not selected still explains symptoms: leaving SG102 out must not turn it into SG101.
    found = [finding for rule in load() if rule.judge for finding in rule.judge(trace, trial)]
    return tuple(finding for finding in causes(found) if finding.code in selected)


NOTHING_LEARNED = "SG109"


def _sharpened(found: Sequence[Finding]) -> list[Finding]:
    """Make warnings errors where fresh batches show that nothing is learned: they are the cause, reported in place of SG109."""
    # Where it names a line it is a cause itself.
    proof = next((one for one in found if one.code == NOTHING_LEARNED and one.location is None), None)
    others = [one for one in found if one is not proof and one.severity is not Severity.INFO]
    if proof is None or not others:
        return list(found)
    if proof.severity is not Severity.ERROR:
        return [one for one in found if one is not proof]
    return [
        replace(one, severity=Severity.ERROR) if one in others and one.severity is Severity.WARNING else one
        for one in found
        if one is not proof
    ]


def causes(found: Sequence[Finding]) -> list[Finding]:
    """One cause, one finding, the worst first: a symptom goes where a finding at least as severe explains it."""
    found = _sharpened(found)
    kept = [finding for finding in found if not any(_explains(cause, finding) for cause in found)]
    gone = {finding.code for finding in found} - {finding.code for finding in kept}
    return sorted(
        (replace(one, explains=tuple(code for code in one.explains if code in gone)) for one in kept),
        key=lambda finding: (finding.severity.rank, finding.code),
    )


def _explains(cause: Finding, symptom: Finding) -> bool:
    if symptom.code not in cause.explains or cause.severity.rank > symptom.severity.rank:
        return False
    # Of two that explain each other the first is the cause: both gone would be a sick model called healthy.
    each_other = cause.code in symptom.explains and symptom.severity.rank == cause.severity.rank
    return not each_other or cause.code < symptom.code


def verdict(findings: Iterable[Finding]) -> Verdict:
    """What the worst finding says of the whole."""
    severities = {finding.severity for finding in findings}
    if Severity.ERROR in severities:
        return Verdict.WILL_NOT_TRAIN
    return Verdict.AT_RISK if Severity.WARNING in severities else Verdict.HEALTHY
