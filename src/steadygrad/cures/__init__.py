"""The cures: found in this folder, proposed from a report, applied to a copy.

A cure is one file with ``GROUP``, ``SAFETY``, ``PHASE``, ``FINDINGS`` (the codes it can help with), ``CANDIDATES`` (name: group
and safety of each), ``propose(copy, report)`` giving candidates, and ``apply_(copy, edit)`` changing the copy in
place and saying what it did. Its docstring is its page, under ``HEADINGS``. Adding a cure is adding a file.

What a cure says of itself is read from its text, so that listing and explaining cures needs no torch.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from steadygrad.errors import UnknownCureError, UnknownRuleError
from steadygrad.glossary import TERMS, meaning
from steadygrad.record import GROUPS
from steadygrad.rules import Rule
from steadygrad.rules import find as find_rule
from steadygrad.written import nearest

HEADINGS = ("What it does", "Mathematics", "What it changes", "When it is wrong", "References")
"""Every cure's docstring has these sections, in this order."""


@dataclass(frozen=True)
class Cure:
    """One cure, as its file states it."""

    name: str
    """The file's, with hyphens: "swap-activation"."""
    group: str
    safety: str
    findings: tuple[str, ...]
    candidates: Mapping[str, tuple[str, str]]
    """Names that its candidates can have, each with group and safety."""
    summary: str
    doc: str
    order: int
    """Rank within its group."""
    at_first: int | None
    """How many of its candidates are tried where nobody asks for it by name; None = all."""
    phase: int
    """0 = it puts something into the model; the others act on the model as it then is, in the order of their phases."""
    searches_rate: bool
    """Whether its edit stands for a learning rate that is still to be found."""

    @property
    def module(self) -> ModuleType:
        """Its ``propose`` and ``apply_``; imports torch."""
        return importlib.import_module(f"{__name__}.{self.name.replace('-', '_')}")

    @property
    def page(self) -> str:
        """Markdown: the docstring, its candidates, and the findings it can help with."""
        rows = [f"| {name} | {group} | {safety} |" for name, (group, safety) in self.candidates.items()]
        candidates = "\n".join(["| candidate | group | safety |", "|---|---|---|", *rows])
        findings = "\n".join(f"- {code} {find_rule(code).name}" for code in self.findings)
        parts = (f"# {self.name}", self.summary, self.doc, "## Candidates", candidates, "## Findings it can help with")
        return "\n\n".join((*parts, findings)) + "\n"


@functools.cache
def load() -> tuple[Cure, ...]:
    """All cures in this folder, least intrusive first."""
    read = (_read(info.name) for info in pkgutil.iter_modules(__path__) if not info.ispkg)
    found = [cure for cure in read if cure is not None]
    return tuple(sorted(found, key=lambda cure: (GROUPS.index(cure.group), cure.order, cure.name)))


def _read(file_name: str) -> Cure | None:
    """What the file says of itself; None for a file that is no cure."""
    spec = importlib.util.find_spec(f"{__name__}.{file_name}")
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    if not any(isinstance(node, ast.FunctionDef) and node.name == "apply_" for node in tree.body):
        return None
    said = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _CONSTANTS:
                said[name] = ast.literal_eval(value)
    summary, _, doc = inspect.cleandoc(ast.get_docstring(tree) or "").partition("\n")
    return Cure(
        file_name.replace("_", "-"),
        said["GROUP"],
        said["SAFETY"],
        said["FINDINGS"],
        said["CANDIDATES"],
        summary.strip(),
        doc.strip(),
        said.get("ORDER", 0),
        said.get("AT_FIRST"),
        said["PHASE"],
        said.get("SEARCHES_RATE", False),
    )


_CONSTANTS = ("GROUP", "SAFETY", "PHASE", "SEARCHES_RATE", "FINDINGS", "CANDIDATES", "ORDER", "AT_FIRST")


def for_finding(code: str) -> tuple[Cure, ...]:
    """The cures that can help with a finding, least intrusive first."""
    return tuple(cure for cure in load() if code in cure.findings)


def rule_page(rule: Rule) -> str:
    """The page of a rule as Markdown: its docstring, and the cures that ``steadygrad cure`` tries for its finding."""
    rows = [f"- {cure.name} ({cure.group}, {cure.safety}): {cure.summary}" for cure in for_finding(rule.code)]
    tried = "\n".join(rows) or "None: what is wrong here is for a person to change."
    parts = (f"# {rule.code} {rule.name}", rule.summary, rule.doc, "## What `steadygrad cure` tries", tried)
    return "\n\n".join(parts) + "\n"


def explained(word: str) -> str:
    """The page of a rule, or what a word of the reports means. Raises ``UnknownRuleError`` naming the words."""
    said = meaning(word)
    if said is not None:
        term, text = said
        return f"**{term}**: {text}\n"
    try:
        return rule_page(find_rule(word))
    except UnknownRuleError as error:
        raise UnknownRuleError(f"{error}; words that it explains: {', '.join(TERMS)}") from None


def spelt(name: str) -> str:
    """The name of a cure or candidate as it is spelt here: lower case, hyphens."""
    return name.strip().lower().replace("_", "-")


def find(name: str) -> Cure:
    """The cure with this name, or with a candidate of it. Raises ``UnknownCureError`` naming the nearest."""
    word = spelt(name)
    for cure in load():
        if word == cure.name or word in cure.candidates:
            return cure
    if word.replace("-", " ") in GROUPS:
        members = ", ".join(cure.name for cure in load() if cure.group == word.replace("-", " "))
        raise UnknownCureError(f"{name!r} is a group of cures, not a cure; its cures are {members}")
    known = [known for cure in load() for known in (cure.name, *cure.candidates)]
    close = nearest(word, known)
    hint = f", did you mean {close}?" if close else ""
    raise UnknownCureError(f"no cure {name!r}{hint}; steadygrad cures lists them")
