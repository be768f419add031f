"""Generated data of the newer tasks: equations, signals, triplets, pairs and views, transitions, prices, tags, waves.

Every function gives inputs and targets, the samples in the first dimension; the last fifth is held out, so what must stay
apart (the digits of two triplets) is kept apart here.
"""

from __future__ import annotations

from functools import cache

import torch
from sklearn import datasets, linear_model
from torch import Tensor

Data = tuple[Tensor, Tensor]

OMEGA = 4.0
"""Angular frequency of ``oscillator``, per unit of time."""
DIFFUSION = 0.1
"""Of ``heat``."""

STATES, ACTIONS, FEATURES, DISCOUNT = 12, 3, 6, 0.8
"""Of ``transitions``: a row holds features of the state, the action as one-hot, the reward, features of the next state."""


def _noise(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _standard(y: Tensor) -> Tensor:
    return (y - y.mean(0)) / y.std(0)


@cache
def oscillator() -> Data:
    """Times (1000, 1) in [0, 1], and where an oscillator let go at 1 is then."""
    x = torch.rand(1000, 1, generator=_noise(40))
    return x, torch.cos(OMEGA * x)


@cache
def heat() -> Data:
    """Place and time (1000, 2), each in [0, 1], and the temperature of a rod whose ends are kept at 0."""
    x = torch.rand(1000, 2, generator=_noise(41))
    return x, torch.exp(-DIFFUSION * torch.pi**2 * x[:, 1:]) * torch.sin(torch.pi * x[:, :1])


@cache
def signal() -> Data:
    """Times (1000, 1) in [−1, 1], and a sound of two tones."""
    x = 2 * torch.rand(1000, 1, generator=_noise(42)) - 1
    return x, _standard(torch.sin(19 * x) + 0.6 * torch.sin(37 * x + 1))


@cache
def picture() -> Data:
    """Places (1500, 2) in [−1, 1], and the grey level of a picture of rings and stripes there."""
    x = 2 * torch.rand(1500, 2, generator=_noise(43)) - 1
    rings = torch.cos(14 * x.norm(dim=1, keepdim=True))
    return x, _standard(rings + 0.5 * torch.sin(10 * x[:, :1] + 4 * x[:, 1:]))


@cache
def _digits() -> Data:
    x, y = datasets.load_digits(return_X_y=True)
    x = torch.tensor(x, dtype=torch.float32)
    rows = torch.randperm(len(x), generator=_noise(44))
    return ((x - x.mean()) / x.std())[rows], torch.tensor(y)[rows]


def _drawn(first: int, last: int, count: int, noise: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of anchors, of others of their class, and of others of another, among digits ``first`` to ``last``."""
    _, y = _digits()
    anchors = torch.randint(first, last, (count,), generator=noise)
    same = y[anchors][:, None] == y[None, first:last]
    like = first + torch.multinomial(same.float(), 1, generator=noise)[:, 0]
    unlike = first + torch.multinomial((~same).float(), 1, generator=noise)[:, 0]
    return anchors, like, unlike


@cache
def triplets() -> Data:
    """A digit and two candidates, (1250, 3, 64): which of the two shows the same digit?"""
    (x, _), noise = _digits(), _noise(45)
    told = [torch.cat(two) for two in zip(_drawn(0, 1400, 1000, noise), _drawn(1400, 1797, 250, noise), strict=True)]
    y = torch.randint(2, (1250,), generator=noise)
    one, other = torch.where(y == 0, told[1], told[2]), torch.where(y == 0, told[2], told[1])
    return torch.stack([x[told[0]], x[one], x[other]], 1), y


@cache
def pairs() -> Data:
    """Two digits, (1250, 2, 64): do they show the same?"""
    (x, _), noise = _digits(), _noise(46)
    told = [torch.cat(two) for two in zip(_drawn(0, 1400, 1000, noise), _drawn(1400, 1797, 250, noise), strict=True)]
    y = torch.randint(2, (1250,), generator=noise)
    return torch.stack([x[told[0]], x[torch.where(y == 1, told[1], told[2])]], 1), y


@cache
def views() -> Data:
    """Two noisy views of a digit, (1000, 2, 64); the target of the last 200 is their own place among them."""
    x, _ = _digits()
    x = x[:1000, None].expand(-1, 2, -1)
    return x + 0.5 * torch.randn(x.shape, generator=_noise(47)), torch.arange(1000) - 800


@cache
def noisy_digits() -> Data:
    """Digits under noise, (1797, 64), and the digits."""
    x, _ = _digits()
    return x + 0.7 * torch.randn(x.shape, generator=_noise(48)), x


@cache
def distilled() -> Data:
    """Digits, and the ten logits that a linear teacher, fitted on what is not held out, gives to each."""
    x, y = _digits()
    seen = len(x) - len(x) // 5
    teacher = linear_model.LogisticRegression(C=0.01, max_iter=200).fit(x[:seen].numpy(), y[:seen].numpy())
    return x, torch.tensor(teacher.decision_function(x.numpy()), dtype=torch.float32)


@cache
def blots() -> Data:
    """Noisy images (800, 1, 12, 12) with a small bright blot; for every pixel, whether it lies in it: (800, 12, 12)."""
    place = torch.rand(800, 2, generator=_noise(49)) * 8 + 2
    radius = torch.rand(800, generator=_noise(50)) * 0.8 + 1.0
    grid = torch.arange(12.0)
    far = (grid[None, :, None] - place[:, 0, None, None]) ** 2 + (grid[None, None] - place[:, 1, None, None]) ** 2
    inside = far < radius[:, None, None] ** 2
    x = inside.float() + 0.3 * torch.randn(inside.shape, generator=_noise(51))
    return ((x - x.mean()) / x.std())[:, None], inside.long()


@cache
def bell() -> Data:
    """Points (2000, 2) of one normal distribution, leaning and off the middle, for generators."""
    lean = torch.tensor([[0.8, 0.3], [0.0, 0.4]])
    return torch.randn(2000, 2, generator=_noise(52)) @ lean + torch.tensor([1.5, -1.0]), torch.zeros(2000)


@cache
def transitions() -> Data:
    """Steps (1500, 16) in a world of twelve states and three actions, and the discounted value of each."""
    noise = _noise(53)
    seen = torch.randn(STATES, FEATURES, generator=noise)
    onward = torch.randint(STATES, (STATES, ACTIONS), generator=noise)
    reward = torch.randn(STATES, ACTIONS, generator=noise)
    value = torch.zeros(STATES, ACTIONS)
    for _ in range(100):
        value = reward + DISCOUNT * value.amax(1)[onward]
    state = torch.randint(STATES, (1500,), generator=noise)
    action = torch.randint(ACTIONS, (1500,), generator=noise)
    blur = 0.05 * torch.randn(1500, 2 * FEATURES, generator=noise)
    parts = [
        seen[state] + blur[:, :FEATURES],
        torch.eye(ACTIONS)[action],
        reward[state, action][:, None],
        seen[onward[state, action]] + blur[:, FEATURES:],
    ]
    return torch.cat(parts, 1), value[state, action][:, None]


@cache
def prices() -> Data:
    """Eight standardised features of houses, (1500, 8), and their prices as paid: 200,000 on average."""
    noise = _noise(54)
    x = torch.randn(1500, 8, generator=noise)
    worth = x[:, 0] + 0.7 * x[:, 1] * (x[:, 2] > 0) + 0.5 * torch.tanh(2 * x[:, 3]) + 0.4 * x[:, 4].abs()
    return x, (200_000 + 70_000 * worth + 5_000 * torch.randn(1500, generator=noise))[:, None]


@cache
def tags() -> Data:
    """Twelve features, (1500, 12), and which of five tags apply, any number of them."""
    noise = _noise(55)
    x = torch.randn(1500, 12, generator=noise)
    weight = torch.randn(12, 5, generator=noise)
    return x, (x @ weight + x[:, :5] * x[:, 5:10] > 1.0).float()


@cache
def odds() -> Data:
    """Tumours' thirty features, (569, 30), and whether each is benign, as a number."""
    x, y = datasets.load_breast_cancer(return_X_y=True)
    x = _standard(torch.tensor(x, dtype=torch.float32))
    rows = torch.randperm(len(x), generator=_noise(56))
    return x[rows], torch.tensor(y, dtype=torch.float32)[rows, None]


@cache
def waves(length: int = 16) -> Data:
    """Noisy waves, each of its own frequency and phase, (1500, length, 1), and how each goes on."""
    noise = _noise(57)
    rate = 0.3 + 0.6 * torch.rand(1500, 1, generator=noise)
    phase = 6.2832 * torch.rand(1500, 1, generator=noise)
    wave = torch.sin(rate * torch.arange(length + 1.0) + phase)
    x = wave[:, :length] + 0.05 * torch.randn(1500, length, generator=noise)
    return 1.4 * x[..., None], 1.4 * wave[:, length:]


@cache
def sorting() -> Data:
    """Sequence to sequence: ((source, target so far), target) of five tokens, to be given back in order."""
    source = torch.randint(1, 9, (1500, 5), generator=_noise(58))
    target = source.sort(1).values
    before = torch.cat([torch.zeros(1500, 1, dtype=torch.long), target[:, :-1]], 1)
    return torch.stack([source, before], 1), target
