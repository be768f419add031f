"""Source files as people write them, each with a net that will not train, for ``fix`` to write into.

Those of the line suite come first; here are the ways of building that they leave out. Bytes, because line ends, tabs, byte
order marks and encodings are a part of what must stay.
"""

from __future__ import annotations

import textwrap

from tests.probe.shapes import BASE, HEAD, SHAPES


def plain(text: str) -> str:
    """The text of a shape without its marks, and with fewer layers: sick enough, and sooner checked."""
    shallow = {
        "«": "",
        "»": "",
        "depth=20": "depth=12",
        "depth=40": "depth=24",
        "range(20)": "range(12)",
        "Plain(20)": "Plain(12)",
    }
    for old, new in shallow.items():
        text = text.replace(old, new)
    return text


def dedented(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


LOOP = plain(
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

            def __init__(self, depth: int = 12, *, width: int = 16) -> None:
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
            depth: int = 12
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
                self.fcs = nn.ModuleList(Layer(16) for _ in range(12))
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
                for _ in range(12):
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
                self.fcs = ModuleList(Linear(16, 16) for _ in range(12))
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
                self.fcs = nn.ModuleList(self.layer() for _ in range(12))
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

NET = BASE + dedented("""
    class Net(Base):
        def forward(self, x):
            for fc in self.fcs:
                x = torch.sigmoid(fc(x))
            return self.head(x)


""")

LAYERS = "*[m for _ in range(12) for m in (nn.Linear(16, 16), nn.Sigmoid())], nn.Linear(16, 4)"

OTHERS |= {
    "old Mac line ends": LOOP.lstrip("\n").replace("\n", "\r").encode(),
    "other names for torch": LOOP.replace("import torch\n", "import torch as t\n")
    .replace("import torch.nn as nn\n", "from torch import nn as N\n")
    .replace("torch.sigmoid", "t.sigmoid")
    .replace("nn.Mod", "N.Mod")
    .replace("nn.Lin", "N.Lin"),
    "stars": "from torch.nn import *\nfrom torch import sigmoid\n\n"
    + NET.replace("nn.Mod", "Mod").replace("nn.Lin", "Lin").replace("torch.sig", "sig")
    + "model = Net()\n",
    "imports inside a function": dedented("""
        def build_model():
            \"\"\"Nothing is imported outside.\"\"\"
            import torch
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(12))
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    for fc in self.fcs:
                        x = torch.sigmoid(fc(x))
                    return self.head(x)

            return Net()
    """),
    "names that are taken": HEAD.replace("import torch.nn as nn", "import torch.nn")
    + "nn, fold_ = 3, print\n\n\n"
    + NET.replace("(nn.", "(torch.nn.").replace(" nn.", " torch.nn.")
    + "model = Net()\nfold_()\n",
    "semicolons": "import functools; import torch; from torch import nn\n\n"
    + NET
    + "torch.manual_seed(1); model = Net(); model.train()\n",
    "class on one line": HEAD + f"class Net(nn.Sequential): pass\n\n\nmodel = Net({LAYERS})\n",
    "moved and cast": HEAD + NET + 'model = Net().to("cpu").float().train()\n',
    "behind a backslash": HEAD + NET + "model = \\\n    Net()\n",
    "call over lines": HEAD + NET + "model = Net(\n    depth=12,  # deep\n)  # the model\n",
    "walrus": HEAD + NET + "if (model := Net()) is not None:\n    model.eval().train()\n",
    "lambda as builder": HEAD + NET + "make = lambda depth: Net(depth)\nmodel = make(12)\n",
    "decorated class": HEAD
    + "KNOWN = []\n\n\ndef known(kind):\n    KNOWN.append(kind)\n    return kind\n\n\n"
    + NET.replace("class Net", "@known\nclass Net")
    + "model = KNOWN[0]()\n",
    "class inside a class": HEAD
    + dedented("""
        class Zoo:
            class Net(nn.Module):
                def __init__(self, depth=12):
                    super().__init__()
                    self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    for fc in self.fcs:
                        x = torch.sigmoid(fc(x))
                    return self.head(x)


        Net = Zoo.Net
    """),
    "held in a dictionary": HEAD + NET + 'models = {"deep": Net(depth=12)}\nmodel = models["deep"]\n',
    "under a condition": HEAD
    + NET
    + "if torch.cuda.is_available() or True:\n    model = Net()\nelse:\n    model = None\n",
    "built up in a loop": HEAD
    + dedented("""
        model = nn.Sequential()
        for number in range(12):
            model.append(nn.Linear(16, 16))
            model.add_module(f"act {number}".replace(" ", "_"), nn.Sigmoid())
        model.append(nn.Linear(16, 4))
        print(len(model))
    """),
    "built up in a function": HEAD
    + dedented("""
        def build_model():
            net = nn.Sequential()
            for _ in range(12):
                net.append(nn.Linear(16, 16))
                net.append(nn.Sigmoid())
            net.append(nn.Linear(16, 4))
            return net
    """),
    "drawn again behind its construction": HEAD
    + NET
    + dedented("""
        def init_weights(module):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)


        model = Net()
        model.apply(init_weights)
    """),
    "a class and a script": HEAD
    + dedented("""
        class Net(nn.Module):
            def __init__(self, depth=12):
                super().__init__()
                self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
                self.head = nn.Linear(16, 4)

            def forward(self, x):
                for fc in self.fcs:
                    x = torch.sigmoid(fc(x))
                return self.head(x)


        if __name__ == "__main__":
            model = Net()
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
            for _ in range(10):
                optimizer.zero_grad()
                F.cross_entropy(model(torch.randn(32, 16)), torch.randint(0, 4, (32,))).backward()
                optimizer.step()
    """),
    "an __init__ that ends with a loop": HEAD
    + dedented("""
        class Net(nn.Module):
            def __init__(this, depth: int = 12):
                super().__init__()
                this.head = nn.Linear(16, 4)
                this.fcs = nn.ModuleList()
                for _ in range(depth):
                    # One more.
                    this.fcs.append(nn.Linear(16, 16))

            def forward(this, x):
                for fc in this.fcs:
                    x = torch.sigmoid(fc(x))
                return this.head(x)
    """),
    "no bias": HEAD
    + dedented("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fcs = nn.ModuleList(nn.Linear(16, 16, bias=False) for _ in range(12))
                for fc in self.fcs:
                    nn.init.normal_(fc.weight, std=0.02)
                self.head = nn.Linear(16, 4)

            def forward(self, x):
                for fc in self.fcs:
                    x = torch.tanh(fc(x))
                return self.head(x)


        model = Net()
    """),
    "convolutions": HEAD
    + dedented("""
        def setup():
            layers = [m for i in range(12) for m in (nn.Conv2d(4 if i else 3, 4, 3, padding=1), nn.Tanh())]
            model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 4))
            for parameter in model.parameters():
                nn.init.normal_(parameter, std=0.02)
            return model, (torch.randn(16, 3, 4, 4), torch.randint(0, 4, (16,))), F.cross_entropy
    """),
}

FILES: dict[str, dict[str, bytes]] = {
    **{name: {file: plain(text).encode() for file, text in files.items()} for name, files in SHAPES.items()},
    **{name: {"net.py": text if isinstance(text, bytes) else plain(text).encode()} for name, text in OTHERS.items()},
}
