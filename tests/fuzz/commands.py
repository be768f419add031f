"""What may be handed to the commands that run a model, and to those that run or follow a program: options, values, source files.

A model here is small, so that what takes long is a fault. ``{}`` in the words stands for the folder of the files.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.inputs import HOSTILE, Given

HEALTHY = """import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
batch = torch.randn(8, 4), torch.randint(0, 2, (8,))


class Net(nn.Module):
    def __init__(self, depth=3, width=8):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(width, width), nn.Sigmoid()) for _ in range(depth)))

    def forward(self, x):
        return self.layers(x)
"""

MANY = "9" * 400
CLIPS = "norm:1 norm:0 norm:-1 norm:nan value:-1,1 value:1,-1 quantile:0.5 adaptive:0.01 x:1 value:-1 norm:1e999"
SUBJECT = {
    "--arg": "depth=2 width=0 depth=-1 depth=1e9 depth=None depth='\\x1b[2J' width=2**40 = depth x.y=1",
    "--input": "8,4 8,4:long 0,4 8 8,4:0-9 8,8 -1,4 1,1,1,1,1,1,1,1 99999999,99999999 8,4: 8,4.5",
    "--batch": "{}/net.py:batch {}/net.py:model {}/net.py:nothing {}/net.py:optimizer {} net.py :",
    "--loss": "cross_entropy MSELoss mse_loss relu Linear {}/net.py:model {}/net.py:batch nll_loss x.y",
    "--optimizer": "sgd:0.1 adam:0 adam:-1 adam:inf adam:nan sgd:1e30 sgd:0.1,momentum=0.9 sgd:0.1,x=1 lbfgs:1 "
    f"adam:0.1,betas=3 adamw sparseadam:0.1 muon:0.1 : sgd:{MANY}",
    "--clip": CLIPS,
    "--device": "cpu cuda cuda:99 meta cpu:7 mps gpu",
    "--dtype": "float32 float64 bfloat16 float16 int64 bool complex64 float8_e4m3fn nn Tensor",
    "--seed": f"0 -1 {MANY} 9223372036854775808 18446744073709551615 -9223372036854775809",
}
PLAN = {
    "--keep": "activation architecture,numbers x , activation,activation",
    "--allow": "learning-rate initialise nothing ,",
    "--only": "folded relu batch-norm residual none clip",
    "--budget": "1s 0 -1 nan inf 1e999m s m 0.001s",
}
OWN: dict[str, dict[str, str]] = {
    "check": {"--trial": "0 1 3", "--select": "SG1 x", "--fail-on": "info never x"},
    "cure": {**PLAN, "--output-format": "json text html"},
    "fix": PLAN,
    "prove": {
        **PLAN,
        "--steps": "1 3 0 -1",
        "--seeds": "1 2 0 -1",
        "--batches": "{}/net.py:batch {}/net.py:model {}/net.py:nothing x",
        "--plot": "{}/a.png {}/a.txt {}/none/a.png {}",
    },
    "lr": {"--steps": "1 2 0 -3", "--output-format": "json text"},
}
FLAGS = {"cure": ("--best", "--quiet"), "fix": ("--write", "--diff", "--unsafe-fixes", "--best"), "prove": ("--best",)}


def _options(draw: st.DrawFn, known: dict[str, str]) -> list[str]:
    """Up to three of these, mostly with values that stand beside their names."""
    words: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(known)))
        words += [name, draw(st.one_of(*([st.sampled_from(known[name].split())] * 4), HOSTILE))]
    return words


@st.composite
def subjects(draw: st.DrawFn) -> Given:
    """A command that runs a model, with values of its options that are right, odd and wrong."""
    command = draw(st.sampled_from(sorted(OWN)))
    words = [command, draw(st.sampled_from(("{}/net.py:model", "{}/net.py:Net", "{}/net.py")))]
    words += _options(draw, {**SUBJECT, **OWN[command]})
    words += draw(st.lists(st.sampled_from(FLAGS.get(command, ("--help",))), max_size=1))
    if command in ("cure", "fix", "prove") and "--budget" not in words:
        words += ["--budget", "1s"]
    if command == "prove" and "--steps" not in words:
        words += ["--steps", "2"]
    return Given(tuple(words), {"net.py": HEALTHY.encode()})


RUN = {
    "--clip": CLIPS,
    "--on-alarm": "skip skip:5/100:stop skip:0/0:stop skip:5/100:skip skip:1e9/1 stop:stop : lower:x rollback",
    "--probe-every": f"0 -1 {MANY} x",
    "--overhead": "0 -1 nan inf 2 x",
    "--every": f"0 -1 {MANY} 1.5",
    "--journal": f"{{}}/new.sgj {{}} {{}}/none/x.sgj {{}}/train.py {'x' * 300} {{}}/{'é' * 200} dev/null \x1b[2J.sgj",
    "--cure": "at-start now",
}


@st.composite
def programs(draw: st.DrawFn) -> Given:
    """``run`` with a program that would be started, if its options were right."""
    words = ["run", *_options(draw, RUN)]
    words += draw(st.sampled_from(([], ["--quiet"], ["--no-journal"], ["--no-check"], ["--"])))
    others = (["-m"], ["-m", "\x1b[2J"], ["{}"], ["{}/other.py"], ["{}/data.zip"])
    program = draw(st.sampled_from((*([["{}/train.py"]] * 4), *others)))
    return Given((*words, *program), {"train.py": b"x = 1\n", "data.zip": b"PK\x05\x06" + bytes(18)})


@st.composite
def followed(draw: st.DrawFn, journals: st.SearchStrategy[Given]) -> Given:
    """``watch`` on journals of all kinds, which are followed until the run is over or somebody stops it."""
    journal = draw(journals)
    every = draw(st.sampled_from(("0.1", "0.1", "0.1", "nan", "inf", "1e300", "0", "-1", "x")))
    # Of a process on another machine nobody knows whether it is still there.
    going_on = draw(st.sampled_from(((), (("UPDATE sessions SET finished = NULL, host = 'elsewhere' WHERE ?", (1,)),))))
    return Given(("watch", "{}/run.sgj", "--every", every), journal.files, (*journal.changes, *going_on))


HEAD = "import dataclasses\nimport torch\nfrom torch import nn\n"
_BUILT = """model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Sigmoid())
---
model = nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(4, 4), nn.Sigmoid())])
---
model = (lambda: nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(4, 4), nn.Tanh())]))()
---
layers = []
for i in range(6): layers += [nn.Linear(4, 4)]; layers.append(nn.Sigmoid())
model = nn.Sequential(*layers)
---
exec('model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4))')
---
model = eval('nn.Sequential(' + ', '.join(['nn.Linear(4, 4), nn.Sigmoid()'] * 6) + ')')
---
model = type('Net', (nn.Module,), {
    '__init__': lambda s: (nn.Module.__init__(s), setattr(s, 'f', nn.Linear(4, 4)))[0],
    'forward': lambda s, x: s.f(s.f(s.f(x).sigmoid()).sigmoid()).sigmoid(),
})()
---
class Net(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.l = nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))
    def forward(self, x):
        for l in self.l: x = torch.sigmoid(l(x))
        return x
---
class Net(nn.Module):
    def __init__(self, depth=6):
        super().__init__(); self.l = nn.ModuleList([nn.Linear(4, 4)] * depth)
    def forward(self, x):
        return (h := [x], [h.append(l(h[-1]).sigmoid()) for l in self.l])[0][-1]
---
class Nét(nn.Module):
    __slots__ = ('ünused',)
    def __init__(self, *, größe: int = 4, **rest):
        super().__init__()
        self.schicht = nn.Linear(größe, größe)
    def forward(self, x):
        for _ in range(20): x = self.schicht(x).sigmoid()
        return x
---
def build(depth=6):
    return nn.Sequential(*(x for _ in range(depth) for x in [nn.Linear(4, 4), nn.ReLU()]))
model = build()
---
@dataclasses.dataclass
class Config:
    depth: int = 6
    act: type = nn.Sigmoid

class Net(nn.Module):
    def __init__(self, config: Config = Config()):
        super().__init__()
        self.net = nn.Sequential(*sum(([nn.Linear(4, 4), config.act()] for _ in range(config.depth)), []))
    def forward(self, x): return self.net(x)
---
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.RNN(4, 4, batch_first=True)
    def forward(self, x):
        return self.r(x.repeat(1, 60).view(len(x), 60, -1))[0][:, -1]
"""
BUILT = _BUILT.split("---\n")
AROUND = (
    "",
    "# -*- coding: latin-1 -*-\n",
    "# coding: no-such-code\n",
    "#!/usr/bin/env python\n",
    "'''\x0c'''\n",
    "if True:\n    pass\n",
    "from torch.nn import *\n",
    "try:\n    import no_such_module\nexcept ImportError:\n    no_such_module = None\n",
    "x = 1; \\\ny = 2\n",
    "import torch.nn as n\nn.Linear.reset_parameters = lambda self: [p.data.fill_(0.1) for p in self.parameters()]\n",
)
ENDS = ("", "", "\n", "\n\x0c\n", "# é", "\n" * 300, "    ", "model.eval()", "del nn", "model = model")


@st.composite
def sources(draw: st.DrawFn) -> Given:
    """``fix`` on files as people and editors leave them."""
    built = draw(st.sampled_from(BUILT))
    text = f"{draw(st.sampled_from(AROUND))}{HEAD}{built}{draw(st.sampled_from(ENDS))}"
    for old, new in (("\n", "\r\n"), ("\n", "\r"), ("    ", "\t")):
        text = text.replace(old, new) if not draw(st.integers(0, 4)) else text
    coded = draw(st.sampled_from(("utf-8",) * 5 + ("utf-8-sig", "latin-1", "utf-16")))
    name = ":model" if "model =" in built else draw(st.sampled_from((":Net", "", ":Nét")))
    safety = draw(
        st.sampled_from(([], ["--unsafe-fixes"], ["--unsafe-fixes", "--write"], ["--write"], ["--only", "relu"]))
    )
    words = ("fix", f"{{}}/net.py{name}", "--input", "8,4", "--loss", "mse_loss", "--budget", "2s", *safety)
    return Given(words, {"net.py": text.encode(coded, "replace")})
