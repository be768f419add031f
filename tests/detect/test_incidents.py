"""Symptoms to alarms: which belong together, what the alarm then says, and when it has ended."""

from __future__ import annotations

import math
from typing import Any

import pytest

from steadygrad.detect.incidents import Book, Gathered, close_quiet, gather, is_ill, is_sudden, name_of
from steadygrad.detect.symptoms import Symptom
from steadygrad.record import Alarm, Severity, Sign
from steadygrad.record.fault_kind import FaultKind
from tests.detect.made import LAYERS

LASTING = ("SG101", "SG102", "SG106", "SG108", "SG305")
SUDDEN = ("SG201", "SG203", "SG204", "SG206", "SG207")


def symptom(code: str, step: int, **given: Any) -> Symptom:
    defaults: dict[str, Any] = {
        "severity": Severity.WARNING,
        "column": 2,
        "message": f"{code} at {step}",
        "last_step": step,
    }
    return Symptom(code=code, step=step, **{**defaults, **given})


def gathered(
    book: Book, one: Symptom, *, optimizer: int = 0, noticed: int | None = None, delay: int = 0, **given: Any
) -> Gathered:
    noticed = one.last_step if noticed is None else noticed
    return gather(book, one, LAYERS, optimizer=optimizer, step=noticed, delay=delay, **given)


def alarms(*symptoms: Symptom, **given: Any) -> list[Alarm]:
    book = Book()
    for one in symptoms:
        gathered(book, one, **given)
    return book.alarms


def lasting(code: str, step: int, **given: Any) -> Symptom:
    return symptom(code, step, lasting=True, **given)


def ended(*symptoms: Symptom) -> Book:
    """A book whose incidents have all been quiet for long."""
    book = Book()
    for one in symptoms:
        gathered(book, one)
    assert close_quiet(book, optimizer=0, step=10_000, interval=1) and not is_ill(book)
    return book


def test_a_first_symptom_is_an_alarm_of_its_own() -> None:
    one = symptom("SG206", 7, cause="why", columns=(2, 4, 6), slack=3, last_step=9)
    found = gathered(Book(), one, noticed=11, optimizer=1)
    assert found.new and not found.sharper
    assert found.alarm == Alarm(
        number=1, step=7, code="SG206", name="gradient-spike", severity=Severity.WARNING, parameter="1.weight",
        message="SG206 at 7", cause="why", optimizer=1, delay=3, noticed=11, last_step=9, others=2,
    )  # fmt: skip


def test_the_second_alarm_has_the_number_two() -> None:
    assert [one.number for one in alarms(symptom("SG206", 7), lasting("SG106", 3))] == [1, 2]
    assert alarms(symptom("SG206", 7, column=None))[0].parameter == ""


@pytest.mark.parametrize(("slack", "delay", "said"), [(3, 0, 3), (3, 5, 5), (0, 0, 0)])
def test_an_alarm_may_have_begun_as_much_earlier_as_was_not_watched(slack: int, delay: int, said: int) -> None:
    assert alarms(symptom("SG206", 7, slack=slack), delay=delay)[0].delay == said


def test_an_alarm_without_a_last_step_was_last_seen_at_its_step() -> None:
    assert alarms(symptom("SG206", 7, last_step=0))[0].last_step == 7


@pytest.mark.parametrize("code", SUDDEN)
def test_what_is_sudden_is_one_incident(code: str) -> None:
    """A step too large makes a spike, a spike an explosion, an explosion NaN."""
    assert is_sudden(code)
    (one,) = alarms(symptom("SG204", 7), symptom(code, 9, columns=(0, 2, 4)))
    assert (one.code, one.step, one.last_step, one.others) == ("SG204", 7, 9, 2)
    assert one.symptoms == (() if code == "SG204" else (code,))


@pytest.mark.parametrize("code", LASTING)
def test_what_lasts_is_one_incident(code: str) -> None:
    assert not is_sudden(code)
    (one,) = alarms(lasting("SG102", 7), lasting(code, 9), lasting(code, 11))
    assert (one.step, one.last_step) == (7, 11)
    assert one.symptoms == (() if code == "SG102" else (code,))


def test_incidents_of_two_optimizers_are_two() -> None:
    book = Book()
    for optimizer in (0, 1, 0):
        gathered(book, symptom("SG206", 7), optimizer=optimizer)
    assert [one.optimizer for one in book.alarms] == [0, 1]


def test_each_mistake_of_the_loop_is_one_incident() -> None:
    def mistake(code: str, kind: FaultKind, step: int) -> Symptom:
        return lasting(code, step, column=None, of_the_loop=True, kind=kind)

    found = alarms(
        lasting("SG102", 5),
        symptom("SG206", 6),
        mistake("SG307", FaultKind.NOT_CLEARED, 7),
        mistake("SG307", FaultKind.NO_BACKWARD, 8),
        mistake("SG306", FaultKind.LATE_CLIP, 9),
        mistake("SG307", FaultKind.NOT_CLEARED, 10),
    )
    assert [(one.code, one.step, one.last_step) for one in found] == [
        ("SG102", 5, 5), ("SG206", 6, 6), ("SG307", 7, 10), ("SG307", 8, 8), ("SG306", 9, 9),
    ]  # fmt: skip


def test_a_mistake_of_the_loop_alone_is_no_illness_of_the_training() -> None:
    book = Book()
    assert not is_ill(book)
    gathered(book, lasting("SG306", 7, of_the_loop=True, kind=FaultKind.PART_CLIP))
    assert not is_ill(book)
    gathered(book, symptom("SG206", 7))
    assert is_ill(book)


@pytest.mark.parametrize(("last_step", "stayed"), [(7, True), (6, False)])
def test_a_spike_that_stays_is_an_explosion(last_step: int, stayed: bool) -> None:
    """An explosion that began after the spike's last step is another thing, put down to it."""
    explosion = symptom("SG201", 7, last_step=26, severity=Severity.ERROR)
    (one,) = alarms(symptom("SG206", 5, last_step=last_step), explosion)
    assert one.severity is Severity.ERROR and one.step == 5
    if stayed:
        assert (one.code, one.name, one.message, one.symptoms) == ("SG201", "exploding-gradient", "SG201 at 7", ())
    else:
        assert (one.code, one.name, one.message, one.symptoms) == ("SG206", "gradient-spike", "SG206 at 5", ("SG201",))


def test_a_spike_within_an_explosion_is_no_other_symptom() -> None:
    (one,) = alarms(symptom("SG201", 5), symptom("SG206", 7))
    assert (one.code, one.symptoms, one.last_step) == ("SG201", (), 7)


@pytest.mark.parametrize(("first", "then"), [(Severity.WARNING, Severity.ERROR), (Severity.ERROR, Severity.WARNING)])
def test_an_alarm_is_as_severe_as_the_worst_of_it(first: Severity, then: Severity) -> None:
    (one,) = alarms(symptom("SG204", 5, severity=first), symptom("SG206", 7, severity=then))
    assert one.severity is Severity.ERROR


def test_what_was_found_to_be_by_design_stays_a_note_when_it_is_seen_again() -> None:
    (one,) = alarms(lasting("SG106", 5, severity=Severity.INFO), lasting("SG106", 7, severity=Severity.ERROR))
    assert one.severity is Severity.INFO
    (one,) = alarms(lasting("SG106", 5, severity=Severity.INFO), lasting("SG102", 7, severity=Severity.ERROR))
    assert one.severity is Severity.ERROR


def stale(step: int) -> Symptom:
    return symptom("SG204", step, column=4, cause="stale", kind=FaultKind.STALE_MOMENT)


@pytest.mark.parametrize("code", ["SG201", "SG206", "SG207"])
def test_a_stale_moment_says_what_a_gradient_that_rose_does(code: str) -> None:
    book = Book()
    gathered(book, symptom(code, 5, last_step=8))
    found = gathered(book, stale(7))
    assert found.sharper and not found.new
    assert book.alarms == [found.alarm]
    one = found.alarm
    assert (one.code, one.name, one.parameter, one.message) == ("SG204", name_of("SG204"), "2.weight", "SG204 at 7")
    assert (one.step, one.last_step, one.cause, one.symptoms) == (5, 8, "stale", (code,))


def test_a_stale_moment_explains_neither_a_broken_number_nor_overwritten_weights() -> None:
    (one,) = alarms(symptom("SG203", 5), stale(7))
    assert (one.code, one.symptoms) == ("SG203", ("SG204",))
    book = Book()
    gathered(book, symptom("SG206", 5))
    book.alarms[0] = Alarm(**{**_fields(book.alarms[0]), "signs": (Sign("weights", 4),)})
    assert not gathered(book, stale(7)).sharper and book.alarms[0].code == "SG206"
    book.alarms[0] = Alarm(**{**_fields(book.alarms[0]), "signs": (Sign("gradient", 4),)})
    assert gathered(book, stale(7)).sharper


def _fields(alarm: Alarm) -> dict[str, Any]:
    return {name: getattr(alarm, name) for name in Alarm.__slots__}


@pytest.mark.parametrize("code", ["SG101", "SG106", "SG108", "SG201"])
def test_a_layer_that_explains_a_loss_takes_its_place(code: str) -> None:
    book = Book()
    gathered(book, lasting("SG207", 50, column=None))
    found = gathered(book, lasting(code, 40, slack=5), delay=2)
    assert found.sharper and not found.new and len(book.alarms) == 1
    one = found.alarm
    assert (one.code, one.name, one.parameter, one.message) == (code, name_of(code), "1.weight", f"{code} at 40")
    assert (one.step, one.delay, one.last_step, one.symptoms) == (40, 5, 50, ("SG207",))


@pytest.mark.parametrize(("slack", "number"), [(19_960, 1), (19_959, 2)])
def test_what_may_have_begun_by_the_step_of_a_loss_explains_it(slack: int, number: int) -> None:
    """Of two incidents that have ended, at steps 50 and 20,000, and one that is seen at step 20,010."""
    book = ended(lasting("SG207", 50))
    gathered(book, symptom("SG204", 20_000))
    close_quiet(book, optimizer=0, step=30_000, interval=1)
    assert gathered(book, lasting("SG106", 20_010, slack=slack)).alarm.number == number


def test_what_comes_long_after_a_loss_does_not_explain_it() -> None:
    assert len(alarms(lasting("SG207", 50), lasting("SG106", 150))) == 1
    assert len(alarms(lasting("SG207", 50), lasting("SG106", 151))) == 2


def test_a_spike_does_not_explain_a_loss_that_runs_away() -> None:
    (one,) = alarms(lasting("SG207", 50), symptom("SG201", 50))
    assert (one.code, one.symptoms) == ("SG207", ("SG201",))


def test_a_loss_that_stops_with_its_gradients_is_of_them() -> None:
    assert [one.code for one in alarms(lasting("SG106", 50, last_step=90), lasting("SG207", 90))] == ["SG106"]
    assert [one.code for one in alarms(lasting("SG106", 50, last_step=89), lasting("SG207", 90))] == ["SG106", "SG207"]
    assert [one.code for one in alarms(lasting("SG102", 50, last_step=90), lasting("SG207", 90))] == ["SG102", "SG207"]
    assert len(alarms(lasting("SG106", 50, last_step=90), symptom("SG207", 90))) == 2, "a leap is none"


def test_a_loss_that_stays_up_after_a_sudden_thing_is_of_it() -> None:
    for step, count in ((50, 1), (90, 1), (49, 2), (91, 2)):
        book = ended(symptom("SG204", 50, last_step=90))
        gathered(book, lasting("SG207", step))
        assert len(book.alarms) == count
    book = ended(symptom("SG204", 50, last_step=90))
    gathered(book, lasting("SG207", 60), optimizer=1)
    assert len(book.alarms) == 2


@pytest.mark.parametrize(
    ("code", "kind", "alarms_then"),
    [("SG201", FaultKind.NOT_CLEARED, 1), ("SG106", FaultKind.NOT_CLEARED, 2), ("SG106", FaultKind.CLEARED, 1)],
)
def test_gradients_that_are_not_cleared_grow_and_those_cleared_too_early_are_zero(
    code: str, kind: FaultKind, alarms_then: int
) -> None:
    mistake = lasting("SG307", 3, of_the_loop=True, kind=kind)
    assert len(alarms(mistake, lasting(code, 50))) == alarms_then
    assert len(alarms(mistake, symptom(code, 50))) == 2
    book = Book()
    gathered(book, mistake, optimizer=1)
    gathered(book, lasting(code, 50))
    assert len(book.alarms) == 2
    late = lasting("SG306", 3, of_the_loop=True, kind=FaultKind.LATE_CLIP)
    assert len(alarms(late, lasting(code, 50))) == 2


@pytest.mark.parametrize(("step", "same"), [(50, True), (90, True), (49, False), (91, False)])
@pytest.mark.parametrize("code", ["SG206", "SG102"])
def test_what_had_begun_before_the_last_one_ended_is_still_that_one(code: str, step: int, same: bool) -> None:
    book = ended(symptom(code, 50, last_step=90))
    assert book.alarms[0].ended
    found = gathered(book, symptom(code, step))
    assert found.new != same and book.alarms[0].ended != same and is_ill(book)
    other = ended(symptom(code, 50, last_step=90))
    assert gathered(other, symptom(code, 60), optimizer=1).new
    assert gathered(other, symptom("SG204" if code == "SG206" else "SG305", 60)).new


@pytest.mark.parametrize(
    ("step", "slack", "interval", "new"),
    [(190, 0, 1, False), (191, 0, 1, True), (196, 6, 1, False), (50, 0, 1, False), (49, 0, 1, True),
     (390, 0, 3, False), (391, 0, 3, True)],
)  # fmt: skip
def test_what_lasts_is_of_the_sudden_thing_it_came_after(step: int, slack: int, interval: int, new: bool) -> None:
    """Within a hundred rows of it, which are so many steps apart."""
    book = ended(symptom("SG203", 50, last_step=90))
    assert gathered(book, lasting("SG106", step, slack=slack), delay=interval - 1).new == new
    assert gathered(ended(symptom("SG203", 50, last_step=90)), lasting("SG106", 60), optimizer=1).new


def test_what_lasts_is_of_the_last_sudden_thing() -> None:
    book = ended(symptom("SG203", 50, last_step=60))
    gathered(book, symptom("SG204", 20_000))
    assert gathered(book, lasting("SG106", 20_010)).alarm.number == 2
    assert gathered(ended(lasting("SG102", 50)), lasting("SG106", 60)).new, "what lasts causes no other"


@pytest.mark.parametrize(
    ("step", "interval", "over"), [(190, 1, False), (191, 1, True), (290, 2, False), (291, 2, True)]
)
def test_an_incident_has_ended_after_a_hundred_quiet_rows(step: int, interval: int, over: bool) -> None:
    book = Book()
    gathered(book, symptom("SG204", 50, last_step=90))
    assert close_quiet(book, optimizer=1, step=step, interval=interval) == []
    closed = close_quiet(book, optimizer=0, step=step, interval=interval)
    assert [one.ended for one in closed] == [True] * over and is_ill(book) != over
    assert closed == book.alarms or not over


@pytest.mark.parametrize("code", ["SG201", "SG206", "SG204"])
@pytest.mark.parametrize(("level", "back"), [(1.0, True), (1.1, False)])
def test_a_gradient_that_rose_has_not_ended_above_its_old_level(code: str, level: float, back: bool) -> None:
    book = Book()
    gathered(book, lasting("SG102", 50))
    gathered(book, symptom(code, 50), usual=1.0)
    over = [one.code for one in close_quiet(book, optimizer=0, step=500, interval=1, level=level)]
    assert over == ["SG102"] + [code] * (back or code == "SG204")


def test_a_level_that_is_not_known_ends_all() -> None:
    book = Book()
    gathered(book, symptom("SG206", 50))
    assert len(close_quiet(book, optimizer=0, step=500, interval=1, level=math.inf)) == 1
    gathered(book, symptom("SG206", 600), usual=1.0)
    assert len(close_quiet(book, optimizer=0, step=1000, interval=1)) == 1
