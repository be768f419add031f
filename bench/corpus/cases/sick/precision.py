"""Arithmetic at the edges of the number format: numbers too small for it, and those that are none.

Each twin computes the same in a wider format, in the logarithm, or with an epsilon where one belongs.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from bench.corpus.case import Made, sick_case
from bench.corpus.cases.nets import plain
from bench.corpus.cases.parts import (
    Data,
    adam,
    assemble,
    cancer,
    diabetes,
    digits,
    images,
    raw_digits,
    reconstruction,
    rows,
)


def in_half(data: Data, dtype: torch.dtype = torch.float16) -> Data:
    x, y = data
    return x.to(dtype), y.to(dtype) if y.is_floating_point() else y


def fine_tuned(dtype: torch.dtype) -> Made:
    """A rate of 1e-5, as for fine-tuning large models, on weights that are themselves kept in ``dtype``."""
    return assemble(plain(2, nn.ReLU, 512).to(dtype), in_half(digits(), dtype), adam(1e-5), loss_fn=score_in_float)


def score_in_float(scores, y):
    return F.cross_entropy(scores.float(), y)


class Autocast(nn.Module):
    """An autoencoder under autocast, its training loop without a gradient scaler."""

    def __init__(self, dtype):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16))
        self.decoder = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 64))
        self.dtype = dtype

    def forward(self, x):
        with torch.autocast("cpu", dtype=self.dtype):
            return self.decoder(self.encoder(x))


def weighted(output, target):
    """One term of a larger loss, with the small weight that belongs to it there."""
    return 1e-6 * F.mse_loss(output.float(), target)


def half_precision(dtype) -> Made:
    """The whole model in ``dtype``, Adam with its default epsilon of 1e-8, which float16 cannot hold."""
    return assemble(plain(2, nn.ReLU).to(dtype), in_half(digits(), dtype), adam(1e-3), loss_fn=score_in_float)


@cache
def tags(length: int = 60, kinds: int = 6) -> Data:
    """Sequences to be tagged step by step: x (1000, length, 8), y (1000, length)."""
    noise = torch.Generator().manual_seed(19)
    y = torch.randint(kinds, (1000, length), generator=noise)
    centres = torch.randn(kinds, 8, generator=noise)
    return centres[y] + 0.5 * torch.randn(1000, length, 8, generator=noise), y


class StepTagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 6))

    def forward(self, x):
        return self.net(x)


def unlikelihood(scores, y):
    """One minus the likelihood of a whole sequence: a product of sixty probabilities."""
    chosen = scores.softmax(-1).gather(-1, y[..., None]).squeeze(-1)
    return 1 - chosen.prod(dim=-1).mean()


def step_likelihood(scores, y):
    return F.cross_entropy(scores.transpose(1, 2), y)


class RadialBasis(nn.Module):
    """Gaussians around samples; squared distances in 64 dimensions are of the order of 100."""

    def __init__(self, gamma: float):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(80, 64))
        self.weights = nn.Linear(80, 10)
        self.gamma = gamma

    def forward(self, x):
        squares = torch.cdist(x, self.centres).pow(2)
        return self.weights(torch.exp(-self.gamma * squares))


class Standardising(nn.Module):
    """Standardises its input by the batch; the corner pixels of the digits are 0 in every image."""

    def __init__(self, eps: float):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.eps = eps

    def forward(self, x):
        mean, std = x.mean(0), x.std(0)
        return self.body((x - mean) / (std + self.eps))


def cross_entropy_of_log(scores, y):
    return F.nll_loss(torch.log(torch.softmax(scores, dim=1)), y)


def cross_entropy_of_log_softmax(scores, y):
    return F.nll_loss(torch.log_softmax(scores, dim=1), y)


def large_scores() -> nn.Module:
    """Weights drawn from N(0, 1), as ``torch.randn`` gives them: scores of a hundred and more."""
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    for module in model:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight)
    return model


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))

    def forward(self, x):
        return self.net(x)


class PairLoss:
    """Pulls pairs of one class together and pushes the others a margin apart, over all pairs of the batch."""

    def __init__(self, eps):
        self.eps = eps

    def __call__(self, embedded, y):
        squares = (embedded[:, None] - embedded[None]).pow(2).sum(-1)
        distances = torch.sqrt(squares + self.eps)
        same = y[:, None] == y[None]
        return torch.where(same, distances, 4 * F.relu(4.0 - distances)).mean()


@cache
def phrases(empty: bool, *, words: int = 40) -> Data:
    """Phrases of up to ten words (0 = padding), half of them from their class's vocabulary; some may be empty."""
    noise = torch.Generator().manual_seed(23)
    y = torch.randint(4, (1500,), generator=noise)
    tokens = torch.randint(1, words, (1500, 10), generator=noise)
    typical = torch.rand(1500, 10, generator=noise) < 0.5
    tokens = torch.where(typical, tokens // 4 * 4 + y[:, None], tokens).clamp(min=1)
    lengths = torch.randint(0 if empty else 1, 11, (1500,), generator=noise)
    tokens[torch.arange(10) >= lengths[:, None]] = 0
    return tokens, y


class AttentionPooling(nn.Module):
    """Words weighed by a learned query; padding is masked with minus infinity."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 32)
        self.position = nn.Parameter(torch.randn(10, 32))
        self.key, self.value = nn.Linear(32, 32), nn.Linear(32, 32)
        self.query = nn.Parameter(torch.randn(32) / 6)
        self.head = nn.Linear(32, 4)

    def forward(self, tokens):
        h = torch.tanh(self.embed(tokens) + self.position)
        scores = self.key(h) @ self.query
        scores = scores.masked_fill(tokens == 0, float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        return self.head((weights[..., None] * self.value(h)).sum(1))


class MeanPooling(nn.Module):
    """The mean over the words of a phrase, padding left out."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(40, 32, padding_idx=0)
        self.mlp = nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 4))

    def forward(self, tokens):
        mask = (tokens != 0).float()
        summed = (self.embed(tokens) * mask[..., None]).sum(1)
        return self.mlp(summed / mask.sum(1, keepdim=True))


class HandSoftmax(nn.Module):
    """Attention over the rows of an image with a softmax written out; ``safe`` subtracts the greatest score first."""

    def __init__(self, safe):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 32) for _ in range(3))
        self.out = nn.Linear(256, 10)
        self.safe = safe

    def forward(self, x):
        x = x.view(-1, 8, 8)
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        if self.safe:
            scores = scores - scores.amax(-1, keepdim=True)
        weights = torch.exp(scores)
        weights = weights / weights.sum(-1, keepdim=True)
        return self.out((weights @ self.v(x)).flatten(1))


class LogRate(nn.Module):
    """Poisson regression: the rate is the exponential of a linear function."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(30, 1)

    def forward(self, x):
        return torch.exp(self.linear(x))


def poisson(rate, counts):
    return (rate - counts * torch.log(rate)).mean()


def counts(scaled: bool) -> Data:
    x, y = cancer(scaled=scaled)
    return x, 1.0 + 4.0 * y[:, None].float()


class HalfNorm(nn.Module):
    """Scales each image to length 1 in the format it comes in: the squares of grey levels overflow float16."""

    def __init__(self, dtype):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10))
        self.dtype = dtype

    def forward(self, x):
        x = x.to(self.dtype)
        length = torch.sqrt((x * x).sum(-1, keepdim=True))
        return self.net((8 * x / length).float())


@cache
def grey_levels() -> Data:
    """Digits in grey levels 0..255."""
    x, y = raw_digits()
    return x / 16 * 255, y


@cache
def patients(missing: bool) -> Data:
    """The diabetes data, one measurement in a thousand of them missing or filled with the mean."""
    x, y = diabetes()
    gaps = torch.rand(x.shape, generator=torch.Generator().manual_seed(29)) < 0.01
    return x.masked_fill(gaps, math.nan if missing else 0.0), y


class Gallery(nn.Module):
    """Votes of known samples by the angle to them; the gallery was taken from the training set, so some angles are 0."""

    def __init__(self, margin: float):
        super().__init__()
        x, y = digits()
        self.register_buffer("known", x[:300])
        self.register_buffer("votes", F.one_hot(y[:300], 10).float())
        self.encoder = nn.Linear(64, 32)
        self.margin = margin

    def forward(self, x):
        cosine = F.normalize(self.encoder(x)) @ F.normalize(self.encoder(self.known)).T
        cosine = cosine.clamp(-1 + self.margin, 1 - self.margin)
        angle = torch.acos(cosine)
        return torch.log(torch.softmax(-4 * angle, dim=1) @ self.votes + 1e-6)


class GeneralisedMean(nn.Module):
    """Generalised-mean pooling over a feature map, whose values it takes to be positive."""

    def __init__(self, positive: bool):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1))
        self.power = nn.Parameter(torch.tensor(3.0))
        self.fc = nn.Linear(32, 10)
        self.positive = positive

    def forward(self, x):
        x = self.convs(x)
        if self.positive:
            x = x.clamp(min=1e-6)
        means = (x**self.power).mean((2, 3))
        return self.fc(means ** (1 / self.power))


class BilinearPooling(nn.Module):
    """Products of all pairs of channels, followed by the signed square root; channels that are silent give zeros."""

    def __init__(self, eps):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3)
        self.fc = nn.Linear(256, 10)
        self.eps = eps

    def forward(self, x):
        h = F.relu(self.conv(x)).flatten(2)
        products = h @ h.transpose(1, 2) / h.shape[-1]
        products = torch.sign(products) * torch.sqrt(products.abs() + self.eps)
        return self.fc(products.flatten(1))


class GatedMean(nn.Module):
    """The mean of the rows whose gate is open, and zero where none is: ``torch.where`` guards forward, not backward."""

    def __init__(self, least: float):
        super().__init__()
        self.gate, self.value = nn.Linear(8, 1), nn.Linear(8, 64)
        self.fc = nn.Linear(64, 10)
        self.least = least

    def forward(self, x):
        w = F.relu(self.gate(x))
        mass = w.sum(1).clamp(min=self.least)
        mean = (w * torch.tanh(self.value(x))).sum(1) / mass
        return self.fc(torch.where(mass > self.least, mean, 0.0))


class UnitRows(nn.Module):
    """A classifier whose rows are scaled to length 1 when it is built; zeros have no length."""

    def __init__(self, draw_):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.weight = nn.Parameter(draw_(torch.empty(10, 64)))
        with torch.no_grad():
            self.weight /= self.weight.norm(dim=1, keepdim=True)

    def forward(self, x):
        return F.linear(self.body(x), self.weight)


class EventModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(30, 32), nn.Linear(32, 1)

    def forward(self, x):
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(x)))).squeeze(1)


def hand_written_bce(p, y):
    """Cross-entropy of a probability, which rounds to 0 or 1 where the unit is sure."""
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


CASES = (
    sick_case("bfloat16-swallows-small-updates", "mlp", 0.2815, "SG108", "SG106", steps=400)(
        lambda sick: fine_tuned(torch.bfloat16 if sick else torch.float32)
    ),
    sick_case("autocast-float16-unscaled", "autoencoder", 0.5476, "SG108")(
        lambda sick: assemble(Autocast(torch.float16 if sick else torch.bfloat16), reconstruction(), loss_fn=weighted)
    ),
    sick_case("float16-adam-epsilon", "mlp", 0.94, "SG108", "SG203", "SG204")(
        lambda sick: half_precision(torch.float16 if sick else torch.float32)
    ),
    sick_case("likelihood-as-a-product", "sequence", 0.9772, "SG108", line="chosen.prod(dim=-1)")(
        lambda sick: assemble(StepTagger(), tags(), adam(3e-3), loss_fn=unlikelihood if sick else step_likelihood)
    ),
    sick_case(
        "gaussians-too-narrow", "rbf", 0.7119, "SG108", "SG102", "SG105", line="torch.exp(-self.gamma * squares)"
    )(lambda sick: assemble(RadialBasis(2.0 if sick else 0.01), digits(), adam(1e-2))),
    sick_case("standardised-constant-feature", "mlp", 0.8929, "SG203", line="(x - mean) / (std + self.eps)")(
        lambda sick: assemble(Standardising(0.0 if sick else 1e-3), raw_digits())
    ),
    sick_case("log-of-softmax", "mlp", 0.2967, "SG203", steps=300, line="torch.log(torch.softmax(scores, dim=1))")(
        lambda sick: assemble(
            large_scores(), digits(), adam(1e-2), loss_fn=cross_entropy_of_log if sick else cross_entropy_of_log_softmax
        )
    ),
    sick_case("distance-to-itself", "metric", 0.7983, "SG203", line="torch.sqrt(squares + self.eps)")(
        lambda sick: assemble(Embedder(), digits(), loss_fn=PairLoss(0.0 if sick else 1e-8))
    ),
    sick_case("attention-over-an-empty-phrase", "attention", 0.402, "SG203", line="torch.softmax(scores, dim=-1)")(
        lambda sick: assemble(AttentionPooling(), phrases(empty=sick), adam(1e-2))
    ),
    sick_case("mean-of-an-empty-phrase", "embedding", 0.4532, "SG203", line="summed / mask.sum(1, keepdim=True)")(
        lambda sick: assemble(MeanPooling(), phrases(empty=sick), adam(1e-2))
    ),
    sick_case("softmax-without-the-maximum", "attention", 0.6726, "SG203", line="torch.exp(scores)")(
        lambda sick: assemble(HandSoftmax(not sick), raw_digits(), adam(3e-3))
    ),
    sick_case("rate-of-raw-features", "linear", 2.173, "SG203", "SG304", line="torch.exp(self.linear(x))")(
        lambda sick: assemble(LogRate(), counts(scaled=not sick), adam(3e-2), loss_fn=poisson)
    ),
    sick_case("squares-overflow-float16", "mlp", 0.8775, "SG203", "SG105", line="(x * x).sum(-1, keepdim=True)")(
        lambda sick: assemble(HalfNorm(torch.float16 if sick else torch.float32), grey_levels())
    ),
    sick_case("missing-measurements", "mlp", 0.2773, "SG203")(
        lambda sick: assemble(
            nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1)), patients(sick), loss_fn=F.mse_loss
        )
    ),
    sick_case("angle-to-itself", "metric", 0.7082, "SG203", line="torch.acos(cosine)")(
        lambda sick: assemble(Gallery(0.0 if sick else 1e-6), digits(), adam(1e-2))
    ),
    sick_case("root-of-a-negative-mean", "conv", 0.9467, "SG203", line="means ** (1 / self.power)")(
        lambda sick: assemble(GeneralisedMean(not sick), images(), adam(3e-3))
    ),
    sick_case("signed-root-of-zero", "conv", 0.4302, "SG203", line="torch.sqrt(products.abs() + self.eps)")(
        lambda sick: assemble(BilinearPooling(0.0 if sick else 1e-6), images())
    ),
    sick_case(
        "where-guards-forward-only", "gated", 0.4212, "SG203", line="(w * torch.tanh(self.value(x))).sum(1) / mass"
    )(lambda sick: assemble(GatedMean(0.0 if sick else 1e-6), rows(), adam(1e-2))),
    sick_case("unit-length-of-zeros", "mlp", 0.9033, "SG203")(
        lambda sick: assemble(UnitRows(nn.init.zeros_ if sick else nn.init.normal_), digits())
    ),
    sick_case("log-of-a-certain-zero", "mlp", 0.8435, "SG203", "SG304", line="torch.log(p)")(
        lambda sick: assemble(EventModel(), cancer(scaled=not sick), loss_fn=hand_written_bce)
    ),
)
