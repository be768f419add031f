"""The public names: each explains itself, its example runs, what the command line reads as words they read too."""

from __future__ import annotations

import doctest
import inspect
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import steadygrad as sg
from steadygrad.written import names, seconds
from tests.families import always

FUNCTIONS = sorted(name for name in sg.__all__ if inspect.isfunction(getattr(sg, name)))
BATCH = (torch.randn(32, 8), torch.randint(0, 3, (32,)))
LOSS = nn.functional.cross_entropy


def deep() -> nn.Module:
    torch.manual_seed(0)
    hidden = [layer for _ in range(15) for layer in (nn.Linear(8, 8), nn.Sigmoid())]
    return nn.Sequential(*hidden, nn.Linear(8, 3))


def test_the_functions_are_found() -> None:
    assert {"check", "cure", "find_lr", "fix", "guard", "prove", "clip_norm_"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", always(FUNCTIONS, *sorted(set(FUNCTIONS) - {"fix", "prove", "scale_patch"})))
def test_the_example_of_every_public_function_runs(name: str) -> None:
    function = getattr(sg, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    assert found.examples, "no example"
    torch.manual_seed(0)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_docstring_of_every_public_function_has_its_parts(name: str) -> None:
    function = getattr(sg, name)
    doc = inspect.getdoc(function) or ""
    parts = [
        "Args:",
        "Raises:",
        *(["Returns:"] if inspect.signature(function).return_annotation not in (None, "None") else []),
    ]
    assert [part for part in parts if part not in doc] == []
    described = doc.partition("Args:")[2].partition("Raises:")[0]
    assert [one for one in inspect.signature(function).parameters if one not in described] == []


@pytest.mark.parametrize("words", ["SG102", ["SG102"], "SG101, SG102", ("sg1",)])
def test_rules_are_selected_by_words_or_lists(words: Any) -> None:
    report = sg.check(deep(), BATCH, LOSS, select=words, trial=0)
    assert "SG102" in [finding.code for finding in report.findings]
    assert "SG102" not in [finding.code for finding in sg.check(deep(), BATCH, LOSS, ignore=words, trial=0).findings]


def test_an_optimizer_is_taken_in_words_or_as_a_function() -> None:
    spoken = sg.check(deep(), BATCH, LOSS, optimizer="sgd:0.1,momentum=0.9", trial=0)
    made = sg.check(deep(), BATCH, LOSS, optimizer=lambda own: torch.optim.SGD(own, 0.1, momentum=0.9), trial=0)
    assert spoken.setup.optimizer == made.setup.optimizer
    assert "SGD" in spoken.setup.optimizer
    assert sg.find_lr(deep(), BATCH, LOSS, optimizer="sgd:0.1", steps=2).tried


def test_a_guard_takes_its_clip_and_its_answer_in_words() -> None:
    net = deep()
    spoken = sg.guard(
        net, torch.optim.SGD(net.parameters(), 0.1), clip="norm:1", on_alarm="skip:5/100:stop", quiet=True
    )
    assert spoken.options.clip == sg.Clip.norm(1.0)
    assert spoken.options.on_alarm == sg.OnAlarm("skip", at_most=5, within=100, then="stop")
    spoken.detach()


@pytest.mark.long
def test_each_seed_draws_its_own_weights_where_a_function_makes_them() -> None:
    cured = sg.cure(deep(), BATCH, LOSS, budget="60s")

    def fresh() -> nn.Module:
        return nn.Sequential(*[layer for _ in range(15) for layer in (nn.Linear(8, 8), nn.Sigmoid())], nn.Linear(8, 3))

    net = fresh()
    before = torch.get_rng_state()
    of_function = sg.prove(fresh, BATCH, LOSS, cured=cured, steps=2, seeds=2)
    of_module = sg.prove(net, BATCH, LOSS, cured=cured, steps=2, seeds=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert len({run.losses for run in of_function.before.runs}) == 2
    assert len({run.losses for run in of_module.before.runs}) == 1


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: sg.check(deep(), BATCH, LOSS, select="SG999"), "no rule 'SG999'"),
        (lambda: sg.check(deep(), BATCH, LOSS, select=3), "select is 3"),  # type: ignore[arg-type]
        (lambda: sg.check(deep(), BATCH, LOSS, optimizer="sdg:0.1"), "did you mean SGD?"),
        (lambda: sg.cure(deep(), BATCH, LOSS, budget="5 minutes"), "budget '5 minutes'; write it as 60s or 5m"),
        (lambda: sg.cure(deep(), BATCH, LOSS, budget=-1), "the budget is -1 s, expected more than 0"),
        (lambda: sg.prove("net.py:Net"), "expected a torch.nn.Module or a function"),  # type: ignore[arg-type]
        (lambda: sg.fix(deep()), "expected text such as 'net.py:Net'"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(ask: Any, said: str) -> None:
    with pytest.raises(sg.SteadygradError) as raised:
        ask()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.long
def test_results_are_short_where_they_are_only_looked_at() -> None:
    net = deep()
    cured = sg.cure(net, BATCH, LOSS, budget="60s")
    guard = sg.guard(net, torch.optim.SGD(net.parameters(), 0.1), quiet=True)
    proof = sg.prove(net, BATCH, LOSS, cured=cured, steps=3)
    for one in (sg.check(net, BATCH, LOSS), cured, proof, sg.find_lr(net, BATCH, LOSS, steps=2), guard):
        assert len(repr(one)) < 400, repr(one)
        assert "\n" not in repr(one)
    assert proof.proven == (repr(proof).startswith("<Proof: proven"))
    guard.detach()


@given(st.lists(st.text(st.characters(blacklist_characters=",", blacklist_categories=["Cs", "Z", "C"]), min_size=1)))
def test_names_read_the_same_from_a_list_and_from_words(listed: list[str]) -> None:
    assert names(listed, "only") == (names(",".join(listed), "only") if listed else ())


@given(st.floats(0, 1e6))
def test_times_read_the_same_in_every_unit(value: float) -> None:
    assert seconds(value, "budget") == seconds(f"{value}s", "budget") == seconds(str(value), "budget")
    minutes = seconds(f"{value}m", "budget")
    assert minutes is not None
    assert math.isclose(minutes, 60 * value, rel_tol=1e-12)
