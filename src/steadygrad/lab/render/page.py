"""Runs as one HTML page: self-contained, from disk, light and dark, for a phone too. Every string is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from steadygrad.lab.outcome import REFUTED, SUPPORTED, Ran, Reading
from steadygrad.lab.parameters import shown
from steadygrad.lab.render import picture, words
from steadygrad.numerals import count, seconds
from steadygrad.report.words import clean

_CLASS = {SUPPORTED: "yes", REFUTED: "no"}

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1e22;--soft:#5a6068;--paper:#fffffe;--page:#f3f4f6;--line:#c9ced4;
--yes:#11703c;--no:#b3261e;--open:#8a5a00;--link:#0068a8;
--s0:#0068a8;--s1:#c44e00;--s2:#00805e;--s3:#a8448c;--s4:#8a6d00;--s5:#5a5f66}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#a3aab3;--paper:#1b1e22;--page:#121417;--line:#3c424a;
--yes:#63cf8f;--no:#ff8a80;--open:#f0b84a;--link:#6cb8f0;
--s0:#5db4f2;--s1:#ff9a57;--s2:#4fd0a5;--s3:#e58acb;--s4:#d9bd4a;--s5:#b4bac2}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:76rem;margin:0 auto;padding:1rem}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:0}h2 code{font-size:1em}
a{color:var(--link)}p{margin:.4rem 0;max-width:48rem}
article{background:var(--paper);border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:1rem 0}
.yes{color:var(--yes)}.no{color:var(--no)}.open{color:var(--open)}.soft{color:var(--soft)}
.verdict{font-weight:650}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:.5rem 1rem;margin:.8rem 0}
figure{margin:0;max-width:34rem}svg{width:100%;height:auto;display:block}svg text{font-family:system-ui,sans-serif!important}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.2rem 1rem;margin:.6rem 0;max-width:60rem}
dt{color:var(--soft)}dd{margin:0}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;
border-top:1px solid var(--line)}th{font-weight:500;color:var(--soft)}
nav table td:first-child{white-space:nowrap}
@media(max-width:40rem){body{font-size:15px}main{padding:.5rem}article{padding:.8rem}dl{grid-template-columns:1fr;gap:0}
dd{margin-bottom:.5rem}.readings thead{display:none}.readings tr{display:block;border-top:1px solid var(--line);padding:.3rem 0}
.readings td{display:block;border:0;padding:.1rem 0}
.readings td:nth-child(2)::before{content:"measured ";color:var(--soft)}
.readings td:nth-child(3)::before{content:"the claim needs ";color:var(--soft)}
nav .soft{display:none}}
"""


def render(runs: Sequence[Ran], version: str) -> str:
    """The page; raises ``OutputError`` where matplotlib is not there to draw it."""
    tally = {verdict: sum(ran.outcome.verdict == verdict for ran in runs) for verdict in _verdicts(runs)}
    told = ", ".join(f"{amount} {verdict}" for verdict, amount in tally.items())
    named = [(ran, f"experiment-{number}") for number, ran in enumerate(runs, 1)]
    rows = "".join(
        f'<tr><td><a href="#{anchor}">{_safe(ran.name)}</a></td>'
        f'<td class="soft">{_safe(ran.summary)}</td><td>{_verdict(ran.outcome.verdict)}</td></tr>'
        for ran, anchor in named
    )
    articles = "".join(_article(ran, anchor) for ran, anchor in named)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>steadygrad lab: {count(len(runs), 'experiment')}</title><style>{_STYLE}</style></head><body><main>"
        "<h1>Why gradients vanish and explode: the lab</h1>"
        f"<p>{_safe(count(len(runs), 'experiment'))}: {_safe(told)}. Each states a claim of the field with its source, "
        "measures it, and says whether it held at these settings. Intervals are 95\N{NO-BREAK SPACE}%. "
        f"steadygrad {_safe(version)}.</p>"
        f"<nav><table>{rows}</table></nav>{articles}</main></body></html>\n"
    )


def _verdicts(runs: Sequence[Ran]) -> list[str]:
    return list(dict.fromkeys(sorted((ran.outcome.verdict for ran in runs), key=lambda one: one != SUPPORTED)))


def _article(ran: Ran, prefix: str) -> str:
    outcome = ran.outcome
    figures = "".join(
        f"<figure>{picture.svg(figure, f'{prefix}-{number}')}</figure>" for number, figure in enumerate(outcome.figures)
    )
    about = dict(ran.sections)
    claim = about.pop("Claim", "")
    facts = [("Seen", outcome.seen), *about.items(), ("Settings", words.settings(ran))]
    definitions = "".join(f"<dt>{_safe(name)}</dt><dd>{_safe(text)}</dd>" for name, text in facts if text)
    changed = [f"--set {name}={shown(ran.parameters[name]).replace(',', '')}" for name in ran.changed]
    command = " ".join(
        [
            "steadygrad lab run",
            ran.name,
            *(["--quick"] if ran.quick else []),
            *changed,
            *([f"--seed {ran.seed}"] * (ran.seed != 0)),
        ]
    )
    return (
        f'<article id="{prefix}"><h2><code>{_safe(ran.name)}</code></h2><p>{_safe(ran.summary)}</p>'
        f'<p>{_verdict(outcome.verdict)} <span class="soft">· {_safe(seconds(ran.seconds))}</span></p>'
        f"{f'<p><b>Claim.</b> {_safe(claim)}</p>' if claim else ''}"
        f'<div class="figures">{figures}</div>{_readings(outcome.readings)}<dl>{definitions}</dl>'
        f'<p class="soft"><code>{_safe(command)}</code></p></article>'
    )


def _readings(readings: Sequence[Reading]) -> str:
    rows = "".join(
        f"<tr><td>{_safe(one.what)}</td><td>{_safe(words.measured(one))}</td>"
        f"<td>{_safe(words.needed(one))}</td><td>{_verdict(one.verdict)}</td></tr>"
        for one in readings
    )
    head = "<tr><th>reading</th><th>measured (95 % interval)</th><th>the claim needs</th><th></th></tr>"
    return f'<table class="readings"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def _verdict(verdict: str) -> str:
    return f'<span class="verdict {_CLASS.get(verdict, "open")}">{_safe(verdict)}</span>'


def _safe(text: str) -> str:
    return escape(clean(text), quote=True)
