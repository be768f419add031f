"""The site builds without a warning, and every link inside of it leads to a page, a place or a picture that is there."""

from __future__ import annotations

import html.parser
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

DOCS = Path(__file__).parents[2] / "docs"

needs_sphinx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "furo", "myst_nb", "sphinx_click")),
    reason="the group docs is not installed; make site installs it",
)


class Page(html.parser.HTMLParser):
    """The links, pictures and places of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.places |= {value for name in ("id", "name") if (value := given.get(name))}
        link = given.get("href" if tag in ("a", "link") else "src")
        if link and ":" not in link.partition("#")[0]:
            self.links.append(unquote(link))


def broken(site: Path) -> list[str]:
    """Links inside of the site that lead nowhere."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in page.links:
            name, _, place = link.partition("#")
            name = name.partition("?")[0]
            leads_to = (path.parent / name).resolve() if name else path
            if not leads_to.exists() or (place and leads_to in pages and place not in pages[leads_to].places):
                found.append(f"{path.relative_to(site.resolve())}: {link}")
    return found


def build(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    options = ["-W", "--keep-going", "-n", "-q", "-E", "-d", str(site.with_name("doctrees"))]
    command = [sys.executable, "-m", "sphinx", *options, "-b", "html", str(docs), str(site)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})


@pytest.mark.long
@needs_sphinx
def test_the_site_builds_without_a_warning_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    done = build(DOCS, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "rules" / "SG102.html").is_file()
    tutorial = (tmp_path / "site" / "tutorial.html").read_text(encoding="utf-8")
    assert tutorial.count('<div class="sg-report">') >= 5 and "unpkg.com" not in tutorial
    assert broken(tmp_path / "site") == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><a href="b.html#gone">x</a><img src="no.png">')
    (tmp_path / "b.html").write_text('<p id="here"><a href="https://example.org/">outside</a></p>')
    assert broken(tmp_path) == ["a.html: b.html#gone", "a.html: no.png"]


def test_every_experiment_has_a_figure_that_follows_the_scheme() -> None:
    for page in (DOCS / "lab").glob("[!R]*.md"):
        figures = list((DOCS / "lab" / "figures").glob(f"{page.stem}-[0-9].svg"))
        assert figures, page.stem
        for figure in figures:
            text = figure.read_text(encoding="utf-8")
            assert (
                "prefers-color-scheme:dark" in text
                and "aria-label=" in text
                and "http" not in text.replace("http://www.w3.org/", "")
            )
