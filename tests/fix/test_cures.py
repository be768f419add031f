"""What each kind of cure becomes in the source: the lines that change, and that the written file is healthy and trains."""

from __future__ import annotations

import pytest

from steadygrad.record import Verdict
from tests.families import always
from tests.fix.files import FILES, HEAD, LOOP, NET, dedented
from tests.fix.workshop import Workshop, difference, learned

STRAIGHT = HEAD + dedented("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            {layers}
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            {calls}
            return self.head(x)


    model = Net()
""").replace("{layers}", "\n        ".join(f"self.fc{i} = nn.Linear(16, 16)" for i in range(12))).replace(
    "{calls}", "\n        ".join(f"x = torch.sigmoid(self.fc{i}(x))" for i in range(12))
)

IMAGES = HEAD + dedented("""
    class Block(nn.Module):
        def __init__(self, inside, outside):
            super().__init__()
            self.conv = nn.Conv2d(inside, outside, kernel_size=3, padding=1)
            self.act = nn.Sigmoid()

        def forward(self, x):
            return self.act(self.conv(x))


    def setup():
        torch.manual_seed(0)
        model = nn.Sequential(Block(3, 8), *(Block(8, 8) for _ in range(9)), nn.Flatten(), nn.Linear(128, 4))
        return model, (torch.randn(16, 3, 4, 4), torch.randint(0, 4, (16,))), F.cross_entropy
""")

POST_NORM = HEAD + dedented("""
    class Net(nn.Module):
        def __init__(self, width=16, blocks=12):
            super().__init__()
            self.stem = nn.Linear(8, width)
            block = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True)
            self.blocks = nn.TransformerEncoder(block, blocks, enable_nested_tensor=False)
            self.head = nn.Linear(width, 4)

        def forward(self, x):
            return self.head(self.blocks(self.stem(x)).mean(1))


    def setup():
        torch.manual_seed(0)
        model = Net()
        x = torch.randn(32, 6, 8)
        return model, (x, x[:, 0, :4].argmax(1)), F.cross_entropy, torch.optim.Adam(model.parameters(), 2e-2)
""")

RECURRENT = HEAD + dedented("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(8, 24, batch_first=True)
            self.head = nn.Linear(24, 4)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])


    def setup():
        torch.manual_seed(0)
        model = Net()
        y = torch.randint(0, 4, (32,))
        x = torch.randn(32, 60, 8) * 0.1
        x[:, 0, :4] += 3 * F.one_hot(y, 4)
        return model, (x, y), F.cross_entropy, torch.optim.Adam(model.parameters(), lr=1e-3)
""")

DOUBLE = HEAD + dedented("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(16, 32), nn.Linear(32, 4)

        def forward(self, x):
            return F.softmax(self.two(torch.relu(self.one(x))), dim=1)


    def setup():
        torch.manual_seed(0)
        model = Net()
        x = torch.randn(64, 16)
        return model, (x, x[:, :4].argmax(1)), nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=1e-3)
""")

LEAKY = HEAD + dedented("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.head = nn.Linear(8, 24), nn.Linear(24, 4)

        def forward(self, x):
            state = x.new_zeros(len(x), 24)
            for step in x.unbind(1):
                state = 0.6 * state + torch.tanh(self.into(step))
            return self.head(state)


    def setup():
        torch.manual_seed(0)
        model = Net()
        y = torch.randint(0, 4, (64,))
        x = torch.randn(64, 50, 8) * 0.1
        x[:, 0, :4] += 3 * F.one_hot(y, 4)
        return model, (x, y), F.cross_entropy, torch.optim.Adam(model.parameters(), lr=1e-3)
""")

SHUT = HEAD + dedented("""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.values = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
            self.gates = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
            self.head = nn.Linear(16, 4)

        def forward(self, x):
            for value, gate in zip(self.values, self.gates):
                x = value(x) * torch.sigmoid(gate(x) - 16)
            return self.head(x)


    model = Net()
""")

WRITTEN: dict[str, tuple[str | dict[str, bytes], str, list[str]]] = {
    "a function swapped": (LOOP, "relu", ["        x = F.relu(fc(x))", "model = he_init_(Net())"]),
    "a method swapped": (FILES["method chain"], "relu", ["            x = F.relu(fc(x))", "model = he_init_(Net())"]),
    "a link of a chain swapped": (
        FILES["chain over lines"],
        "relu",
        ["                F.relu(fc(x)\n                .contiguous())\n"],
    ),
    "in place swapped": (FILES["in place"], "relu", ["            F.relu_(x)"]),
    "two in one expression swapped": (
        HEAD
        + NET.replace("for fc in self.fcs:", "for a, b in zip(self.fcs[::2], self.fcs[1::2]):").replace(
            "torch.sigmoid(fc(x))", "torch.sigmoid(b(torch.sigmoid(a(x))))"
        )
        + "model = Net()\n",
        "relu",
        ["            x = F.relu(b(F.relu(a(x))))"],
    ),
    "a module swapped": (FILES["Sequential in a loop"], "relu", ["    layers.append(nn.ReLU())"]),
    "an activation out of a string swapped": (
        FILES["activation chosen by string"],
        "relu",
        ["            layers += [nn.Linear(16, 16), nn.ReLU()]"],
    ),
    "a norm behind a layer": (
        LOOP,
        "batch-norm-before",
        [
            "        self.fcs = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16)) for _ in range(depth))"
        ],
    ),
    "a norm behind a layer from functools.partial": (
        FILES["functools.partial"],
        "batch-norm-before",
        ["        self.fcs = nn.ModuleList(nn.Sequential(Layer(16), nn.BatchNorm1d(16)) for _ in range(12))"],
    ),
    "a norm with an activation": (
        FILES["Sequential in a loop"],
        "batch-norm-before",
        ["    layers.append(nn.Sequential(nn.BatchNorm1d(16), nn.Sigmoid()))"],
    ),
    "a norm behind an activation": (
        FILES["Sequential in a loop"],
        "batch-norm-behind",
        ["    layers.append(nn.Sequential(nn.Sigmoid(), nn.BatchNorm1d(16)))"],
    ),
    "a norm beside an activation that serves all layers": (
        FILES["Sequential with one activation object"],
        "batch-norm-before",
        ["nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16))"],
    ),
    "a norm in another file": (
        FILES["factory in another file"],
        "batch-norm-before",
        ["    return nn.Sequential(nn.Linear(16, 16), nn.Sequential(nn.BatchNorm1d(16), nn.Sigmoid()))"],
    ),
    "a norm for images": (
        IMAGES,
        "batch-norm-before",
        ["        self.act = nn.Sequential(nn.BatchNorm2d(outside), nn.Sigmoid())"],
    ),
    "a skip": (LOOP, "residual-span-1", ["            x = x + 0.2887 * torch.sigmoid(fc(x))"]),
    "a skip over two statements": (
        STRAIGHT,
        "residual-span-2",
        ["        skip = x", "        x = skip + 0.4082 * torch.sigmoid(self.fc1(x))"],
    ),
    "a skip through time": (LEAKY, "skip-through-time", ["            state = state + 0."]),
    "gates half open": (
        SHUT,
        "open-gates",
        [
            "model = open_gates_(Net())",
            ' and name.startswith("gates.")]',
            "        for name in gates:",
            ".bias.add_(16)",
        ],
    ),
    "pre-norm": (
        POST_NORM,
        "pre-norm",
        [
            "        block = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True, norm_first=True)",
            "enable_nested_tensor=False, norm=nn.LayerNorm(width))",
        ],
    ),
    "an orthogonal recurrence": (RECURRENT, "orthogonal-recurrence", ["    model = remember_(Net())"]),
    "a gated cell": (
        RECURRENT,
        "gated-cell",
        ["        self.rnn = nn.GRU(8, 24, batch_first=True)", "    model = remember_(Net())"],
    ),
    "a squash left to the loss": (DOUBLE, "logits", ["        return self.two(torch.relu(self.one(x)))"]),
    "folded convolutions": (
        IMAGES,
        "folded-initialisation",
        ["    model = fold_(nn.Sequential(", "nn.Linear(128, 4)))"],
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", always(WRITTEN, "a function swapped", "a squash left to the loss"))
def test_what_a_cure_becomes(name: str, workshop: Workshop) -> None:
    files, cure, expected = WRITTEN[name]
    workshop.lay_out({"net.py": files} if isinstance(files, str) else files)
    before = workshop.bytes()
    found = workshop.fixed(only=cure, unsafe=True)
    workshop.write(found)
    after = workshop.bytes()
    added = b"".join(b"".join(difference(before[file], after[file]).added) for file in before).decode()
    for line in expected:
        assert line in added

    assert not workshop.fix(only=cure, unsafe=True).found
    assert workshop.bytes() == after

    assert set(workshop.verdicts_elsewhere(found)) <= {Verdict.HEALTHY}

    rate = found.cured.taken.rate if found.cured.taken is not None else None
    start, end = learned(workshop.subject(), rate=rate)
    assert end < 0.8 * start
