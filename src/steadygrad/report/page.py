"""A whole HTML page around what a room draws: character set, title, both colour schemes; it asks for nothing outside.

The policy in its head lets no script run and nothing be loaded, whatever stands in the body.
"""

from __future__ import annotations

from collections.abc import Iterable

from steadygrad.report import svg

_COLOURS = ":root{--e:#c9303e;--w:#a86500;--i:#2277aa;--h:#20854a;color-scheme:light dark}"
_DARK = "@media(prefers-color-scheme:dark){:root{--e:#ff7b85;--w:#f0b040;--i:#6cc0f0;--h:#5fd08a}}"
_STYLE = f"""{_COLOURS}{_DARK}
body{{margin:0;background:#fff;color:#1b1f24;font:15px/1.55 system-ui,sans-serif}}
@media(prefers-color-scheme:dark){{body{{background:#14171a;color:#e6e8ea}}}}
main{{max-width:60rem;margin:0 auto;padding:1rem}}h1{{font-size:1.25rem;line-height:1.35;margin:.2em 0 .8em}}
h2{{font-size:1rem;margin:1.6em 0 .3em}}table{{border-collapse:collapse}}th{{text-align:left;opacity:.7;font-weight:400}}
td,th{{padding:.15em .9em .15em 0;vertical-align:top}}.scroll{{overflow-x:auto}}
.healthy{{color:var(--h)}}.risk{{color:var(--w)}}.fails{{color:var(--e)}}
code,pre{{font:13px/1.5 ui-monospace,monospace}}footer{{margin-top:2em;font-size:12px;opacity:.7}}
"""

VERDICT_CLASS = {"healthy": "healthy", "at risk": "risk", "will not train": "fails"}


def page(title: str, body: str, *, style: str = "", foot: str = "") -> str:
    """The page. ``title`` and ``foot`` are escaped here; ``body`` and ``style`` are HTML and CSS of ours."""
    below = f"<footer>{svg.safe(foot)}</footer>" if foot else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"/>"
        '<meta name="viewport" content="width=device-width,initial-scale=1"/><link rel="icon" href="data:,"/>'
        f"<title>{svg.safe(title)}</title><style>{_STYLE}{svg.STYLE}{style}</style></head>\n"
        f"<body><main>{body}{below}</main></body></html>"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of plain texts, which scrolls by itself where it is wider than the page."""
    first = "".join(f"<th>{svg.safe(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{svg.safe(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{first}</tr>{body}</table></div>'
