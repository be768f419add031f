"""What a notebook shows of a result: a piece of HTML with a style of its own, for light and dark.

It loads nothing and holds no script. It takes the notebook's own colour of text; only severities, verdicts and curves bring one.
May rely on the SVG beside it; must not know what is shown.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.report import svg

MOST = 150_000
"""Characters. A notebook keeps every output in its file; what is longer is left out, and that is said."""

_LIGHT = "{--e:#c9303e;--w:#a86500;--i:#2277aa;--h:#20854a}"
_DARK = "{--e:#ff7b85;--w:#f0b040;--i:#6cc0f0;--h:#5fd08a}"
# JupyterLab and nbconvert, VS Code, and the theme of the documentation say which scheme is on; elsewhere the browser does.
_IS_LIGHT = ("[data-jp-theme-light=true]", ".vscode-light", "[data-theme=light]")
_IS_DARK = ("[data-jp-theme-light=false]", ".vscode-dark", "[data-theme=dark]")

# The name stands twice in a selector where a notebook's own style of tables is as specific as one of it.
STYLE = f"""
.sg-report{{font:13px/1.5 system-ui,sans-serif;max-width:60rem}}
.sg-report{_LIGHT}
@media(prefers-color-scheme:dark){{.sg-report{_DARK}}}
{",".join(f"{scheme} .sg-report" for scheme in _IS_LIGHT)}{_LIGHT}
{",".join(f"{scheme} .sg-report" for scheme in _IS_DARK)}{_DARK}
.sg-report .e{{--c:var(--e)}}.sg-report .w{{--c:var(--w)}}.sg-report .i{{--c:var(--i)}}.sg-report .h{{--c:var(--h)}}
.sg-report section{{border-left:3px solid var(--c);padding:0 0 0 .8em;margin:.8em 0}}
.sg-report b{{font-weight:600}}.sg-report .c{{color:var(--c)}}.sg-report p{{margin:.1em 0}}
.sg-report pre{{margin:.3em 0;padding:.4em .6em;overflow-x:auto;background:rgba(128,128,128,.12);color:inherit}}
.sg-report code,.sg-report pre{{font:12px/1.5 ui-monospace,monospace}}
.sg-report :not(pre)>code{{background:none;color:inherit;padding:0}}
.sg-report mark{{background:none;color:inherit;border-bottom:2px solid var(--c)}}
.sg-report dl{{display:grid;grid-template-columns:max-content 1fr;gap:0 1em;margin:.4em 0}}
.sg-report dt{{opacity:.65;font-weight:400;margin:0}}.sg-report dd{{margin:0;overflow-wrap:anywhere}}
.sg-report h2{{font:inherit;font-weight:600;margin:1em 0 .2em;padding:0}}
.sg-report ul{{margin:.3em 0;padding-left:1.3em}}
.sg-report table{{border-collapse:collapse;font-size:inherit;margin:.3em 0;table-layout:auto}}
.sg-report.sg-report :is(td,th){{padding:.1em .9em .1em 0;text-align:left;vertical-align:top;border:none;line-height:inherit}}
.sg-report.sg-report .n{{text-align:right;white-space:nowrap}}
.sg-report th{{font-weight:400;opacity:.7}}.sg-report table tbody tr:nth-child(n){{background:none}}
.sg-report .scroll{{overflow-x:auto}}
"""

CLASS = {"error": "e", "warning": "w", "info": "i", "healthy": "h", "at risk": "w", "will not train": "e"}
"""The class of the style for a severity and for a verdict, which sets its colour."""


def headline(strong: str, *more: str, kind: str) -> str:
    """The first line: what matters most in the colour of ``kind``, a key of ``CLASS``; all of it is escaped here."""
    rest = "".join(f" · {svg.safe(text)}" for text in more if text)
    return f'<p class="{CLASS[kind]}"><b class="c">{svg.safe(strong)}</b>{rest}</p>'


def fragment(parts: Iterable[str], *, style: str = "") -> str:
    """The parts, which are HTML of ours, each whole in itself; those that would make it longer than ``MOST`` are left out."""
    kept, left, size = [], 0, 0
    for part in parts:
        if size + len(part) <= MOST:
            kept.append(part)
            size += len(part)
        else:
            left += 1
    if left:
        kept.append(
            f"<p>{left} of {left + len(kept)} parts are too long for a notebook; print the result to see all</p>"
        )
    return f'<style>{STYLE}{svg.STYLE}{style}</style><div class="sg-report">{"".join(kept)}</div>'
