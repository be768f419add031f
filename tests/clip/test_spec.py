"""A clip as data: its text, both ways, and what is refused."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad.clip import BoundsError, Clip, QuantileState, ZScoreState
from steadygrad.errors import SettingsError

TEXTS = {
    "value:-1,1": Clip.value(-1, 1),
    "value:-0.5,2": Clip.value(-0.5, 2),
    "value:-inf,0.1": Clip.value(-math.inf, 0.1),
    "norm:1": Clip.norm(1.0),
    "norm:1,inf": Clip.norm(1.0, math.inf),
    "per-parameter:0.1": Clip.per_parameter(0.1),
    "adaptive:0.01": Clip.adaptive(0.01),
    "quantile:0.9": Clip.quantile(0.9),
    "zscore:2.5": Clip.zscore(2.5),
}


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_clip_are_the_same_thing(text: str) -> None:
    assert Clip.parse(text) == TEXTS[text]
    assert str(TEXTS[text]) == text


@pytest.mark.parametrize(
    ("text", "clip"),
    [
        ("norm:1.0", Clip.norm(1)),
        ("norm:1.0,2", Clip.norm(1)),
        (" Norm : 1 ", Clip.norm(1)),
        ("per_parameter:1", Clip.per_parameter(1)),
        ("value: -1 , 1", Clip.value(-1, 1)),
        ("value", Clip.value()),
        ("zscore:", Clip.zscore()),
        ("norm:1e-3", Clip.norm(0.001)),
    ],
)
def test_text_may_be_written_freely(text: str, clip: Clip) -> None:
    assert Clip.parse(text) == clip


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_no_digit_is_lost(one: float, other: float) -> None:
    clip = Clip.value(min(one, other), max(one, other))
    assert Clip.parse(str(clip)) == clip


REFUSED = {
    "nrom:1": "unknown clip 'nrom'; did you mean norm:1 or norm:1,inf?",
    "perparameter:1": "unknown clip 'perparameter'; did you mean per-parameter:1?",
    "qq": "unknown clip 'qq'; expected one of value, norm, per-parameter, adaptive, quantile, zscore, such as norm:1",
    "": "unknown clip ''; expected one of value, norm, per-parameter, adaptive, quantile, zscore, such as norm:1",
    "1.0": "unknown clip '1.0'; expected one of value, norm, per-parameter, adaptive, quantile, zscore, such as norm:1",
    "value:1": "clip 'value:1' has 1 number, expected 2: value:-1,1",
    "value:1,2,3": "clip 'value:1,2,3' has 3 numbers, expected 2: value:-1,1",
    "norm:1,2,3": "clip 'norm:1,2,3' has 3 numbers, expected 1 or 2: norm:1 or norm:1,inf",
    "zscore:1,2": "clip 'zscore:1,2' has 2 numbers, expected 1: zscore:2.5",
    "value:1,-1": "clip 'value:1,-1': the interval is [1, -1], expected low ≤ high",
    "value:nan,1": "clip 'value:nan,1': 'nan' is not a number, expected value:-1,1",
    "norm:x": "clip 'norm:x': 'x' is not a number, expected norm:1 or norm:1,inf",
    "norm:1,": "clip 'norm:1,': '' is not a number, expected norm:1 or norm:1,inf",
    "norm:-1": "clip 'norm:-1': max_norm is -1, expected 0 or more",
    "norm:1,3": "clip 'norm:1,3': norm_type is 3, expected 2 or inf",
    "per-parameter:-0.5": "clip 'per-parameter:-0.5': max_norm is -0.5, expected 0 or more",
    "adaptive:0": "clip 'adaptive:0': ratio is 0, expected a number above 0",
    "adaptive:inf": "clip 'adaptive:inf': ratio is inf, expected a number above 0",
    "quantile:90": "clip 'quantile:90': share is 90, expected 0 to 1",
    "zscore:-2": "clip 'zscore:-2': z is -2, expected a number above 0",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_clip_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Clip.parse(text)
    assert str(caught.value) == REFUSED[text]


WRONG = {
    "low above high": lambda: Clip.value(1, -1),
    "NaN": lambda: Clip.value(-1, math.nan),
    "text": lambda: Clip.norm("1"),
    "none": lambda: Clip.norm(None),
    "bool": lambda: Clip.norm(True),
    "list": lambda: Clip.value([0], 1),
    "negative": lambda: Clip.per_parameter(-1),
    "order": lambda: Clip.norm(1, 1),
    "ratio": lambda: Clip.adaptive(0),
    "share": lambda: Clip.quantile(1.01),
    "score": lambda: Clip.zscore(math.inf),
    "kind": lambda: Clip("norms", 0, 1),
    "no kind": lambda: Clip(None, 0, 1),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_clip_that_makes_no_sense_is_never_made(case: str) -> None:
    with pytest.raises(BoundsError) as caught:
        WRONG[case]()
    assert isinstance(caught.value, SettingsError) and isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_a_clip_is_a_value() -> None:
    for clip in TEXTS.values():
        assert copy.deepcopy(clip) == clip == pickle.loads(pickle.dumps(clip))  # noqa: S301
        assert hash(clip) == hash(copy.deepcopy(clip))
        assert Clip(clip.kind, clip.low, clip.high, clip.norm_type) == clip


def test_only_what_learns_has_a_state() -> None:
    states = [type(clip.state()) for clip in TEXTS.values()]
    assert states == [type(None)] * 7 + [QuantileState, ZScoreState]


@pytest.mark.parametrize("kind", ["norm", "per_parameter", "adaptive", "quantile", "zscore"])
def test_what_has_no_lower_bound_holds_zero_in_its_place(kind: str) -> None:
    assert getattr(Clip, kind)().low == 0.0


def test_a_kind_alone_has_the_numbers_of_its_sources() -> None:
    """1 as in most recipes, 0.01 of Brock et al. 2021, a score of 2.5 of Kumar et al. 2025."""
    texts = ["value:-1,1", "norm:1", "per-parameter:1", "adaptive:0.01", "quantile:0.9", "zscore:2.5"]
    assert [str(Clip.parse(text.partition(":")[0])) for text in texts] == texts
    made = [Clip.value(), Clip.norm(), Clip.per_parameter(), Clip.adaptive(), Clip.quantile(), Clip.zscore()]
    assert [str(clip) for clip in made] == texts
    assert Clip("norm", 0.0, 1.0) == Clip.norm(1.0, 2.0)


@pytest.mark.parametrize("text", ["value:1", "value:-1,1,2", "norm:1,2,2", *(
    f"{kind}:0.5,0.5" for kind in ("per-parameter", "adaptive", "quantile", "zscore")
)])  # fmt: skip
def test_a_number_too_few_or_too_many_is_counted(text: str) -> None:
    with pytest.raises(BoundsError, match=rf"has {text.count(',') + 1} numbers?, expected"):
        Clip.parse(text)
