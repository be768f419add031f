"""The HTML pages: whole, inert, and quiet; opened in a real browser over HTTP where one is installed."""

from __future__ import annotations

import functools
import json
import math
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from steadygrad._guard.live import widget
from steadygrad.record import CureRecord, Location, Severity
from steadygrad.record.depth import DepthFinding, DepthRecord, Law, LayerScale
from steadygrad.record.proof import Arm, ProofRecord, Run
from steadygrad.record.rates import RateSearchRecord, RateTried
from steadygrad.record.scale import Exponent, ScaleFinding, ScaleRecord, WeightScale
from steadygrad.record.transfer import RateRun, Sweep, TransferRecord
from steadygrad.report import cured_page, html, patch_in_notebook, proof_page, rates_in_notebook, render, scale_page
from steadygrad.report.run import as_html
from steadygrad.report.run import render as render_run
from tests.report import records, runs
from tests.report.test_formats import Tags

BAD = "<script>alert(1)</script>"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def cured() -> str:
    sick, well = records.vanishing(), records.healthy()
    return cured_page.render(CureRecord((), sick, well, f"taken: {BAD}", 0, 1.5))


def proven() -> ProofRecord:
    before = Arm("before", "AdamW", (Run(0, (2.3, 2.3, float("inf")), None, ()),))
    after = Arm("after", "AdamW", (Run(0, (2.3, 1.0, 0.5), 0.9, ()),))
    return ProofRecord(before, after, 3, 1.15, BAD, "folded initialisation", "")


def proof() -> str:
    return proof_page.render(proven())


def scaled() -> ScaleRecord:
    """Two weights, one of which moves the more the wider the model is, and the sweeps of rates."""
    flat, grown = Exponent(0.0, 0.01, (1.0, 1.0, 1.0)), Exponent(1.0, 0.01, (1.0, 2.0, 4.0))
    weights = tuple(
        WeightScale(name, "linear", "hidden", None, flat, flat, flat, update, flat)
        for name, update in (("first.weight", flat), (BAD, grown))
    )
    place = Location("net.py", 3, 1, 3, 1 + len(BAD), BAD)
    finding = ScaleFinding(Severity.ERROR, "rate", (BAD,), 1.0, place, f"{BAD} grows", BAD)
    runs = (RateRun(0.5, 2.0), RateRun(1.0, 1.0), RateRun(2.0, math.inf))
    sweep = Sweep(16, 2.5, runs)
    transfer = TransferRecord(100, BAD, sweep, replace(sweep, size=64), replace(sweep, size=64), (BAD,))
    sizes = (16, 32, 64)
    return ScaleRecord(BAD, "width", sizes, 3, 2, "Adam", True, weights, (), (finding,), 1.0, transfer)


def deepened() -> DepthRecord:
    """A net whose gradient falls from layer to layer, as far as no float goes."""
    falls, stays = Law("exponential", -60.0, 0.1, (0.0, -240.0, -480.0)), Law("power", 0.0, 0.1, (0.0, 0.0, 0.0))
    finding = DepthFinding(Severity.ERROR, "gradient", (), None, f"{BAD} falls", BAD)
    layer = LayerScale(BAD, None, False, stays)
    laws = (stays, falls, stays, Law("none", math.nan, math.nan, ()))
    return DepthRecord(BAD, "layers", (4, 8, 12), 1, 2, "Adam", True, *laws, (layer,), False, None, (finding,), 1.0)


def pages() -> dict[str, str]:
    checks = {f"check-{name}": render(make(), "html") for name, make in records.ALL.items()}
    shown = {f"run-{name.replace(' ', '-')}": str(render_run(make(), "html")) for name, make in runs.ALL.items()}
    grown = {"scale": scale_page.render(scaled()), "scale-depth": scale_page.render(deepened())}
    return {**checks, **shown, **grown, "cure": cured(), "prove": proof()}


PAGES = functools.cache(pages)


@pytest.mark.parametrize("name", pages())
def test_a_page_is_whole_and_asks_for_nothing(name: str) -> None:
    text = PAGES()[name]
    assert text.startswith('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>')
    assert "prefers-color-scheme:dark" in text and "default-src 'none'" in text
    assert re.search(r"<title>[^<]+</title><style>", text)
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert not tags.open
    assert not tags.seen & {"script", "img", "iframe", "object"}
    assert not re.search(r"https?:|url\(|@import|src=", text)


def test_names_that_are_tags_stay_text() -> None:
    for text in (cured(), proof(), PAGES()["scale"], PAGES()["scale-depth"]):
        assert BAD not in text and "&lt;script&gt;alert(1)" in text
    record = replace(records.vanishing(), setup=records.setup(BAD))
    assert BAD not in render(record, "html")


def test_the_lines_that_take_most_come_first_and_what_is_found_there_is_red() -> None:
    text = render(records.vanishing(), "html")
    rows = re.findall(r'class="(bar[a-z ]*)" style="width:(\d+)%"', text)
    assert rows[0] == ("bar blamed", "100")
    assert text.count('class="blamed"') == 40
    assert "blamed" not in render(records.healthy(), "html").split("</style>")[1]


def fragments() -> dict[str, str]:
    sick, well = records.vanishing(), records.healthy()
    tried = (RateTried(1e-3, (2.0, 1.0), False), RateTried(1.0, (2.0, math.inf), True))
    return {
        **{f"check-{name}": html.fragment(make()) for name, make in records.ALL.items()},
        "cure": cured_page.fragment(CureRecord((), sick, well, f"taken: {BAD}", 0, 1.5)),
        "prove": proof_page.fragment(proven()),
        "scale": scale_page.fragment(scaled()),
        "scale-depth": scale_page.fragment(deepened()),
        "lr": rates_in_notebook.fragment(RateSearchRecord(tried, 10, 1e-3, BAD)),
        "lr-none": rates_in_notebook.fragment(RateSearchRecord(tried[1:], 10, None, BAD)),
        "fix": patch_in_notebook.fragment(BAD, f"--- a\n+++ b\n-x\n+{BAD}\n", (BAD,), BAD, healthy=False),
        **{f"run-{name.replace(' ', '-')}": as_html.fragment(make()) for name, make in runs.ALL.items()},
    }


FRAGMENTS = functools.cache(fragments)


@pytest.mark.parametrize("name", fragments())
def test_a_notebook_gets_a_fragment_with_a_style_of_its_own(name: str) -> None:
    text = FRAGMENTS()[name]
    assert text.startswith("<style>") and "<html" not in text and "<body" not in text
    assert "[data-jp-theme-light=false] .sg-report" in text and "prefers-color-scheme:dark" in text
    assert BAD not in text and len(text) < 200_000
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert not tags.open
    assert not tags.seen & {"script", "img", "iframe", "object", "h1"}
    assert not re.search(r"https?:|url\(|@import|src=", text)


def test_a_fragment_keeps_to_itself() -> None:
    """Every rule of its style is for what stands in the fragment: a notebook has one page for all outputs."""
    for name, text in FRAGMENTS().items():
        style = text[len("<style>") : text.index("</style>")]
        selectors = re.findall(r"([^{}]+)\{", re.sub(r"@media\([^)]*\)\{", "", style))
        outside = [one.strip() for each in selectors for one in re.split(r",(?![^(]*\))", each) if ".sg-" not in one]
        assert outside == [], name


def test_a_fragment_leaves_out_what_is_too_long_and_says_so() -> None:
    (finding,) = records.vanishing().findings[:1]
    many = replace(records.vanishing(), findings=(replace(finding, message="m" * 1000),) * 400)
    text = html.fragment(many)
    assert 100_000 < len(text) < 200_000
    assert re.search(r"\d+ of \d+ parts are too long for a notebook; print the result to see all", text)


class _Asked(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        self.asked.append(self.path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str], Path]]:
    asked: list[str] = []
    handler = functools.partial(type("Asked", (_Asked,), {"asked": asked}), directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked, tmp_path
    server.shutdown()
    server.server_close()


def opened(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    return subprocess.run(
        [*command, "--enable-logging=stderr", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.long
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is here")
def test_a_browser_asks_for_the_page_alone_and_has_nothing_to_complain_of(
    served: tuple[str, list[str], Path],
) -> None:
    url, asked, folder = served
    for name in ("check-hostile", "run-story", "cure", "prove"):
        (folder / f"{name}.html").write_text(PAGES()[name], encoding="utf-8")
        asked.clear()
        done = opened(f"{url}/{name}.html", folder)
        assert asked == [f"/{name}.html"]
        assert "CONSOLE" not in done.stderr
        assert "Ã" not in done.stdout and "â€" not in done.stdout


@pytest.mark.long
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is here")
def test_the_browser_does_say_what_is_wrong(served: tuple[str, list[str], Path]) -> None:
    url, asked, folder = served
    (folder / "bad.html").write_text(
        '<img src="/other.png"><script>console.error("CONSOLE")</script>', encoding="utf-8"
    )
    done = opened(f"{url}/bad.html", folder)
    assert "/other.png" in asked
    assert "CONSOLE" in done.stderr


AS_A_NOTEBOOK_DOES = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="cell"></div>
<script type="module">
import picture from "./picture.js";
import pages from "./pages.js";
const state = { html: pages[0] }, listening = {};
const model = { get: name => state[name], on: (event, then) => { listening[event] = then; } };
picture.render({ model, el: document.getElementById("cell") });
state.html = pages[1];
listening["change:html"]();
</script>
"""


@pytest.mark.long
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is here")
def test_the_live_picture_becomes_what_the_run_is(served: tuple[str, list[str], Path]) -> None:
    pytest.importorskip("anywidget", reason="the extra notebook is not installed")
    url, _, folder = served
    first, last = as_html.fragment(runs.ALL["three steps"]()), as_html.fragment(runs.ALL["story"]())
    shown = widget(first)
    assert shown is not None
    given = f"export default {json.dumps([first, last])};"
    files = {"picture.js": shown._esm, "pages.js": given, "index.html": AS_A_NOTEBOOK_DOES}
    for name, text in files.items():
        (folder / name).write_text(str(text), encoding="utf-8")
    done = opened(f"{url}/index.html", folder)
    assert "CONSOLE" not in done.stderr
    cell = done.stdout.partition('<div id="cell">')[2].rpartition('<script type="module">')[0]
    said, before, after = (" ".join(unescape(re.sub("<[^>]+>", " ", page)).split()) for page in (cell, first, last))
    assert said == after != before
