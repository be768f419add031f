"""``steadygrad explain``: rules by code or name, the words of the reports, and no far-fetched guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad import rules
from steadygrad.cli import main
from steadygrad.glossary import TERMS, meaning
from steadygrad.written import nearest

KNOWN = [*(rule.code for rule in rules.load()), *(rule.name for rule in rules.load())]


@pytest.mark.parametrize("term", TERMS)
def test_each_word_is_explained_by_itself_in_the_plural_and_with_a_hyphen(
    term: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in (term, f"{term}s", term.replace(" ", "-").upper()):
        assert main(["explain", word, "--output-format", "markdown"]) == 0
        assert capsys.readouterr().out == f"**{term}**: {TERMS[term]}\n"


def test_no_rule_is_hidden_by_a_word() -> None:
    assert [rule.name for rule in rules.load() if meaning(rule.code) or meaning(rule.name)] == []


def test_what_is_neither_is_told_with_the_words_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "flux"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "steadygrad: error: no rule 'flux'; steadygrad rules lists them; words that it explains: probe"
    )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("SG999", None),
        ("SG0102", "SG102"),
        ("vanish", "vanishing-gradient"),
        ("vansihing-gradient", "vanishing-gradient"),
        ("saturated_activation", "saturated-activation"),
        ("trunk", None),
        ("", None),
    ],
)
def test_only_what_is_near_is_suggested(word: str, meant: str | None) -> None:
    assert nearest(word, KNOWN) == meant


@given(st.sampled_from(KNOWN), st.integers(0, 100))
def test_a_letter_too_few_still_finds_a_name(name: str, at: int) -> None:
    at %= len(name)
    found = nearest(name[:at] + name[at + 1 :], KNOWN)
    assert found is not None
    assert len(name) <= 5 or found == name
