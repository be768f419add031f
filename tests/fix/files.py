"""Source files as people write them, each with a net that will not train, for ``fix`` to write into.

Those of the line suite come first; here are the ways of building that they leave out. Bytes, because line ends, tabs, byte
order marks and encodings are a part of what must stay.
"""

from __future__ import annotations

import textwrap

from tests.probe.shapes import BASE, HEAD, SHAPES


def plain(text: str) -> str:
    """The text of a shape without its marks."""
    return text.replace("«", "").replace("»", "")


def dedented(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


LOOP = (
    HEAD
    + BASE
    + dedented("""
    class Net(Base):
        def forward(self, x):
            for fc in self.fcs:
                x = torch.sigmoid(fc(x))
            return self.head(x)


    model = Net()
""")
)

OTHERS: dict[str, str | bytes] = {
    "CRLF": LOOP.replace("\n", "\r\n").encode(),
    "tabs": LOOP.replace("    ", "\t"),
    "byte order mark": b"\xef\xbb\xbf" + LOOP.lstrip("\n").encode(),
    "Latin-1": ("# -*- coding: latin-1 -*-\n# Netz für Größen\n" + LOOP.lstrip("\n")).encode("latin-1"),
    "letters beyond ASCII": "# σ ≤ ¼ 🙂\n" + LOOP,
    "no newline at the end": LOOP.rstrip("\n"),
    "two spaces": LOOP.replace("    ", "  "),
    "comments and odd spacing": LOOP.replace(
        "x = torch.sigmoid(fc(x))", "x=torch.sigmoid( fc( x ) )   # squash"
    ).replace("super().__init__()", "super( ).__init__( )  # first"),
    "type hints": HEAD
    + dedented("""
        class Net(nn.Module):
            fcs: nn.ModuleList

            def __init__(self, depth: int = 20, *, width: int = 16) -> None:
                super().__init__()
                self.fcs = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
                self.head: nn.Linear = nn.Linear(width, 4)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                for fc in self.fcs:
                    x = torch.sigmoid(fc(x))
                return self.head(x)


        def build_model() -> nn.Module:
            return Net()
    """),
    "dataclass config": "from dataclasses import dataclass\n"
    + HEAD
    + dedented("""
        @dataclass
        class Config:
            depth: int = 20
            width: int = 16


        class Net(nn.Module):
            def __init__(self, config: Config):
                super().__init__()
                self.config = config
                self.fcs = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(config.depth))
                self.head = nn.Linear(config.width, 4)

            def forward(self, x):
                for fc in self.fcs:
                    x = torch.sigmoid(fc(x))
                return self.head(x)


        model = Net(Config())
    """),
    "functools.partial": HEAD
    + dedented("""
        Layer = functools.partial(nn.Linear, 16)


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fcs = nn.ModuleList(Layer(16) for _ in range(20))
                self.head = Layer(4)

            def forward(self, x):
                for fc in self.fcs:
                    x = torch.sigmoid(fc(x))
                return self.head(x)


        model = Net()
    """),
    "activation chosen by string": HEAD
    + dedented("""
        class Net(nn.Module):
            def __init__(self, activation="Sigmoid"):
                super().__init__()
                layers = []
                for _ in range(20):
                    layers += [nn.Linear(16, 16), getattr(nn, activation)()]
                self.body = nn.Sequential(*layers)
                self.head = nn.Linear(16, 4)

            def forward(self, x):
                return self.head(self.body(x))


        model = Net()
    """),
    "names imported one by one": dedented("""
        from torch import sigmoid
        from torch.nn import Linear, Module, ModuleList


        class Net(Module):
            def __init__(self):
                super().__init__()
                self.fcs = ModuleList(Linear(16, 16) for _ in range(20))
                self.head = Linear(16, 4)

            def forward(self, x):
                for fc in self.fcs:
                    x = sigmoid(fc(x))
                return self.head(x)


        model = Net()
    """),
    "set-up function": HEAD
    + BASE
    + dedented("""
        class Net(Base):
            def forward(self, x):
                for fc in self.fcs:
                    x = torch.sigmoid(fc(x))
                return self.head(x)


        def setup():
            torch.manual_seed(0)
            model = Net()
            batch = torch.randn(32, 16), torch.randint(0, 4, (32,))
            return model, batch, F.cross_entropy, torch.optim.Adam(model.parameters(), lr=1e-3)
    """),
    "docstring and future import": '"""A net."""\n\nfrom __future__ import annotations\n' + LOOP.lstrip("\n"),
    "dilated blocks with methods": HEAD
    + dedented("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fcs = nn.ModuleList(self.layer() for _ in range(20))
                self.head = nn.Linear(16, 4)

            @staticmethod
            def layer():
                return nn.Linear(16, 16)

            def forward(self, x):
                for fc in self.fcs:
                    x = torch.sigmoid(fc(x))
                return self.head(x)

            def predict(self, x):
                return self(x).argmax(1)


        model = Net()
    """),
}

FILES: dict[str, dict[str, bytes]] = {
    **{name: {file: plain(text).encode() for file, text in files.items()} for name, files in SHAPES.items()},
    **{name: {"net.py": text if isinstance(text, bytes) else text.encode()} for name, text in OTHERS.items()},
}
