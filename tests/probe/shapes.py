"""Ways in which people write the same sick net: twenty sigmoids in a row, the expression at fault between « and ».

Each shape is the text of one or more files; the first is run and must leave a ``model``.
"""

from __future__ import annotations

import textwrap

HEAD = """
import functools
import torch
import torch.nn as nn
import torch.nn.functional as F

"""

BASE = """
class Base(nn.Module):
    def __init__(self, depth=20):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
        self.head = nn.Linear(16, 4)

"""


def net(forward: str) -> str:
    """A net with the usual constructor and this forward."""
    return (
        HEAD
        + BASE
        + "class Net(Base):\n"
        + textwrap.indent(textwrap.dedent(forward).strip(), "    ")
        + "\n\nmodel = Net()\n"
    )


SHAPES: dict[str, dict[str, str]] = {
    name: {"net.py": text} if isinstance(text, str) else text
    for name, text in {
        "function": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = «torch.sigmoid(fc(x))»
                return self.head(x)
        """),
        "method chain": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = «fc(x).sigmoid()»
                return self.head(x)
        """),
        "long method chain": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = «fc(x).view(-1, 16).sigmoid()».clone().view(-1, 16)
                return self.head(x)
        """),
        "chain over lines": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = (
                        fc(x)
                        .contiguous()
                        .«sigmoid()»
                        .contiguous()
                    )
                return self.head(x)
        """),
        "functional": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = «F.sigmoid(fc(x))»
                return self.head(x)
        """),
        "two calls on a line": net("""
            def forward(self, x):
                for fc, gate in zip(self.fcs[::2], self.fcs[1::2]):
                    x = torch.relu(gate(1 * x)) * 0 + «torch.sigmoid(fc(x))»; x = x + 0
                return self.head(x)
        """).replace("depth=20", "depth=40"),
        "nested in another call": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = F.dropout(«torch.sigmoid(fc(F.dropout(x, 0.0)))», p=0.0)
                return self.head(x)
        """),
        "over several lines": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = «torch.sigmoid(
                        fc(
                            x
                        ),
                    )»
                return self.head(x)
        """),
        "in place": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = fc(x)
                    «x.sigmoid_()»
                return self.head(x)
        """),
        "out of a dictionary": net("""
            acts = {"squash": torch.sigmoid}

            def forward(self, x):
                for fc in self.fcs:
                    x = «self.acts["squash"](fc(x))»
                return self.head(x)
        """),
        "lambda": net("""
            act = staticmethod(lambda z: «torch.sigmoid(z)»)

            def forward(self, x):
                for fc in self.fcs:
                    x = self.act(fc(x))
                return self.head(x)
        """),
        "comprehension": net("""
            def forward(self, x):
                [x := «torch.sigmoid(fc(x))» for fc in self.fcs]
                return self.head(x)
        """),
        "reduce": net("""
            def forward(self, x):
                x = functools.reduce(lambda h, fc: «torch.sigmoid(fc(h))», self.fcs, x)
                return self.head(x)
        """),
        "recursion": net("""
            def deeper(self, x, level):
                if level == len(self.fcs):
                    return x
                return self.deeper(«torch.sigmoid(self.fcs[level](x))», level + 1)

            def forward(self, x):
                return self.head(self.deeper(x, 0))
        """),
        "conditional expression": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x = «torch.sigmoid(fc(x))» if self.training else torch.tanh(fc(x))
                return self.head(x)
        """),
        "walrus in a condition": net("""
            def forward(self, x):
                for fc in self.fcs:
                    if (y := «torch.sigmoid(fc(x))») is not None:
                        x = y
                return self.head(x)
        """),
        "f-string keys": net("""
            def forward(self, x):
                seen = {}
                for i, fc in enumerate(self.fcs):
                    seen[f"layer {i}"] = x = «torch.sigmoid(fc(x))»
                return self.head(x)
        """),
        "letters beyond ASCII": net("""
            def forward(self, x):
                for fc in self.fcs:
                    größe, x = "σ ≤ ¼ 🙂", «torch.sigmoid(fc(x))»
                return self.head(x)
        """),
        "tabs": net("""
            def forward(self, x):
                for fc in self.fcs:
                    x =\t\t«torch.sigmoid(fc(x))»
                return self.head(x)
        """),
        "activation held as a module": net("""
            squash = nn.Sigmoid()

            def forward(self, x):
                for fc in self.fcs:
                    x = «self.squash(fc(x))»
                return self.head(x)
        """),
        "decorated forward": net("""
            def twice_named(function):
                @functools.wraps(function)
                def inner(self, x):
                    return function(self, x)
                return inner

            @twice_named
            def forward(self, x):
                for fc in self.fcs:
                    x = «torch.sigmoid(fc(x))»
                return self.head(x)
        """),
        "decorated helper without gradient change": HEAD
        + BASE
        + textwrap.dedent("""
            def logged(function):
                def inner(*args):
                    return function(*args)
                return inner

            @logged
            def squash(z):
                return «torch.sigmoid(z)»

            class Net(Base):
                def forward(self, x):
                    for fc in self.fcs:
                        x = squash(fc(x))
                    return self.head(x)

            model = Net()
        """),
        "helper in another file": {
            "net.py": HEAD
            + "import layers_of_mine\n"
            + BASE
            + textwrap.dedent("""
                class Net(Base):
                    def forward(self, x):
                        for fc in self.fcs:
                            x = layers_of_mine.squash(fc(x))
                        return self.head(x)

                model = Net()
            """),
            "layers_of_mine.py": "import torch\n\n\ndef squash(z):\n    return «1 * torch.sigmoid(z)»\n".replace(
                "«1 * torch.sigmoid(z)»", "1 * «torch.sigmoid(z)»"
            ),
        },
        "block of the user's own": HEAD
        + textwrap.dedent("""
            class Block(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(16, 16)

                def forward(self, x):
                    return «torch.sigmoid(self.fc(x))»

            model = nn.Sequential(*(Block() for _ in range(20)), nn.Linear(16, 4))
        """),
        "Sequential in a loop": HEAD
        + textwrap.dedent("""
            layers = []
            for _ in range(20):
                layers.append(nn.Linear(16, 16))
                layers.append(«nn.Sigmoid()»)
            model = nn.Sequential(*layers, nn.Linear(16, 4))
        """),
        "Sequential in a comprehension": HEAD
        + "model = nn.Sequential(*[nn.Sequential(nn.Linear(16, 16), «nn.Sigmoid()») for _ in range(20)], nn.Linear(16, 4))\n",
        "Sequential with one activation object": HEAD
        + textwrap.dedent("""
            act = «nn.Sigmoid()»
            model = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(16, 16), act)], nn.Linear(16, 4))
        """),
        "Sequential by factory": HEAD
        + textwrap.dedent("""
            def block():
                return nn.Sequential(
                    nn.Linear(16, 16),
                    «nn.Sigmoid()»,
                )

            model = nn.Sequential(*[block() for _ in range(20)], nn.Linear(16, 4))
        """),
        "factory in another file": {
            "net.py": "import torch.nn as nn\nfrom blocks_of_mine import block\n\n"
            "model = nn.Sequential(*[block() for _ in range(20)], nn.Linear(16, 4))\n",
            "blocks_of_mine.py": "from torch import nn\n\n\ndef block():\n"
            "    return nn.Sequential(nn.Linear(16, 16), «nn.Sigmoid()»)\n",
        },
        "Sequential inside a module": HEAD
        + textwrap.dedent("""
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(*[nn.Sequential(nn.Linear(16, 16), «nn.Sigmoid()») for _ in range(20)])
                    self.head = nn.Linear(16, 4)

                def forward(self, x):
                    return self.head(self.body(x))

            model = Net()
        """),
        "subclass of torch's module": HEAD
        + textwrap.dedent("""
            class Squash(nn.Sigmoid):
                pass

            model = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(16, 16), «Squash()»)], nn.Linear(16, 4))
        """),
        "subclass with its own forward": HEAD
        + textwrap.dedent("""
            class Squash(nn.Sigmoid):
                def forward(self, input):
                    return «super().forward(input)»

            model = nn.Sequential(*[m for _ in range(20) for m in (nn.Linear(16, 16), Squash())], nn.Linear(16, 4))
        """),
        "subclass of Sequential": HEAD
        + textwrap.dedent("""
            class Plain(nn.Sequential):
                def __init__(self, depth):
                    layers = [m for _ in range(depth) for m in (nn.Linear(16, 16), «nn.Sigmoid()»)]
                    super().__init__(*layers, nn.Linear(16, 4))

            model = Plain(20)
        """),
        "forward inherited": HEAD
        + BASE
        + textwrap.dedent("""
            class Parent(Base):
                def forward(self, x):
                    for fc in self.fcs:
                        x = «self.activation(fc(x))»
                    return self.head(x)

            class Net(Parent):
                activation = staticmethod(torch.sigmoid)

            model = Net()
        """),
        "checkpointed": HEAD
        + BASE
        + textwrap.dedent("""
            from torch.utils.checkpoint import checkpoint

            class Net(Base):
                def forward(self, x):
                    for fc in self.fcs:
                        x = checkpoint(lambda z, fc=fc: «torch.sigmoid(fc(z))», x, use_reentrant=False)
                    return self.head(x)

            model = Net()
        """),
    }.items()
}
