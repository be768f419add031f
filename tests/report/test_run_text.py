"""The picture of a run: as pinned, within its width, legible without colours, and true to the numbers."""

from __future__ import annotations

import dataclasses
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from steadygrad.record.run import Run
from steadygrad.report.colour import Paint
from steadygrad.report.run import curve, heat, marks, phrases, remarks
from steadygrad.report.run.as_text import render, screenful
from steadygrad.report.run.columns import axis, greatest, levels
from steadygrad.report.run.layers import lead, rows
from tests.report import runs
from tests.report.test_text import SGR, compare


@cache
def made(name: str) -> Run:
    return runs.ALL[name]()


@pytest.mark.parametrize("width", [80, 200])
def test_the_story_is_as_pinned(width: int) -> None:
    compare(f"run-{width}.txt", render(made("story"), width=width, color="never"))


@pytest.mark.parametrize("name", ["long", "adversarial"])
def test_runs_of_other_kinds_are_as_pinned(name: str) -> None:
    compare(f"run-{name}.txt", render(made(name), width=80, color="never"))


def test_a_screen_is_as_pinned() -> None:
    compare("run-screen.txt", screenful(made("story"), 80, 30, color="never", now=0.0))


@pytest.mark.parametrize("color", ["never", "always"])
@pytest.mark.parametrize("width", [40, 57, 80, 133, 200, 1000])
@pytest.mark.parametrize("name", runs.ALL)
def test_no_line_is_wider_than_asked_and_no_name_reaches_the_terminal_raw(name: str, width: int, color: str) -> None:
    text = render(made(name), width=width, color=color)  # type: ignore[arg-type]
    plain = SGR.sub("", text)
    assert all(cell_len(line) <= width for line in plain.split("\n"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", plain)
    assert color == "always" or plain == text


@pytest.mark.parametrize("height", [5, 24, 40, 100])
@pytest.mark.parametrize("name", runs.ALL)
def test_a_screen_is_filled_and_not_overrun(name: str, height: int) -> None:
    text = screenful(made(name), 80, height, color="always", now=0.0)
    assert len(text.split("\n")) <= height


def test_colours_and_no_colours_have_the_same_lines() -> None:
    plain = render(made("story"), width=100, color="never").split("\n")
    coloured = SGR.sub("", render(made("story"), width=100, color="always")).split("\n")
    assert len(plain) == len(coloured)
    same = [a == b for a, b in zip(plain, coloured, strict=True)]
    # Shades alone differ: characters there, backgrounds here.
    assert sum(not one for one in same) <= 26


def test_the_header_tells_the_run() -> None:
    head = render(made("story"), width=200, color="never").split("\n\n")[0]
    for part in (
        "4,000 steps in 17 min",
        "250 ms per step",
        "finished",
        "AdamW, 51 parameter tensors",
        "clip norm ≤ 0.2: acted in 7 of 4,000 steps (0.18%)",
    ):
        assert part in head
    assert "every step was read" in head
    assert "2 alarms (1 error, 1 warning)" in head


def test_an_alarm_stands_in_its_row_and_its_column() -> None:
    lines = render(made("story"), width=80, color="never").split("\n")
    marked = {
        line.split("│")[0].strip(): line.split("│")[1].index("▲") for line in lines if "│" in line and "▲" in line
    }
    assert marked.keys() == {"blocks.4.attn", "embed.weight", "alarms"}
    assert marked["alarms"] == marked["blocks.4.attn"]
    columns = 80 - next(line for line in lines if line.startswith("alarms")).index("│") - 1
    assert marked["blocks.4.attn"] == int(2399 / 4000 * columns)
    assert marked["embed.weight"] == int(3119 / 4000 * columns)


def rows_of(text: str) -> dict[str, str]:
    """What stands beside the axis, by the row's name."""
    return {line.split("│")[0].strip(): line.split("│")[1] for line in text.split("\n") if "│" in line}


@pytest.mark.parametrize("width", [60, 80, 133])
@given(step=st.integers(1, 10_000), number=st.integers(1, 2000), lasted=st.integers(0, 3000))
def test_an_alarms_mark_lies_in_the_column_of_its_step(width: int, step: int, number: int, lasted: int) -> None:
    run = made("long")
    on = axis(run, width)
    alarm = dataclasses.replace(run.alarms[0], number=number, step=step, last_step=step + lasted)
    mark = marks.alarm_mark(alarm, run, on)
    assert mark.begin + mark.text.index("▲") == on.column(step)
    assert str(number) in mark.text
    assert 0 <= mark.begin < mark.end <= width
    covered = on.first[on.column(step)], on.stop[on.column(step)] - 1
    assert run.series.steps[covered[0]] <= step <= run.series.last_steps[covered[1]]


def test_a_spike_of_one_step_in_ten_thousand_is_held_and_drawn() -> None:
    run = made("long")
    assert run.series.high.max() == runs.PEAK_NORM
    assert run.series.loss_high.max() == runs.PEAK_LOSS
    assert run.series.after_high.max() == pytest.approx(1.0)
    lines = render(run, width=80, color="never").split("\n")
    (loss,) = (line for line in lines if line.startswith("loss"))
    (norm,) = (line for line in lines if line.startswith("gradient  "))
    at = next(line for line in lines if line.startswith("alarms")).index("▲")
    assert [number for number, cell in enumerate(loss) if cell in "⢸⡇⣿⢰⡆"] == [at]
    assert [number for number, cell in enumerate(norm) if cell in "⢸⡇⣿⢰⡆"] == [at]
    assert "98.7 ┤" in loss
    assert "4,321 ┤" in norm


@pytest.mark.parametrize("name", ["story", "long", "adversarial"])
def test_a_screen_of_24_rows_has_the_curves_the_alarms_and_the_axis(name: str) -> None:
    shown = screenful(made(name), 80, 24, color="never", now=0.0)
    for part in ("\nloss", "raw", "─ clip", "\nalarms", "step  1 "):
        assert part in shown


def test_both_curves_of_a_norm_in_one_cell_are_told() -> None:
    text = render(made("long"), width=80, color="never")
    assert "⣿ raw ═ both" in text
    (cells,) = (line.split("┤")[1] for line in text.split("\n") if "═══" in line)
    assert set(cells[:12]) == {"⣤"}, "nothing is clipped"
    assert set(cells[12:]) == {"═", "─"}


def test_the_panels_share_one_axis() -> None:
    lines = render(made("long"), width=80, color="never").split("\n")
    begin = {line.index(edge) for line in lines[5:25] for edge in "│┤└" if edge in line}
    assert len(begin) == 1


def test_a_clipped_curve_is_drawn_only_where_a_clip_acted() -> None:
    text = render(made("adversarial"), width=80, color="never")
    generator, discriminator = text.split("grad. norm")[1:3]
    assert "─ clipped" not in generator.split("Discriminator")[0]
    assert "─ clipped" in discriminator
    assert "clipped" not in render(made("three steps"), width=80, color="never")


def test_models_are_told_apart_by_name() -> None:
    run = made("adversarial")
    assert phrases.optimizer_names(run) == ["Generator", "Discriminator"]
    text = render(run, width=80, color="never")
    assert "--> Discriminator.net.0.weight · Discriminator\n" in text
    assert "every 3rd step was read (200 of 598 steps)" in text
    for name in ("Generator", "Discriminator"):
        assert len(re.findall(rf"^{name} +[\d.]+ ┤", text, re.MULTILINE)) == 2, "its loss and its norm"


def test_optimizers_without_a_name_of_their_own_are_numbered() -> None:
    run = made("adversarial")
    alike = tuple(dataclasses.replace(one, name=f"net.{place}") for place, one in enumerate(run.watched))
    assert phrases.optimizer_names(dataclasses.replace(run, watched=alike)) == ["optimizer 1", "optimizer 2"]


def test_an_alarm_tells_what_moved_first_and_what_to_do_next() -> None:
    text = " ".join(render(made("story"), width=120, color="never").split())
    for told in (
        "▲1 step 2,400 warning[SG206] gradient-spike the gradient's norm was 61 times",
        "--> train.py:48:13 · model.blocks.4.attn.qkv.weight and 37 more parameters",
        "= first sign: the update of model.blocks.4.mlp.up.weight, 6 steps before the loss",
        "= order: update of model.blocks.4.mlp.up.weight (step 2,394, ×12.5) → loss (2,400) → gradient (2,400, ×61)",
        "= batch: without rows 17 and 40 of the batch the gradient norm is in its usual range",
        "= cause: a batch far from the others",
        "= action: skip at step 2,402: the step was left out; lower at step 2,403: the rate was halved [lr 1.8e-4 → 9e-5]",
        "= next: look at rows 17 and 40",
        "= next: steadygrad explain SG101",
    ):
        assert told in text


@pytest.mark.parametrize(
    ("rows_given", "told"),
    [((7,), "row 7"), ((1, 2), "rows 1 and 2"), (tuple(range(10)), "rows 0, 1, 2, 3, 4, 5, 6, 7 and 2 more")],
)
def test_samples_are_named(rows_given: tuple[int, ...], told: str) -> None:
    assert remarks.samples(rows_given) == told


def test_what_vanishes_grows_lighter_and_a_spike_darker() -> None:
    shades = " " + heat.SHADES
    lines = rows_of(render(made("story"), width=80, color="never"))
    fading = [shades.index(cell) for cell in lines["blocks.0.attn"]]
    assert fading[-1] < fading[0] - 3
    steady = [shades.index(cell) for cell in lines["blocks.3.attn"]]
    assert max(steady) > sorted(steady)[len(steady) // 2]
    assert lines["embed.weight"].startswith(" " * 10)


def test_zero_and_not_finite_and_no_gradient_are_told_apart() -> None:
    text = render(made("odd"), width=100, color="never")
    assert "blank: no gradient · 0: exactly zero · !: inf or NaN" in " ".join(text.split())
    plain = render(made("three steps"), width=100, color="never")
    assert "exactly zero" not in plain


def test_many_alarms_are_shown_from_both_ends() -> None:
    text = render(made("odd"), width=100, color="never")
    assert "… 20 alarms left out here; --output-format json lists all" in text
    assert "▲40 " in text


def test_a_column_shows_the_greatest_of_its_steps() -> None:
    run = made("story")
    for columns in (7, 60, 1999, 2000, 5000):
        on = axis(run, columns)
        assert np.nanmax(greatest(run.series.high[:, 0], on)) == run.series.high.max()
        spiked = levels(run.series, np.array([33]), on)
        assert np.nanmax(spiked) == pytest.approx(np.log10(run.series.peaks[:, 33].max()), abs=1e-5)


names = st.lists(
    st.lists(st.sampled_from(["a", "b", "0", "1", "2"]), min_size=1, max_size=5).map(".".join), min_size=1, max_size=60
)


@given(names, st.integers(1, 30))
def test_rows_hold_each_parameter_once_and_in_order(given_names: list[str], most: int) -> None:
    found = rows(given_names, most)
    assert [member for row in found for member in row.members] == list(range(len(given_names)))
    assert len(found) <= max(most, 1)
    assert all(row.label for row in found)


def test_rows_are_modules_where_parameters_are_too_many() -> None:
    blocks = [
        f"net.h.{block}.{layer}.{kind}"
        for block in range(12)
        for layer in ("attn", "mlp")
        for kind in ("weight", "bias")
    ]
    assert lead(blocks) == "net.h"
    assert [row.label for row in rows(blocks, 48)][:2] == ["0.attn.weight", "0.attn.bias"]
    assert [row.label for row in rows(blocks, 24)][:2] == ["0.attn", "0.mlp"]
    assert [row.label for row in rows(blocks, 12)][:2] == ["0", "1"]
    assert [row.label for row in rows(blocks, 6)][:2] == ["0…1", "2…3"]


def test_a_flat_curve_is_one_line_and_a_gap_stays_one() -> None:
    values = np.array([1.0, 1.0, np.nan, np.nan, 1.0, 1.0])
    drawn = curve.band(values, values, 0.0, 2.0, 2)
    assert [line.rstrip() for line in drawn] in (["⣀ ⣀", ""], ["", "⠉ ⠉"])


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "40 ms"), (59.2, "59 s"), (60, "1 min"), (3599, "1 h"), (8040, "2 h 14 min"), (300_000, "3 d 11 h")],
)
def test_durations(seconds: float, told: str) -> None:
    assert phrases.duration(seconds) == told


@pytest.mark.parametrize(
    ("number", "told"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (1003, "1,003rd")]
)
def test_ordinals(number: int, told: str) -> None:
    assert phrases.ordinal(number) == told


def test_a_machine_that_slept_does_not_slow_the_steps() -> None:
    run = made("three steps")
    run.series.times[2] += 86_400
    assert phrases.step_seconds(run) == pytest.approx(43_201, abs=86_400)
    assert phrases.step_seconds(made("story")) == pytest.approx(0.25)


def test_shades_without_colours_are_characters_and_with_them_backgrounds() -> None:
    values = np.array([-3.0, 0.0, np.nan, -np.inf, np.inf])
    assert heat.row(values, -3, 0, {}, Paint(False)) == ".@ 0!"
    assert heat.row(values, -3, 0, {}, Paint(True)).startswith("\x1b[48;5;53m \x1b[0m\x1b[48;5;227m \x1b[0m ")
