"""Architectures as their papers build them, small: residual, normaliser-free, gated, attentive, generative, recurrent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.corpus.case import Case, Made
from bench.corpus.cases.nets import plain
from bench.corpus.cases.parts import adam, assemble, curve, digits, images, pixels, recall, reconstruction, rows, sgd
from bench.corpus.tasks import Data


class Block(nn.Module):
    """Basic block, post- or pre-activation (He et al. 2016a, 2016b), with squeeze-and-excitation if asked."""

    def __init__(self, width: int, pre: bool = False, squeeze: bool = False, zero: bool = False) -> None:
        super().__init__()
        self.pre = pre
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.gate = (
            nn.Sequential(nn.Linear(width, 4), nn.ReLU(), nn.Linear(4, width), nn.Sigmoid()) if squeeze else None
        )
        if zero:
            nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.pre:
            h = self.conv1(F.relu(self.bn1(x)))
            return x + self.conv2(F.relu(self.bn2(h)))
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.gate is not None:
            h = h * self.gate(h.mean((2, 3)))[:, :, None, None]
        return F.relu(x + h)


def convolutional(*blocks: nn.Module, width: int = 16) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), *blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 10)
    )


class DenseBlock(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(width), nn.Conv2d(width, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)


class ConvNeXtBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.down(F.gelu(self.up(h)))).permute(0, 3, 1, 2)


class InvertedResidual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(width, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Scaled(nn.Module):
    """x + scale · f(x): ReZero (0, Bachlechner 2021), SkipInit (0, De & Smith 2020), LayerScale (Touvron 2021)."""

    def __init__(self, body: nn.Module, start: float) -> None:
        super().__init__()
        self.body, self.scale = body, nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.body(x)


class Fixup(nn.Module):
    """Zhang, Dauphin & Ma 2019: scaled first, zero last, scalar biases and a multiplier."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(4))
        self.scale = nn.Parameter(torch.ones(1))
        nn.init.normal_(self.conv1.weight, std=math.sqrt(2 / (9 * width)) * blocks**-0.5)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(x + self.biases[0]) + self.biases[1])
        return F.relu(x + self.conv2(h + self.biases[2]) * self.scale + self.biases[3])


class Standardised(nn.Conv2d):
    """Scaled weight standardisation (Brock et al. 2021)."""

    def forward(self, x: Tensor) -> Tensor:
        fan_in = self.weight[0].numel()
        centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = 1.7139588594436646 * centred / (self.weight.std((1, 2, 3), keepdim=True) * fan_in**0.5)
        return F.conv2d(x, weight, self.bias, padding=1)


class NormaliserFree(nn.Module):
    def __init__(self, width: int, beta: float) -> None:
        super().__init__()
        self.one, self.two, self.beta = Standardised(width, width, 3), Standardised(width, width, 3), beta

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.two(F.relu(self.one(F.relu(x / self.beta))))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.low = (
            nn.Conv2d(1, 16, 3, padding=1),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.Conv2d(32, 32, 3, padding=1),
        )
        self.up, self.out = nn.ConvTranspose2d(32, 16, 2, stride=2), nn.Conv2d(32, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        one = F.relu(self.one(x))
        low = F.relu(self.low(F.relu(self.two(F.max_pool2d(one, 2)))))
        return self.out(torch.cat([one, self.up(low)], 1))


class Highway(nn.Module):
    """Srivastava et al. 2015, gate bias -2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.plain, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * F.relu(self.plain(x)) + (1 - gate) * x


class Mixer(nn.Module):
    """Tolstikhin et al. 2021, on the eight rows of a digit."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.channels = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class GatedMLP(nn.Module):
    """gMLP (Liu et al. 2021): the spatial gate starts near one."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 64), nn.Linear(32, width)
        self.gate_norm, self.spatial = nn.LayerNorm(32), nn.Linear(8, 8)
        nn.init.normal_(self.spatial.weight, std=1e-6)
        nn.init.ones_(self.spatial.bias)

    def forward(self, x: Tensor) -> Tensor:
        u, v = F.gelu(self.up(self.norm(x))).chunk(2, -1)
        return x + self.down(u * self.spatial(self.gate_norm(v).transpose(1, 2)).transpose(1, 2))


class Rows(nn.Module):
    """Digits as sentences of eight rows through a body, mean over rows."""

    def __init__(self, body: nn.Module, width: int = 32, zero_head: bool = False) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(8, width), nn.Parameter(0.02 * torch.randn(8, width))
        self.body, self.norm, self.head = body, nn.LayerNorm(width), nn.Linear(width, 10)
        if zero_head:
            nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.body(self.embed(x) + self.place)).mean(1))


def encoder(depth: int, pre: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=pre)
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class Sine(nn.Module):
    """One layer of SIREN (Sitzmann et al. 2020), omega 30 on coordinates."""

    def __init__(self, inputs: int, outputs: int, first: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / 30
        nn.init.uniform_(self.fc.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(30 * self.fc(x))


class Variational(nn.Module):
    """Kingma & Welling 2014; the loss is the model's own."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(64, 64), nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))
        self.mean, self.log_variance = nn.Linear(64, 8), nn.Linear(64, 8)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = F.relu(self.encode(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        return {"loss": F.mse_loss(self.decode(z), x) + 1e-3 * divergence}


class Recurrent(nn.Module):
    def __init__(self, cell: type[nn.RNNBase], inputs: int, outputs: int, **options: bool) -> None:
        super().__init__()
        self.rnn = cell(inputs, 48, batch_first=True, **options)
        self.head = nn.Linear(96 if options.get("bidirectional") else 48, outputs)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x)
        size = self.rnn.hidden_size
        # The backward direction has read the whole sequence at the first step, the forward one at the last.
        return self.head(torch.cat([states[:, -1, :size], states[:, 0, size:]], dim=1))


class Experts(nn.Module):
    """A softly gated mixture of experts (Jacobs et al. 1991)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(64, 4)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10)) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        shares = self.gate(x).softmax(-1)
        return sum(shares[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))  # type: ignore[return-value]


class DeepSet(nn.Module):
    """Zaheer et al. 2017, on the rows of a digit with their places."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        places = torch.eye(8).expand(len(x), 8, 8)
        return self.all(self.each(torch.cat([x, places], -1)).mean(1))


class GraphNet(nn.Module):
    """Kipf & Welling 2017 on the grid of pixels: two layers of normalised neighbourhood means, then a readout."""

    def __init__(self) -> None:
        super().__init__()
        place = torch.stack(torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")).flatten(1).T.float()
        near = (torch.cdist(place, place) <= 1.01).float()
        self.register_buffer("adjacency", near / near.sum(1, keepdim=True))
        self.one, self.two, self.out = nn.Linear(1, 16), nn.Linear(16, 16), nn.Linear(16 * 64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.adjacency @ self.one(x))
        x = F.relu(self.adjacency @ self.two(x))
        return self.out(x.flatten(1))


def lecun(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
    return net


def outlines() -> tuple[Tensor, Tensor]:
    x, _ = images()
    return x, (x > 0).float()


def wave() -> tuple[Tensor, Tensor]:
    x = torch.linspace(-1, 1, 1500)[torch.randperm(1500, generator=torch.Generator().manual_seed(3))][:, None]
    return x, torch.sin(12 * x) + 0.3 * torch.sin(31 * x)


def variational() -> Made:
    x, _ = digits()
    model = Variational()

    def batch(step: int) -> Tensor:
        return x[torch.randperm(1400, generator=torch.Generator().manual_seed(step))[:64]]

    return Made(model, batch(0), None, torch.optim.Adam(model.parameters(), 1e-3), batch, lambda: x[1400:])


def generator() -> nn.Module:
    """Radford et al. 2016 in one dimension: batch norm and ReLU inside, tanh at the end."""
    return nn.Sequential(
        nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Linear(64, 64), nn.Tanh(),
    )  # fmt: skip


def discriminator() -> nn.Module:
    """Leaky ReLU throughout, as there."""
    return nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))


def noise(step: int, size: int = 64) -> Tensor:
    return torch.randn(size, 16, generator=torch.Generator().manual_seed(step))


def told_apart(fakes: nn.Module, step: int) -> tuple[Tensor, Tensor]:
    """Digits and a generator's fakes in equal parts, and which is which."""
    real = digits()[0][torch.randperm(1797, generator=torch.Generator().manual_seed(step))[:64]]
    with torch.no_grad():
        fake = fakes(noise(step))
    return torch.cat([real, fake]), torch.cat([torch.ones(64, 1), torch.zeros(64, 1)])


def gan_discriminator() -> Made:
    """One half of the pair: real digits from the fakes of a generator as it begins."""
    fakes, judge = generator(), discriminator()
    optimizer = torch.optim.Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999))
    loss = F.binary_cross_entropy_with_logits
    return Made(
        judge, told_apart(fakes, 0), loss, optimizer, lambda n: told_apart(fakes, n), lambda: told_apart(fakes, 10**6)
    )


class Forger(nn.Module):
    """A generator, and the frozen discriminator that it is to deceive."""

    def __init__(self, fakes: nn.Module, judge: nn.Module) -> None:
        super().__init__()
        self.fakes, self.judge = fakes, judge.requires_grad_(False)

    def forward(self, z: Tensor) -> Tensor:
        scores: Tensor = self.judge(self.fakes(z))
        return scores


def gan_generator() -> Made:
    """The other half, by the loss that does not saturate, against a discriminator of fifty steps."""
    fakes, judge = generator(), discriminator()
    optimizer = torch.optim.Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for step in range(50):
        optimizer.zero_grad()
        x, y = told_apart(fakes, step)
        F.binary_cross_entropy_with_logits(judge(x), y).backward()
        optimizer.step()
    forger, real = Forger(fakes, judge), torch.ones(64, 1)
    trained = torch.optim.Adam(fakes.parameters(), lr=2e-4, betas=(0.5, 0.999))
    return Made(
        forger,
        (noise(0), real),
        F.binary_cross_entropy_with_logits,
        trained,
        lambda n: (noise(n), real),
        lambda: (noise(10**6), real),
    )


def case(
    name: str, best: float, data: Callable[[], Data], source: str, *, steps: int = 200, **options: Any
) -> Callable[[Callable[[], nn.Module]], Case]:
    """Give what makes the case of a function, which builds the model."""
    return lambda build: Case(name, "paper", best, lambda _: assemble(build(), data(), **options), steps, source)


GAN = "Goodfellow et al. 2014, Radford et al. 2016"

CASES = (
    case("resnet-post-activation", 0.9813, images, "He et al. 2016a", optimizer=sgd(0.05, momentum=0.9))(
        lambda: convolutional(*(Block(16) for _ in range(8)))
    ),
    case("resnet-pre-activation", 0.9935, images, "He et al. 2016b", optimizer=sgd(0.05, momentum=0.9))(
        lambda: convolutional(*(Block(16, pre=True) for _ in range(12)))
    ),
    case("resnet-zero-gamma", 0.9883, images, "Goyal et al. 2017", optimizer=sgd(0.05, momentum=0.9))(
        lambda: convolutional(*(Block(16, zero=True) for _ in range(8)))
    ),
    case("squeeze-and-excitation", 0.9898, images, "Hu et al. 2018")(
        lambda: convolutional(*(Block(16, squeeze=True) for _ in range(6)))
    ),
    case("densenet", 0.9759, images, "Huang et al. 2017")(
        lambda: convolutional(*(DenseBlock(16 + 8 * i, 8) for i in range(6)), nn.Conv2d(64, 16, 1))
    ),
    case("convnext-layer-scale", 0.9341, images, "Liu et al. 2022", optimizer=adam(4e-3))(
        lambda: convolutional(*(ConvNeXtBlock(16) for _ in range(8)))
    ),
    case("inverted-residuals", 0.9868, images, "Sandler et al. 2018")(
        lambda: convolutional(*(InvertedResidual(16) for _ in range(6)))
    ),
    case("rezero", 0.9712, digits, "Bachlechner et al. 2021")(
        lambda: nn.Sequential(
            *(Scaled(nn.Sequential(nn.Linear(64, 64), nn.ReLU()), 0.0) for _ in range(32)), nn.Linear(64, 10)
        )
    ),
    case("skip-init", 0.8651, images, "De & Smith 2020")(
        lambda: convolutional(
            *(Scaled(nn.Sequential(nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)), 0.0) for _ in range(12))
        )
    ),
    case("fixup", 0.9063, images, "Zhang et al. 2019")(lambda: convolutional(*(Fixup(16, 8) for _ in range(8)))),
    case("normaliser-free", 0.9878, images, "Brock et al. 2021")(
        lambda: convolutional(*(NormaliserFree(16, math.sqrt(1 + 0.04 * i)) for i in range(8)))
    ),
    case("u-net", 0.8726, outlines, "Ronneberger et al. 2015", loss_fn=F.binary_cross_entropy_with_logits)(UNet),
    case("highway-20", 0.9585, digits, "Srivastava et al. 2015")(
        lambda: nn.Sequential(*(Highway(64) for _ in range(20)), nn.Linear(64, 10))
    ),
    case("mlp-mixer", 0.9678, rows, "Tolstikhin et al. 2021")(
        lambda: Rows(nn.Sequential(*(Mixer() for _ in range(4))))
    ),
    case("gated-mlp", 0.9473, rows, "Liu et al. 2021")(lambda: Rows(nn.Sequential(*(GatedMLP() for _ in range(4))))),
    case("pre-norm-transformer-24", 0.8258, rows, "Xiong et al. 2020")(lambda: Rows(encoder(24, True))),
    case("post-norm-transformer-2", 0.829, rows, "Vaswani et al. 2017")(lambda: Rows(encoder(2, False))),
    case("zero-initialised-head", 0.7698, rows, "Zhang et al. 2019, head")(
        lambda: Rows(encoder(4, True), zero_head=True)
    ),
    case("cait-layer-scale", 0.6135, rows, "Touvron et al. 2021")(
        lambda: Rows(
            nn.Sequential(
                *(
                    Scaled(nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32)), 1e-5)
                    for _ in range(12)
                )
            )
        )
    ),
    case("siren", 1.0, wave, "Sitzmann et al. 2020", optimizer=adam(1e-4), loss_fn=F.mse_loss)(
        lambda: nn.Sequential(Sine(1, 64, True), Sine(64, 64, False), Sine(64, 64, False), nn.Linear(64, 1))
    ),
    case("autoencoder", 0.6023, reconstruction, "Hinton & Salakhutdinov 2006", loss_fn=F.mse_loss)(
        lambda: nn.Sequential(
            nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 64)
        )
    ),
    Case("variational-autoencoder", "paper", 0.816, lambda _: variational(), steps=300, source="Kingma & Welling 2014"),
    Case("gan-discriminator", "paper", 0.9153, lambda _: gan_discriminator(), source=GAN),
    Case("gan-generator", "paper", 0.6275, lambda _: gan_generator(), source=GAN),
    case("self-normalising-16", 0.9107, digits, "Klambauer et al. 2017")(lambda: lecun(plain(16, nn.SELU))),
    case("lenet-tanh", 0.8832, images, "LeCun et al. 1998")(
        lambda: nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 3),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(64, 84),
            nn.Tanh(),
            nn.Linear(84, 10),
        )
    ),
    case("two-layers", 0.9017, digits, "Rumelhart et al. 1986")(lambda: plain(1, nn.ReLU)),
    case("logistic-regression", 0.6674, digits, "Cox 1958")(lambda: nn.Linear(64, 10)),
    case("regression", 0.9756, curve, "Hendrycks & Gimpel 2016", loss_fn=F.mse_loss)(
        lambda: nn.Sequential(nn.Linear(4, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))
    ),
    case("lstm-8", 0.7965, rows, "Hochreiter & Schmidhuber 1997")(lambda: Recurrent(nn.LSTM, 8, 10)),
    case("gru-20", 0.9985, lambda: recall(20), "Cho et al. 2014", steps=400, optimizer=adam(3e-3))(
        lambda: Recurrent(nn.GRU, 5, 4)
    ),
    case("lstm-both-ways", 0.8817, rows, "Schuster & Paliwal 1997")(
        lambda: Recurrent(nn.LSTM, 8, 10, bidirectional=True)
    ),
    case("mixture-of-experts", 0.9285, digits, "Jacobs et al. 1991")(Experts),
    case("deep-set", 0.5691, rows, "Zaheer et al. 2017")(DeepSet),
    case("graph-convolution", 0.8219, pixels, "Kipf & Welling 2017")(GraphNet),
)
