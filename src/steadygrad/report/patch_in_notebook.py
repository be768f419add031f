"""A patch as HTML for a notebook: what it does, its lines in the colours of a diff, and what is left to do by hand.

May rely on the parts beside it; takes plain texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from steadygrad.report.fragment import fragment as in_notebook
from steadygrad.report.fragment import headline
from steadygrad.report.svg import safe

STYLE = ".sg-report pre.sg-patch{white-space:pre}.sg-report .sg-patch span{color:var(--c)}"


def fragment(words: str, diff: str, more: Sequence[str] = (), by_hand: str = "", *, healthy: bool) -> str:
    """An HTML fragment for ``_repr_html_``, with the style of its own. ``healthy``: whether all is well with the patch."""
    parts = [headline(words, kind="healthy" if healthy else "at risk")]
    if diff:
        lines = "\n".join(map(_line, diff.splitlines()))
        parts.append(f'<pre class="sg-patch">{lines}</pre>')
    parts += [f"<p>{safe(text)}</p>" for text in more]
    if by_hand:
        lines = "\n".join(map(safe, by_hand.splitlines()))
        parts.append(f"<pre>{lines}</pre>")
    return in_notebook(parts, style=STYLE)


def _line(line: str) -> str:
    kind = "" if line.startswith(("+++", "---")) else {"+": "h", "-": "e", "@": "i"}.get(line[:1], "")
    return f'<span class="{kind}">{safe(line)}</span>' if kind else safe(line)
