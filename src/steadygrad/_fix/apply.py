"""A cure as a patch of the user's files: drafted, proven in a fresh process, shown as a diff. Nothing is written here.

A patch that does not reach the verdict that the cure reached is not offered; the next cure that heals is tried instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from steadygrad._check import check_subject
from steadygrad._fix.draft import Draft
from steadygrad._fix.save import diff_of, refuse_generated, write_files
from steadygrad._fix.source import Source, libcst
from steadygrad._fix.training import assumed
from steadygrad._fix.verify import operations_of, request, verify
from steadygrad._fix.writer import UNWRITABLE, by_hand, write
from steadygrad.cures.cured import Cured
from steadygrad.cures.evaluate import Options
from steadygrad.cures.plan import cure_subject
from steadygrad.errors import CannotFixError, SettingsError
from steadygrad.record import Verdict
from steadygrad.report import patch_in_notebook
from steadygrad.subject.subject import Subject
from steadygrad.written import in_short

TRIES = 5
"""Cures that are drafted at most, where one after the other cannot be written or does not hold."""

UNSAFE = "--unsafe-fixes (in Python: unsafe_fixes=True)"


@dataclass(frozen=True)
class Fixed:
    """A proven patch, or why there is none. ``print(fixed)`` shows the patch; a notebook shows it by itself.

    Nothing is written before ``write()``.
    """

    cured: Cured
    sources: tuple[Source, ...] = ()
    """The files that change; none where there is nothing to write."""
    told: tuple[str, ...] = ()
    """The parts of the cure that belong to none of the files."""
    elsewhere: tuple[str, ...] = ()
    """Other whole numbers of the constructor that it was checked with ("depth=25")."""
    why: str = ""
    """Why there is no patch."""
    tried: tuple[str, ...] = ()
    """The drafts, and why each was not offered."""
    by_hand: str = ""
    """The same cure as lines of Python, where it has no form in the source."""

    @property
    def found(self) -> bool:
        """Return whether there is a patch."""
        return bool(self.sources)

    @property
    def healthy(self) -> bool:
        """Return whether nothing is wrong in the first place."""
        return self.cured.before.verdict is Verdict.HEALTHY

    @property
    def safety(self) -> str:
        """The safety of the patch: "safe" where it changes numbers only."""
        return "" if self.cured.taken is None else self.cured.taken.candidate.safety

    @property
    def title(self) -> str:
        """The title of the written cure."""
        return "" if self.cured.taken is None else self.cured.taken.candidate.title

    @property
    def words(self) -> str:
        """Describe the patch, and what it was seen to do; else explain why there is none."""
        if not self.found:
            return self.why
        before, after = self.cured.before.verdict.value, self.cured.after.verdict.value
        also = f", also with {', '.join(self.elsewhere)}" if self.elsewhere else ""
        return f"{self.safety} fix, {self.title}: {before} → {after}, checked again in a fresh process{also}"

    def diff(self) -> str:
        """The patch as a unified diff that ``patch -p1`` takes; empty where there is none."""
        return "".join(diff_of(source) for source in self.sources)

    def write(self, *, unsafe_fixes: bool = False, allow_dirty: bool = False) -> list[str]:
        """Write every file of the patch, all or none; gives a line for each that was written.

        Raises ``SettingsError`` where the patch changes what the model computes and ``unsafe_fixes`` is not given;
        ``OutputError`` where a file was changed meanwhile, lies outside the project, has changes that git does not know (other
        than with ``allow_dirty``), or cannot be written; then every file is as it was.
        """
        if self.found and self.safety != "safe" and not unsafe_fixes:
            raise SettingsError(f"{self.title} changes what the model computes; to write it give {UNSAFE}")
        return write_files(self.sources, allow_dirty=allow_dirty)

    def __str__(self) -> str:
        return "\n".join(part for part in (self.diff(), self.words, *self.told, self.by_hand) if part)

    def __repr__(self) -> str:
        files = ", ".join(source.path.name for source in self.sources)
        return f"<Fixed: {in_short(self.words)}{f'; changes {in_short(files)}, write() writes them' if files else ''}>"

    def _repr_html_(self) -> str:
        more = (*self.told, *self.tried)
        healthy = self.found or self.healthy
        return patch_in_notebook.fragment(self.words, self.diff(), more, self.by_hand, healthy=healthy)


def make_fix(
    subject: Subject,
    asked: Mapping[str, Any],
    options: Options,
    progress: Callable[[str], None] | None = None,
) -> Fixed:
    """The least intrusive cure that has a form in the source and holds there. Nothing is written.

    ``asked`` are the plain options that the subject was made from: the fresh process makes it again from them.
    """
    libcst()
    tried: list[str] = []
    first: Cured | None = None
    without = tuple(name for name in UNWRITABLE if name not in options.only)
    if (options.only or options.best) and check_subject(subject, trial=options.trial).verdict is Verdict.HEALTHY:
        # Asked for by name or not, a model that is healthy is left as it is: a second fix changes nothing.
        options = replace(options, only=(), best=False)
    for _ in range(TRIES):
        cured = cure_subject(subject, replace(options, without=(*options.without, *without)), progress)
        first = first or cured
        if cured.before.verdict is Verdict.HEALTHY and cured.taken is None:
            return Fixed(cured, why="nothing to fix: the model is healthy as set up")
        if cured.taken is None or cured.after.verdict is not Verdict.HEALTHY:
            break
        candidate = cured.taken.candidate
        try:
            if progress is not None:
                progress(f"proving {candidate.title}")
            return _proven(subject, cured, asked)
        except CannotFixError as error:
            tried.append(f"{candidate.title}: {error}")
            # Of joined candidates the one that was added last goes; the next plan joins another.
            without = (*without, candidate.names[-1])
    assert first is not None
    if first.taken is None:
        return Fixed(first, why=first.words, tried=tuple(tried))
    why = "no cure that heals it can be written into the source"
    return Fixed(first, why=why, tried=tuple(tried), by_hand=by_hand(first))


def _proven(subject: Subject, cured: Cured, asked: Mapping[str, Any]) -> Fixed:
    """Return the proven fix. Raises ``CannotFixError`` where the cure cannot be written, or does not reach its verdict there."""
    assert cured.taken is not None
    draft = write(subject, cured)
    sources = tuple(source for source in draft.sources.values() if source.splices)
    if not sources:
        raise CannotFixError("; ".join(draft.told) or "the source has no place for it")
    for source in sources:
        refuse_generated(source)
    patched = {source.path: source.patched_bytes for source in sources}
    clips = [edit for edit in cured.taken.candidate.edits if edit.action == "clipping"]
    clip = (clips[0].to, clips[0].value or 0.0, clips[0].high or 1.0) if clips else None
    rate = cured.taken.rate if _rate_is_elsewhere(draft, asked) else None
    seen = verify(request(patched, subject.target, asked, rate, clip))
    if seen.verdict.startswith("cannot run"):
        raise CannotFixError(f"the patched source {seen.verdict}")
    if seen.verdict != cured.after.verdict.value:
        raise CannotFixError(f"written into the source it does not hold ({seen.verdict})")
    if seen.operations != operations_of(cured.after.trace):
        raise CannotFixError("written into the source it does not reach what the cure reached")
    for words, verdict in seen.elsewhere.items():
        if verdict != Verdict.HEALTHY.value:
            raise CannotFixError(f"written into the source it does not hold with {words} ({verdict})")
    return Fixed(cured, sources, tuple(draft.told), tuple(seen.elsewhere))


def _rate_is_elsewhere(draft: Draft, asked: Mapping[str, Any]) -> bool:
    """Return whether the subject's optimizer is none that the target makes, so that no file decides its learning rate."""
    return draft.rate_told or bool(asked["optimizer"]) or assumed(draft.subject)
