"""One run as text, JSON, picture and page: the same numbers, within the width, self-contained, escaped."""

from __future__ import annotations

import json
import math
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.cells import cell_len

from steadygrad.errors import OutputError
from steadygrad.lab import Arrow, Box, Curve, Diagram, Outcome, Panel, Ran, Reading
from steadygrad.lab.outcome import REFUTED, SUPPORTED
from steadygrad.lab.render import as_json, page, picture, terminal, text, words
from steadygrad.report.colour import Paint

EVIL = '<script>alert("1")</script> & $x_{1}$ \x1b[31m'

X = tuple(float(number) for number in range(8))
PANEL = Panel(
    "A title",
    "layers",
    "decades",
    (
        Curve("falling", X, tuple(-2 * x for x in X), tuple(-2 * x - 1 for x in X), tuple(-2 * x + 1 for x in X)),
        Curve("law", X, tuple(-2.1 * x for x in X), style="dashed"),
        Curve("points", X, (0.0, math.nan, -3.0, -6.0, -7.0, math.inf, -11.0, -14.0), style="points"),
    ),
)
LOG = Panel("Rates", "rate", "loss", (Curve("loss", (1e-4, 1e-2, 1.0), (3.0, 0.01, 0.5)),), x_log=True, y_log=True)
DIAGRAM = Diagram(
    "A block",
    (Box("h", 0, 0, "label"), Box("f", 2, 0), Box("+", 4, 0, "sum")),
    (Arrow(((0, 0), (2, 0))), Arrow(((0, 0), (0, 1), (4, 1), (4, 0.4)), strong=True)),
    "h ──▶ [f] ──▶ (+)" + " and on" * 12,
    "h goes through f and around it",
)


def ran(name: str = "an-experiment", *, note: str = "What was seen.", value: float = -14.0) -> Ran:
    outcome = Outcome(
        (
            Reading("end of the fall", value, value - 1, value + 1, "decades", greatest=-10.0),
            Reading("n", 3, 3, 3, least=0),
        ),
        (PANEL, LOG, DIAGRAM),
        note,
    )
    sections = {
        "Claim": "It falls.",
        "Source": "Author 2001, equation 1.",
        "Measurement": "Measured.",
        "Refuted by": "A rise.",
    }
    return Ran(name, "It falls as said.", sections, {"depth": 8, "kind": "relu"}, 3, True, outcome, 1.25, ("depth",))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("color", ["never", "always"])
def test_text_stays_within_the_width(width: int, color: str) -> None:
    shown = text.render(ran(note="One long remark " * 12), width=width, color=color)  # type: ignore[arg-type]
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert max(map(cell_len, plain.splitlines())) <= width
    assert ("\x1b[" in shown) == (color == "always")
    for part in ("It falls.", "equation 1", "seed 3", "supported"):
        assert part in " ".join(plain.split())


def test_text_without_colour_says_all_that_colour_says() -> None:
    plain, coloured = (text.render(ran(), width=80, color=color) for color in ("never", "always"))  # type: ignore[arg-type]
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_text_says_what_was_measured_and_what_the_claim_needs() -> None:
    shown = " ".join(text.render(ran(), width=120, color="never").split())
    assert "✓ end of the fall: −14 (−15 to −13) decades; the claim needs at most −10" in shown
    refuted = " ".join(text.render(ran(value=5.0), width=120, color="never").split())
    assert "✗ end of the fall: 5 (4 to 6) decades" in refuted and REFUTED in refuted


def test_a_falling_curve_falls_in_the_terminal() -> None:
    lines = terminal.draw(Panel("t", "x", "y", (PANEL.curves[0],)), 80, Paint(False))
    body = [line[10:] for line in lines[2:13]]
    first, last = body[0].rstrip(), body[-1].rstrip()
    assert len(first) < 15 and len(last) == 70
    assert [line[:9].strip(" ┤│") for line in lines[2:13] if "┤" in line] == ["0", "−5", "−10"]


def test_a_panel_without_a_finite_point_says_so() -> None:
    (title, said) = terminal.draw(Panel("t", "x", "y", (Curve("c", (1.0,), (math.nan,)),)), 80, Paint(False))
    assert (title, said) == ("t", "(no finite point)")


@pytest.mark.parametrize("panel", [PANEL, LOG, Panel("one", "x", "y", (Curve("c", (1.0,), (2.0,)),))])
def test_each_curve_has_its_letter_in_picture_and_legend(panel: Panel) -> None:
    lines = terminal.draw(panel, 80, Paint(False))
    picture_ = "".join(line[10:] for line in lines[2:13])
    for index, curve in enumerate(panel.curves):
        letter = "abc"[index]
        assert letter in picture_
        assert f"{letter} {curve.name}" in lines[-1]


def test_json_has_every_number_and_none_that_json_has_not() -> None:
    body = json.loads(as_json.render([ran()]), parse_constant=lambda name: pytest.fail(name))
    assert body["version"] == 1
    (one,) = body["experiments"]
    assert (one["name"], one["verdict"], one["seed"], one["parameters"]) == (
        "an-experiment",
        SUPPORTED,
        3,
        {"depth": 8, "kind": "relu"},
    )
    assert one["readings"][0] == {
        "what": "end of the fall",
        "value": -14.0,
        "low": -15.0,
        "high": -13.0,
        "unit": "decades",
        "least": "-inf",
        "greatest": -10.0,
        "verdict": SUPPORTED,
    }
    assert [figure["kind"] for figure in one["figures"]] == ["panel", "panel", "diagram"]
    assert one["figures"][0]["curves"][2]["y"][1] is None and one["figures"][0]["curves"][2]["y"][5] == "inf"


class Page(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.targets: list[str] = []
        self.labels: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        if tag == "svg":
            assert given["role"] == "img"
            self.labels.append(given["aria-label"])
        for name in ("href", "src", "xlink:href", "data", "action", "srcset"):
            if name in given:
                (self.targets if given[name].startswith("#") else self.outside).append(given[name])


@pytest.mark.long
def test_the_page_is_whole_without_a_request_and_its_ids_are_its_own() -> None:
    source = page.render([ran(), ran("an_experiment")], "1.2.3")
    found = Page(source)
    assert [one for one in found.outside if not one.startswith("data:")] == []
    assert "@import" not in source and not re.search(r"url\((?!#)", source)
    assert "script" not in found.tags and "iframe" not in found.tags
    assert len(found.ids) == len(set(found.ids)) > 20
    assert {one.removeprefix("#") for one in found.targets} <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", source)) <= set(found.ids)
    assert len(found.labels) == 6 and all(len(label) > 20 for label in found.labels)
    assert '<meta name="viewport"' in source and "prefers-color-scheme:dark" in source


@pytest.mark.long
def test_the_page_takes_its_colours_from_the_theme() -> None:
    svg = picture.svg(PANEL, "one")
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {"#000000"}
    assert {"var(--s0)", "var(--s1)", "var(--ink)", "var(--line)"} <= set(re.findall(r"var\(--\w+\)", svg))
    styles = page.render([ran()], "1")
    for name in ("ink", "line", "paper", *(f"s{number}" for number in range(6))):
        assert styles.count(f"--{name}:") == 2, name


def test_what_users_write_is_text_in_every_form() -> None:
    curve = Curve(EVIL, X, X)
    panel = Panel(EVIL, EVIL, EVIL, (curve, replace(curve, name="other")))
    diagram = replace(DIAGRAM, title=EVIL, alt=EVIL, boxes=(Box(EVIL, 0, 0),), text=EVIL)
    outcome = Outcome((Reading(EVIL, 1, 1, 1, EVIL, least=0),), (panel, diagram), EVIL)
    evil = Ran(EVIL, EVIL, {EVIL: EVIL, "Claim": EVIL}, {"kind": EVIL}, 0, False, outcome, 1.0, ("kind",))
    source = page.render([evil], EVIL)
    assert "<script" not in source and "\x1b" not in source
    assert "&lt;script&gt;" in source
    assert "script" not in Page(source).tags
    ET.fromstring(picture.svg(panel, "p"))
    assert "\x1b" not in text.render(evil, width=80, color="never")
    assert json.loads(as_json.render([evil]))["experiments"][0]["name"] == EVIL


@pytest.mark.long
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_picture_is_of_its_kind_and_the_same_each_time(tmp_path: Path, kind: str) -> None:
    paths = [tmp_path / f"{number}.{kind}" for number in range(2)]
    for path in paths:
        picture.save(ran(), str(path))
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind])


def test_an_svg_tells_what_is_in_it() -> None:
    svg = ET.fromstring(picture.svg(PANEL, "one"))
    words_ = " ".join("".join(node.itertext()) for node in svg.iter() if node.tag.endswith("text"))
    for part in ("A title", "layers", "decades", "falling", "law"):
        assert part in words_


def test_alt_texts_tell_where_curves_begin_and_end() -> None:
    told = words.alt(PANEL)
    assert told.startswith("A title. decades against layers.")
    assert "falling: from 0 at 0 to −14 at 7" in told
    assert words.alt(DIAGRAM) == DIAGRAM.alt


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (lambda: picture.save(ran(), str(tmp_path / "a.png")), lambda: page.render([ran()], "1")):
        with pytest.raises(OutputError, match=r"pip install 'steadygrad\[plot\]'"):
            draw()
    assert list(tmp_path.iterdir()) == []
    assert "falling" in text.render(ran(), width=80, color="never")


def test_an_outcome_without_figures_cannot_be_drawn_and_says_so(tmp_path: Path) -> None:
    bare = replace(ran(), outcome=replace(ran().outcome, figures=()))
    with pytest.raises(OutputError, match="has no figure"):
        picture.save(bare, str(tmp_path / "a.png"))
    assert "<svg" not in page.render([bare], "1")
