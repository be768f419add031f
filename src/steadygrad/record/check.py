"""One check, whole: the verdict, the findings, and everything they rest on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from steadygrad.errors import CorruptReportError, FindingsError
from steadygrad.record.codec import SCHEMA_VERSION, from_jsonable, json_text, to_jsonable
from steadygrad.record.finding import Finding, Severity, Verdict
from steadygrad.record.steptest import StepTest
from steadygrad.record.trace import BlindSpot, Trace, Trunk
from steadygrad.written import in_short

TRUNK_SUMMARY = ("end", "decades", "blame")
"""The part of the trunk that JSON repeats at the top, where ``report.trunk`` is; its steps are in the trace."""

CODES = 10
"""Findings whose codes are named in one line."""


class Tier(StrEnum):
    """The depth of a check: one pass, a few steps on a copy, or as many as were asked for."""

    PROBE = "probe"
    STEP_TEST = "step test"
    TRIAL = "trial"

    @classmethod
    def from_text(cls, text: str) -> Tier:
        """The tier called so; of a report that says what it saw as well ("probe: +0.3 decades"), the one that begins it."""
        return cls(text.partition(": ")[0])


@dataclass(frozen=True, slots=True)
class Assumption:
    """One thing about what was examined that the user did not state."""

    about: str
    """"batch", "target", "loss" or "optimizer"; "file" = what the target's own file brought, which is no guess."""
    words: str
    by_default: bool = True
    """Whether it is ours; False where the model or its file says so."""

    @property
    def text(self) -> str:
        """The sentence: "loss: cross-entropy against random labels"; for something from a file without the word in front."""
        return f"{self.about}: {self.words}" if self.about and self.about != "file" else self.words

    @classmethod
    def from_text(cls, text: str) -> Assumption:
        """One of a report written when assumptions were sentences."""
        if text.startswith("from "):
            return cls("file", text, by_default=False)
        about, colon, words = text.partition(": ")
        return cls(about, words) if colon and about in ("batch", "target", "loss", "optimizer") else cls("", text)


@dataclass(frozen=True, slots=True)
class Setup:
    """The subject of a check, in words, and what had to be assumed of it."""

    model: str
    """Class name of the model."""
    parameters: int
    """Number of parameter elements."""
    batch: str
    loss: str
    optimizer: str
    device: str
    seed: int
    assumptions: tuple[Assumption, ...] = ()
    target: str = ""
    typed: tuple[str, ...] = ()
    """The command-line arguments that make the subject: ("net.py", "--arg", "depth=20"); empty for a call."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Wall-clock cost, in seconds; ratios are to one plain forward and backward of the same model."""

    plain: float | None
    probe: float
    step_test: float | None = None
    total: float = 0.0


@dataclass(frozen=True)
class CheckRecord:
    """The outcome of one check. Never prints or exits by itself."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    trace: Trace
    trial: StepTest | None
    """The step test; None with ``trial=0`` or where it could not run (a note says why)."""
    setup: Setup
    cost: Cost
    tiers: tuple[Tier, ...]
    """The tiers that ran, in this order; their results are in ``trace`` and ``trial``."""
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    """Findings that settings or a comment suppressed, one line each."""

    def __repr__(self) -> str:
        """Return the verdict, the model and the codes, on one line."""
        return f"<{type(self).__name__}: {in_short(self.in_short)}>"

    @property
    def in_short(self) -> str:
        """The verdict, the model, and the codes of the findings: "will not train, Sequential, 2 findings (SG101, SG102)"."""
        codes = ", ".join(dict.fromkeys(finding.code for finding in self.findings[:CODES]))
        more = ", …" if len(self.findings) > CODES else ""
        count = f"{len(self.findings)} finding{'' if len(self.findings) == 1 else 's'}"
        return f"{self.verdict.value}, {self.setup.model}, {count}{f' ({codes}{more})' if codes else ''}"

    @property
    def trunk(self) -> Trunk | None:
        """The trunk of the trace."""
        return self.trace.trunk

    @property
    def blind_spots(self) -> tuple[BlindSpot, ...]:
        """The parts that the probe could not follow."""
        return self.trace.blind_spots

    def at_least(self, severity: Severity | str) -> tuple[Finding, ...]:
        """Return the findings of this severity or worse."""
        rank = Severity(severity).rank
        return tuple(finding for finding in self.findings if finding.severity.rank <= rank)

    def raise_for(self, severity: Severity | str = Severity.ERROR) -> None:
        """Raise ``FindingsError`` if there is a finding of this severity or worse."""
        found = self.at_least(severity)
        if found:
            lines = [f"{f.location or f.module or 'model'}: {f.code} {f.message}" for f in found]
            raise FindingsError(f"{self.verdict.value}: " + "; ".join(lines))

    def to_json(self, *, indent: int | None = 2) -> str:
        """The whole record as JSON, ``"version": 1`` first; the published schema describes it."""
        body = to_jsonable(self)
        trunk = body["trace"]["trunk"]
        if trunk is not None and self.trunk is not None:
            trunk["decades"] = to_jsonable(self.trunk.decades)
            trunk["blame"] = to_jsonable(self.trunk.blame)
        body["trunk"] = None if trunk is None else {name: trunk[name] for name in TRUNK_SUMMARY}
        return json_text({"version": SCHEMA_VERSION, **body}, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what ``to_json`` wrote. Raises ``CorruptReportError`` for anything else."""
        try:
            body: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CorruptReportError(f"not JSON: {error}") from None
        if not isinstance(body, dict) or "version" not in body:
            raise CorruptReportError("it has no 'version'; it was not written by steadygrad check --output-format json")
        if body["version"] != SCHEMA_VERSION:
            version = str(body["version"])[:20]
            raise CorruptReportError(f"its version is {version!r}, this steadygrad reads {SCHEMA_VERSION}")
        return from_jsonable(cls, {key: value for key, value in body.items() if key != "version"})
