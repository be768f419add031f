"""Noise is told as the cause where averaged gradients learn and single ones do not, not elsewhere; its share is the true one."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import steadygrad as sg
from steadygrad.record import Location, Severity, from_jsonable, to_jsonable
from steadygrad.record.steptest import Averaged, Noise
from steadygrad.rules import sg113_noisy_gradient as sg113
from steadygrad.rules import sg204_oversized_update as sg204
from steadygrad.rules.sg113_noisy_gradient import may_be_noise
from steadygrad.steptest.averaging import Several, mean_of
from steadygrad.steptest.averaging import averaged as averaged_by
from steadygrad.steptest.noise import noise_in, share_of_noise
from steadygrad.subject.subject import Subject, make_subject
from tests.rules.made import bounced, diverged, fresh, place, seen, weight

WIDTH = 20


def drawn(samples: int, seed: int, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """A linear rule of N(0, 1) that explains 1 of 1 + noise² of the targets' variance."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, WIDTH, generator=generator)
    rule = torch.ones(WIDTH, 1) / WIDTH**0.5
    return x, x @ rule + noise * torch.randn(samples, 1, generator=generator)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, 1))


def loader(batch_size: int) -> DataLoader[Any]:
    order = torch.Generator().manual_seed(0)
    return DataLoader(TensorDataset(*drawn(4000, 1)), batch_size, shuffle=True, generator=order)


RATE, SIZE = 0.05, 1


def adam(model: nn.Module, rate: float = RATE) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=rate)


@functools.cache
def sick() -> sg.Report:
    model = net()
    return sg.check(model, loader(SIZE), F.mse_loss, optimizer=adam(model))


def noise_of(report: sg.Report) -> Noise:
    assert report.trial is not None and report.trial.noise is not None
    return report.trial.noise


def helps(report: sg.Report) -> Averaged:
    averaged = noise_of(report).averaged
    assert averaged is not None
    return averaged


def trained(batch_size: int, steps: int, *, accumulate: int = 1, rate: float = RATE) -> float:
    """Train to the end in plain torch, as the page says; the share of held-out loss that is learned beyond a constant answer."""
    model = net()
    optimizer = adam(model, rate)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from loader(batch_size)

    for number, (x, y) in zip(range(1, steps * accumulate + 1), batches(), strict=False):
        (F.mse_loss(model(x), y) / accumulate).backward()
        if number % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
    x, y = drawn(2000, 2)
    with torch.no_grad():
        return 1 - float(F.mse_loss(model(x), y) / y.var())


def test_the_sick_one_fails_when_it_is_trained_and_is_told_of_its_noise() -> None:
    report = sick()
    assert [finding.code for finding in report.findings] == ["SG113"]
    assert report.verdict is not sg.Verdict.HEALTHY
    assert noise_of(report).share > 0.9 and noise_of(report).samples == SIZE
    assert helps(report).learned > 0.2 and (helps(report).alone or 0.0) < 0.02
    assert trained(SIZE, 2000) < 0.02


def test_what_the_finding_says_to_do_helps_when_it_is_trained() -> None:
    averaged = helps(sick())
    assert f"gradients accumulated over {averaged.batches} batches" in sick().findings[0].cures[0].why
    assert trained(SIZE, 60, accumulate=averaged.batches) > 0.3
    assert averaged.slower is not None and averaged.learned_slower is not None and averaged.learned_slower > 0.2
    assert trained(SIZE, 2000, rate=RATE / averaged.slower) > 0.3


@pytest.mark.long
def test_a_cure_that_finds_none_says_that_the_batch_is_too_small() -> None:
    model = net()
    cured = sg.cure(model, loader(SIZE), F.mse_loss, optimizer=adam(model), only="learning-rate")
    assert cured.taken is None
    assert cured.words.startswith("not cured: the batch is too small, and no cure makes it larger; give a batch of ")


def test_its_twin_with_a_larger_batch_is_healthy_and_pays_nothing() -> None:
    model = net()
    report = sg.check(model, loader(128), F.mse_loss, optimizer=adam(model))
    assert report.verdict is sg.Verdict.HEALTHY
    assert report.trial is not None and report.trial.noise is None
    assert trained(128, 60) > 0.3


def test_other_reasons_to_learn_nothing_are_not_called_noise() -> None:
    def unrelated(step: int) -> tuple[Tensor, Tensor]:
        return drawn(SIZE, step)[0], drawn(SIZE, 10_000 + step)[1]

    def related(step: int) -> tuple[Tensor, Tensor]:
        return drawn(SIZE, step)

    for batches, optimizer in ((unrelated, "sgd:0.01"), (related, "sgd:1e-4"), (related, "sgd:100")):
        report = sg.check(net(), batches, F.mse_loss, optimizer=optimizer)
        assert report.verdict is not sg.Verdict.HEALTHY
        assert "SG113" not in [finding.code for finding in report.findings]
        assert "SG113" not in [code for finding in report.findings for code in finding.explains]


def test_the_verdict_is_the_same_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net()
    monkeypatch.setattr("steadygrad.steptest.causes.may_be_noise", lambda found, trace: False)
    report = sg.check(model, loader(SIZE), F.mse_loss, optimizer=adam(model))
    assert report.verdict is sick().verdict
    assert [(one.code, one.severity) for one in report.findings] == [("SG204", sick().findings[0].severity)]


DIGITS, LABELS = load_digits(return_X_y=True)


def digits(wrong: float = 0.6) -> TensorDataset:
    """Digits of which so many have a label drawn at random; the last 397 are right."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.tensor(DIGITS, dtype=torch.float32), torch.tensor(LABELS)
    at = torch.rand(len(y), generator=generator) < wrong
    at[1400:] = False
    y[at] = torch.randint(10, (int(at.sum()),), generator=generator)
    return TensorDataset((x - x.mean()) / x.std(), y)


def perceptron() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(nn.Unflatten(1, (1, 8, 8)), *layers, nn.Flatten(), nn.Linear(1024, 10))


@pytest.mark.long
@pytest.mark.parametrize(
    ("build", "size", "make"),
    [
        (perceptron, 1, lambda weights: torch.optim.SGD(weights, lr=0.3)),
        (perceptron, 1, lambda weights: torch.optim.Adam(weights, lr=0.02)),
        (convolutions, 2, lambda weights: torch.optim.SGD(weights, lr=0.05, momentum=0.9)),
    ],
    ids=["SG109", "Adam", "SG105"],
)
def test_digits_with_wrong_labels_are_learned_by_what_it_says_and_not_without(
    build: Callable[[], nn.Module], size: int, make: Callable[[Any], torch.optim.Optimizer]
) -> None:
    whole = digits()
    x, y = whole.tensors
    few = TensorDataset(x[:1400], y[:1400])

    def accuracy(accumulate: int, batches: int) -> float:
        model, number = build(), 0
        optimizer = make(model.parameters())
        order = torch.Generator().manual_seed(0)
        while number < batches:
            for xs, ys in DataLoader(few, size, shuffle=True, generator=order):
                number += 1
                (F.cross_entropy(model(xs), ys) / accumulate).backward()
                if number % accumulate == 0:
                    optimizer.step()
                    optimizer.zero_grad()
        return float((model(x[1400:]).argmax(1) == y[1400:]).float().mean())

    model = build()
    order = torch.Generator().manual_seed(0)
    loader = DataLoader(few, size, shuffle=True, generator=order)
    report = sg.check(model, loader, F.cross_entropy, optimizer=make(model.parameters()))
    assert [finding.code for finding in report.findings] == ["SG113"]
    assert accuracy(1, 3000) < 0.3
    assert accuracy(helps(report).batches, 4000) > 0.6


def of_a_line(size: int, rule: Tensor, noise: float) -> Callable[[int], tuple[Tensor, Tensor]]:
    def batch(step: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(7919 * size + step)
        x = torch.randn(size, len(rule), generator=generator, dtype=torch.float64)
        return x, x @ rule + noise * torch.randn(size, 1, generator=generator, dtype=torch.float64)

    return batch


def line(size: int, width: int, noise: float) -> Subject:
    model = nn.Linear(width, 1, bias=False).double()
    nn.init.zeros_(model.weight)
    rule = torch.ones(width, 1, dtype=torch.float64) / width**0.5
    return make_subject(model, of_a_line(size, rule, noise), F.mse_loss, optimizer="sgd:0.1")


@settings(max_examples=25)
@given(size=st.integers(1, 64), width=st.integers(10, 60), noise=st.floats(0, 3))
def test_the_share_of_least_squares_is_that_of_its_closed_form(size: int, width: int, noise: float) -> None:
    """At w = 0 the gradient of a sample is −2 x (x·r + ε), |r| = 1: its mean is −2 r, its covariance 4 ((1 + σ²) I + r rᵀ)."""
    seen = noise_in(line(size, width, noise))
    assert seen is not None and seen.samples == size
    of_batch = 4 * ((1 + noise**2) * width + 1) / size
    assert abs(seen.share - of_batch / (4 + of_batch)) < 6 * seen.error + 0.02


def gaussians(batches: int, width: int, noise: float, seed: int) -> tuple[float, float]:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.ones(width, dtype=torch.float64) / width**0.5
    drawn = mean + noise * torch.randn(batches, width, generator=generator, dtype=torch.float64)
    found = share_of_noise(drawn.square().sum(1).tolist(), (drawn @ drawn.sum(0)).tolist())
    assert found is not None
    return found


@pytest.mark.parametrize(("batches", "noise"), [(8, 0.02), (16, 0.1), (16, 0.5)])
def test_the_standard_error_covers_the_truth_over_many_seeds(batches: int, noise: float) -> None:
    width = 500
    truth = width * noise**2 / (1 + width * noise**2)
    found = [gaussians(batches, width, noise, seed) for seed in range(300)]
    shares = torch.tensor([share for share, _ in found])
    mean_error = float(shares.std()) / len(found) ** 0.5
    assert abs(float(shares.mean()) - truth) < 4 * mean_error + 0.003
    within = sum(abs(share - truth) < 2 * error for share, error in found) / len(found)
    assert within > 0.85
    typical = math.fsum(error for _, error in found) / len(found)
    assert 0.6 < typical / float(shares.std()) < 1.6


def test_one_gradient_alone_has_no_share() -> None:
    assert share_of_noise([0.0] * 8, [0.0] * 8) is None
    assert share_of_noise([math.nan] * 8, [1.0] * 8) is None
    assert share_of_noise([math.inf] * 8, [1.0] * 8) is None


def test_the_mean_of_several_batches_has_the_gradient_of_them_all() -> None:
    def objective(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        output = model(batch[0])
        return F.mse_loss(output, batch[1]), output

    x, y = (one.double() for one in drawn(12, 3))
    parts = [(x[at : at + 4], y[at : at + 4]) for at in (0, 4, 8)]
    model = net().double()
    loss, _ = mean_of(objective)(model, Several(parts))
    loss.backward()
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    whole = objective(model, (x, y))[0]
    whole.backward()
    assert loss.item() == pytest.approx(whole.item(), rel=1e-12)
    for one, parameter in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(one, parameter.grad, rtol=1e-12, atol=1e-14)


def test_no_mark_is_left_by_what_is_measured_for_the_cause() -> None:
    scale = torch.tensor(1.0, requires_grad=True)
    scale.grad = torch.tensor(3.0)
    model, data = net(), loader(SIZE)
    optimizer = adam(model)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    drawing, order = torch.get_rng_state(), data.generator.get_state()
    report = sg.check(model, data, lambda output, y: scale * F.mse_loss(output, y), optimizer=optimizer)
    assert noise_of(report).averaged is not None
    assert all(torch.equal(one, now) for one, now in zip(before, model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters()) and not optimizer.state
    assert scale.grad.item() == 3.0
    assert torch.equal(drawing, torch.get_rng_state()) and torch.equal(order, data.generator.get_state())


def test_batches_that_raise_further_on_cost_the_cause_alone() -> None:
    def batch(step: int) -> tuple[Tensor, Tensor]:
        if step > 400:
            raise RuntimeError("the archive has no more")
        return drawn(SIZE, step)

    model = net()
    report = sg.check(model, batch, F.mse_loss, optimizer=adam(model))
    assert report.verdict is sick().verdict and report.findings[0].code == "SG204"
    (note,) = (note for note in report.notes if "noise" in note)
    assert note.startswith("not measured: whether the gradient is noise for the most part (RuntimeError: the")
    assert "the archive has no more" in note


def test_an_iterator_is_not_used_up_for_it() -> None:
    taken = 0

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal taken
        while True:
            taken += 1
            yield drawn(SIZE, taken)

    model = net()
    report = sg.check(model, batches(), F.mse_loss, optimizer=adam(model))
    assert report.trial is not None and report.trial.noise is None
    assert report.verdict is not sg.Verdict.HEALTHY and taken < 400


def test_a_loader_of_few_batches_is_asked_for_no_more_than_it_has() -> None:
    model = net()
    few = TensorDataset(*drawn(60, 1))
    report = sg.check(model, DataLoader(few, SIZE), F.mse_loss, optimizer=adam(model))
    assert report.verdict is not sg.Verdict.HEALTHY
    assert helps(report).batches <= 22


def test_a_last_batch_of_another_size_is_left_out() -> None:
    def subject_of(samples: int) -> Subject:
        return make_subject(net(), DataLoader(TensorDataset(*drawn(samples, 1)), 4), F.mse_loss, optimizer="sgd:0.1")

    seen_of = noise_in(subject_of(32 + 9 * 4 + 2))
    assert seen_of is not None and (seen_of.batches, seen_of.samples) == (9, 4)
    assert noise_in(subject_of(32 + 7 * 4 + 2)) is None


def test_a_closure_and_a_clip_are_stepped_with_averaged_gradients_too() -> None:
    model = nn.Linear(10, 1, bias=False).double()
    batches = of_a_line(16, torch.ones(10, 1, dtype=torch.float64), 0.0)
    subject = make_subject(model, batches, F.mse_loss, optimizer=torch.optim.LBFGS(model.parameters(), lr=0.5))
    helps = averaged_by(subject, Noise(16, 16, 0.75, 0.02), 4, 0.0)
    assert helps is not None and (helps.batches, helps.steps) == (4, 30) and helps.learned > 0.9
    clipped = sg.check(net(), loader(SIZE), F.mse_loss, optimizer="adam:0.05", clip="norm:1.0")
    assert clipped.findings[0].code == "SG113"


def test_the_record_comes_back_from_json() -> None:
    seen = Noise(16, 2, 0.97, 0.01, Averaged(64, 30, 0.4, -math.inf, 8.0, 0.3))
    assert from_jsonable(Noise, to_jsonable(seen)) == seen
    assert seen.scale == pytest.approx(0.97 / 0.03)
    assert Noise(16, None, 1.02, 0.05).scale == math.inf


def averaged(learned: float, alone: float | None, slower: float | None = None) -> Averaged:
    return Averaged(32, 30, learned, alone, None if slower is None else 8.0, slower)


def told(helps: Averaged | None, *, share: float = 0.9, error: float = 0.02, samples: int | None = 4) -> sg.Finding:
    trial = replace(fresh(0.0), noise=Noise(16, samples, share, error, helps))
    (finding,) = sg113.judge(seen(), trial)
    return finding


def test_sg113_is_raised_where_single_batches_learn_less_than_half() -> None:
    finding = told(averaged(0.04, 0.019))
    assert finding.severity is Severity.WARNING and finding.message.startswith(
        "90% of the squared gradient of a batch of 4"
    )
    for helps in (None, averaged(0.5, None), averaged(0.039, 0.0), averaged(0.5, 0.25), averaged(-math.inf, -math.inf)):
        trial = replace(fresh(0.0), noise=Noise(16, 4, 0.9, 0.02, helps))
        assert not list(sg113.judge(seen(), trial))
    assert not list(sg113.judge(seen(), fresh(0.0))) and not list(sg113.judge(seen(), None))


def test_sg113_says_the_scale_or_a_bound_of_it() -> None:
    assert "at about 36 samples" in told(averaged(0.5, 0.0)).consequence
    # Where the signal is within two standard errors of nothing: at least 1 / (0.1 + 0.2) − 1 batches.
    assert "at more than 9.3 samples" in told(averaged(0.5, 0.0), error=0.1).consequence
    assert "at about 9 batches" in told(averaged(0.5, 0.0), samples=None).consequence
    none = told(averaged(0.5, 0.0), share=1.02, samples=None)
    assert "at more than 20 batches" in none.consequence
    assert none.message.startswith("the gradients of 16 batches are noise alone")


def test_sg113_names_the_rate_that_learned() -> None:
    words = [cure.why for cure in told(averaged(0.5, -math.inf, 0.3)).cures]
    assert words[0].startswith("a batch of 128, or gradients accumulated over 32 batches: (loss / 32).backward()")
    assert words[1] == "a learning rate 8 times lower"
    assert not any("times lower" in cure.why for cure in told(averaged(0.5, 0.0, 0.03)).cures)
    assert told(averaged(0.5, 0.0), samples=None).cures[0].why.startswith("gradients accumulated over 32 batches")
    assert "make the loss infinite or NaN" in told(averaged(0.5, -math.inf)).consequence
    assert "the same 960 batches one at a time learn 12%" in told(averaged(0.5, 0.12)).consequence
    assert "one at a time learn nothing" in told(averaged(0.5, -0.3)).consequence


def test_sg113_takes_the_place_of_sg204_at_its_severity() -> None:
    noise = Noise(16, 4, 0.9, 0.02, averaged(0.5, 0.0))
    for trial in (bounced(), diverged(), fresh(0.0)):
        leaps = [finding.severity for finding in sg204.judge(seen(), trial)]
        (finding,) = sg113.judge(seen(), replace(trial, noise=noise))
        assert [finding.severity] == (leaps or [Severity.WARNING])
        assert "SG204" in finding.explains


def test_noise_is_looked_for_where_no_other_cause_is_known() -> None:
    def of(code: str, severity: Severity = Severity.WARNING, location: Location | None = None) -> sg.Finding:
        return sg.Finding(code, "name", severity, "", location, "", (), ())

    assert may_be_noise([of("SG109")], seen()) and may_be_noise([of("SG204", location=place(1)), of("SG109")], seen())
    assert may_be_noise([of("SG204"), of("SG101", Severity.INFO)], seen())
    assert not may_be_noise([], seen()) and not may_be_noise([of("SG101", Severity.INFO)], seen())
    assert not may_be_noise([of("SG109"), of("SG101")], seen())
    assert may_be_noise([of("SG105")], seen()), "the samples differ before the steps"
    assert not may_be_noise([of("SG105")], seen(output_spread=1e-9))
    assert not may_be_noise([of("SG105")], seen(output_spread=None))
    assert not may_be_noise([of("SG109", location=place(1))], seen()), "dropout, which is a cause"
    for ratio, expected in ((4.9, True), (5.0, False)):
        assert may_be_noise([of("SG204")], seen(parameters=(weight("w", update_ratio=ratio),))) is expected
    assert may_be_noise([of("SG204")], seen(parameters=(weight("b", (64,), update_ratio=9.0),)))
