"""The ways to lose a gradient's path, each in several shapes of source, for ``test_cuts``.

In each source « and » stand around the expression that is to be marked; of a chain over several lines that is its last link.
"""

from __future__ import annotations

import itertools
import textwrap
from dataclasses import dataclass

SOURCE = """\
import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

{helpers}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))
        self.head = nn.Linear(4, 3)
        self.scale = nn.Parameter(torch.ones(()))
{init}

{methods}

    def forward(self, x):
{forward}


def loss_fn(out, y):
{loss}


def setup():
    torch.manual_seed(0)
    model = Net()
    x, y = torch.randn(32, 6), torch.randint(0, 3, (32,))
{setup}
    return model, (x, y), loss_fn, optimizer
"""

FORWARD = "return self.head(self.body(x))"
LOSS = "return F.cross_entropy(out, y)"
SETUP = "optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)"


@dataclass(frozen=True)
class Case:
    """One way in one shape; parts that are not given are those of a net that learns."""

    way: str
    shape: str
    says: str
    """What the message says of the expression."""
    forward: str = FORWARD
    loss: str = LOSS
    helpers: str = ""
    init: str = "pass"
    methods: str = ""
    setup: str = SETUP

    def __str__(self) -> str:
        return f"{self.way}, {self.shape}"

    @property
    def source(self) -> str:
        """The file, with the marks."""
        return SOURCE.format(
            helpers=textwrap.dedent(self.helpers).strip("\n"),
            init=_indented(self.init, 8),
            methods=_indented(self.methods, 4),
            forward=_indented(self.forward, 8),
            loss=_indented(self.loss, 4),
            setup=_indented(self.setup, 4),
        )


def _indented(text: str, by: int) -> str:
    return textwrap.indent(textwrap.dedent(text).strip("\n"), " " * by)


PATH = "without their path back"
NUMBER = "a Python number"
NEW = "a new tensor without a path back"
OFF = "turns gradients off"

DETACH = [
    Case("detach", "statement", PATH, forward="h = self.body(x)\nh = «h.detach()»\nreturn self.head(h)"),
    Case("detach", "chained", PATH, forward="return self.head(torch.tanh(«self.body(x).detach()») * self.scale)"),
    Case(
        "detach",
        "another module",
        PATH,
        helpers="""
        class Stop(nn.Module):
            def forward(self, h):
                return «h.detach()»
        """,
        init="self.stop = Stop()",
        forward="return self.head(self.stop(self.body(x)))",
    ),
    Case(
        "detach",
        "in the loss",
        PATH,
        forward="return self.body(x)[:, :3], self.scale",
        loss="h, s = out\nreturn F.cross_entropy(s * «h.detach()», y)",
    ),
    Case(
        "detach",
        "several lines, beside a logging item",
        PATH,
        forward="""
        h = self.body(x)
        self.seen = h.mean().item()
        return self.head(
            self.body(
                x
            ).«detach()»
        )
        """,
    ),
    Case("detach", "in place", PATH, forward="h = self.body(x) * 1\n«h.detach_()»\nreturn self.head(h)"),
]

DATA = [
    Case("data", "statement", PATH, forward="h = self.body(x)\nh = «h.data»\nreturn self.head(h)"),
    Case("data", "in an expression", PATH, forward="return self.head(1 + 2 * «self.body(x).data»)"),
    Case(
        "data",
        "helper",
        PATH,
        helpers="""
        def light(h):
            return «h.data».clone()
        """,
        forward="return self.head(light(self.body(x)))",
    ),
    Case(
        "data",
        "in the loss",
        PATH,
        forward="return self.body(x)[:, :3], self.scale",
        loss="return F.cross_entropy(out[1] * «out[0].data», y)",
    ),
]

ITEM = [
    Case(
        "item",
        "statement in the loss",
        NUMBER,
        forward="return self.body(x)[:, :3], self.scale",
        loss="loss = F.cross_entropy(out[0], y)\nvalue = «loss.item()»\nreturn value * out[1]",
    ),
    Case(
        "item",
        "in an expression",
        NUMBER,
        forward="h = self.body(x)\nreturn self.head(torch.ones(len(x), 4) * «h.square().mean().item()»)",
    ),
    Case(
        "item",
        "helper, computed with in Python",
        NUMBER,
        helpers="""
        def mean(h):
            return «h.mean().item()» / 2
        """,
        forward="m = mean(self.body(x))\nreturn self.head(torch.full((len(x), 4), m))",
    ),
    Case(
        "item",
        "several lines",
        NUMBER,
        forward="return self.body(x)[:, :3], self.scale",
        loss="""
        return out[1] * (
            F.cross_entropy(
                out[0],
                y,
            ).«item()»
        )
        """,
    ),
]

FLOAT = [
    Case(
        "float()",
        "statement",
        NUMBER,
        forward="h = self.body(x)\nm = «float(h.mean())»\nreturn self.head(torch.ones(len(x), 4) * m)",
    ),
    Case(
        "float()",
        "in an expression",
        NUMBER,
        forward="return self.body(x)[:, :3], self.scale",
        loss="return out[1] + «float(F.cross_entropy(out[0], y))»",
    ),
    Case(
        "float()",
        "helper",
        NUMBER,
        helpers="""
        def number(value):
            return «float(value)»
        """,
        forward="return self.body(x)[:, :3], self.scale",
        loss="return number(F.cross_entropy(out[0], y)) * out[1]",
    ),
]

INT = [
    Case(
        "int()",
        "statement",
        NUMBER,
        forward="h = self.body(x)\nk = «int(h.sum() * 100)»\nreturn self.head(torch.ones(len(x), 4) * k)",
    ),
    Case(
        "int()",
        "in an expression",
        NUMBER,
        forward="return self.body(x)[:, :3], self.scale",
        loss="return out[1] * (1 + «int(F.cross_entropy(out[0], y) * 10)»)",
    ),
    Case(
        "int()",
        "helper",
        NUMBER,
        helpers="""
        def steps(h):
            return torch.full((32, 4), float(«int(h.abs().sum())»))
        """,
        forward="return self.head(steps(self.body(x)))",
    ),
]

BOOL = [
    Case(
        "bool()",
        "statement",
        NUMBER,
        forward="h = self.body(x)\nup = «bool(h.sum())»\nreturn self.head(torch.full((len(x), 4), float(up)))",
    ),
    Case(
        "bool()",
        "in an expression",
        NUMBER,
        forward="return self.head(torch.full((len(x), 4), 2.0 * «bool(self.body(x).sum())»))",
    ),
    Case(
        "bool()",
        "helper",
        NUMBER,
        helpers="""
        def gate(h):
            return 1.5 if «bool(h.max())» else 0.5
        """,
        forward="return self.head(torch.full((len(x), 4), gate(self.body(x))))",
    ),
]

NUMPY = [
    Case(
        "numpy",
        "detached first",
        PATH,
        forward="a = np.tanh(«self.body(x).detach()».numpy())\nreturn self.head(torch.from_numpy(a))",
    ),
    Case(
        "numpy",
        "np.asarray",
        PATH,
        forward="h = self.body(x)\na = np.asarray(«h.detach()») * 2\nreturn self.head(torch.as_tensor(a))",
    ),
    Case(
        "numpy",
        "by force",
        "leaves torch",
        forward="h = self.body(x)\na = «h.numpy(force=True)» + 1\nreturn self.head(torch.tensor(a))",
    ),
    Case(
        "numpy",
        "in the loss, helper",
        PATH,
        helpers="""
        def to_numpy(t):
            return «t.detach()».cpu().numpy()
        """,
        forward="return self.body(x)[:, :3], self.scale",
        loss="p = np.exp(to_numpy(out[0]))\nreturn out[1] * float(-np.log(p).mean())",
    ),
]

BESIDE_LOGGING = [
    Case(
        "numpy",
        "between numbers that are only logged",
        PATH,
        forward="""
        h = self.body(x)
        self.mean = h.mean().item()
        array = np.maximum(«h.detach()».numpy(), 0)
        self.std = float(h.std())
        return self.head(torch.tensor(array))
        """,
    ),
    Case(
        "data",
        "in a Variable",
        PATH,
        forward="h = torch.autograd.Variable(«self.body(x).data», requires_grad=True)\nreturn self.head(h)",
    ),
    Case(
        "item",
        "sum of a list",
        NUMBER,
        forward="return self.body(x)[:, :3], self.scale",
        loss="""
        losses = [F.cross_entropy(out[0], y), out[0].square().mean()]
        return out[1] * sum(«loss.item()» for loss in losses)
        """,
    ),
]

REMADE = [
    Case(
        "torch.tensor of numbers",
        "in an expression",
        NEW,
        forward="h = self.body(x)\nreturn self.head(«torch.tensor([[v.item() for v in row] for row in h])»)",
    ),
    Case(
        "torch.tensor of numbers",
        "in the loss, needing a gradient",
        NEW,
        forward="return self.body(x)[:, :3]",
        loss="loss = F.cross_entropy(out, y)\nreturn «torch.tensor(loss.item(), requires_grad=True)»",
    ),
    Case(
        "torch.tensor of numbers",
        "helper, several lines",
        NEW,
        helpers="""
        def again(h):
            return «torch.tensor(
                h.tolist(),
                dtype=torch.float32,
            )»
        """,
        forward="return self.head(again(self.body(x)))",
    ),
]

TOLIST = [
    Case(
        "tolist",
        "statement",
        "Python numbers",
        forward="h = self.body(x)\nrows = «h.tolist()»\nreturn self.head(torch.tensor(rows))",
    ),
    Case(
        "tolist",
        "chained",
        "Python numbers",
        forward="rows = [[v + 1 for v in row] for row in «self.body(x).tolist()»]\nreturn self.head(torch.tensor(rows))",
    ),
    Case(
        "tolist",
        "in the loss",
        "Python numbers",
        forward="return self.body(x)[:, :3], self.scale",
        loss="each = «F.cross_entropy(out[0], y, reduction='none').tolist()»\nreturn out[1] * (sum(each) / len(each))",
    ),
]

TENSOR = [
    Case("torch.tensor", "statement", NEW, forward="h = self.body(x)\nh = «torch.tensor(h)»\nreturn self.head(h)"),
    Case(
        "torch.tensor",
        "in the loss, needing a gradient",
        NEW,
        forward="return self.body(x)[:, :3]",
        loss="return «torch.tensor(F.cross_entropy(out, y), requires_grad=True)»",
    ),
    Case(
        "torch.tensor",
        "of a list, several lines",
        NEW,
        forward="return self.body(x)[:, :3], self.scale",
        loss="""
        losses = [F.cross_entropy(out[0], y), out[0].square().mean()]
        return out[1] * «torch.tensor(
            losses,
            dtype=torch.float32,
        )».sum()
        """,
    ),
    Case(
        "torch.tensor",
        "helper",
        NEW,
        helpers="""
        def fresh(value):
            return «torch.tensor(value, requires_grad=True)»
        """,
        forward="return self.head(fresh(self.body(x)))",
    ),
    Case("torch.tensor", "new_tensor", NEW, forward="h = self.body(x)\nreturn self.head(«h.new_tensor(h)»)"),
]

MASK_TENSOR = [
    Case(
        "torch.tensor of a mask",
        "statement",
        NEW,
        forward="p = self.body(x).sigmoid()\nm = «torch.tensor((p > 0.5).float(), requires_grad=True)»\nreturn self.head(m)",
    ),
    Case(
        "torch.tensor of a mask",
        "in the loss",
        NEW,
        forward="return self.body(x)[:, :3], self.scale",
        loss="return F.cross_entropy(out[1] * «torch.tensor((out[0].sigmoid() > 0.5).type(out[0].dtype))», y)",
    ),
    Case(
        "torch.tensor of a mask",
        "helper, several lines",
        NEW,
        helpers="""
        def hard(p):
            return «torch.tensor(
                (p > 0).float(),
                requires_grad=True,
            )»
        """,
        forward="return self.head(hard(self.body(x)))",
    ),
]

LEGACY = [
    Case(
        "torch.Tensor",
        "in an expression",
        NEW,
        forward="return self.body(x)[:, :3], self.scale",
        loss="losses = [F.cross_entropy(out[0], y), out[0].square().mean()]\nreturn (out[1] * «torch.Tensor(losses)»).sum()",
    ),
    Case(
        "torch.Tensor",
        "FloatTensor, beside a logging item",
        NEW,
        forward="return self.body(x)[:, :3], self.scale",
        loss="""
        each = F.cross_entropy(out[0], y)
        print(each.item())
        t = «torch.FloatTensor([each, each])»
        return out[1] * t.mean()
        """,
    ),
    Case(
        "torch.Tensor",
        "helper, several lines",
        NEW,
        helpers="""
        def gather(losses):
            return «torch.Tensor(
                losses
            )».mean()
        """,
        forward="return self.body(x)[:, :3], self.scale",
        loss="return out[1] * gather([F.cross_entropy(out[0], y)])",
    ),
]

AS_TENSOR = [
    Case(
        "as_tensor",
        "statement",
        NEW,
        forward="return self.body(x)[:, :3], self.scale",
        loss="losses = [F.cross_entropy(out[0], y)]\nt = «torch.as_tensor(losses)»\nreturn out[1] * t.sum()",
    ),
    Case(
        "as_tensor",
        "in an expression",
        NEW,
        forward="""
        h = self.body(x)
        return self.head(1 + «torch.as_tensor([h.mean(), h.std(), h.max(), h.min()])».expand(len(x), 4))
        """,
    ),
    Case(
        "as_tensor",
        "another module",
        NEW,
        helpers="""
        class Collect(nn.Module):
            def forward(self, h):
                return «torch.as_tensor([c.mean() for c in h.T])».expand(32, 4)
        """,
        init="self.collect = Collect()",
        forward="return self.head(self.collect(self.body(x)))",
    ),
]

FROM_NUMPY = [
    Case(
        "from_numpy",
        "in one expression",
        PATH,
        forward="return self.head(torch.from_numpy(np.arctan(«self.body(x).detach()».numpy())))",
    ),
    Case(
        "from_numpy",
        "of a forced array",
        "leaves torch",
        forward="h = torch.from_numpy(«self.body(x).numpy(force=True)»)\nreturn self.head(h)",
    ),
    Case(
        "from_numpy",
        "another module",
        PATH,
        helpers="""
        class Borrowed(nn.Module):
            def forward(self, h):
                array = «h.detach()».numpy()
                return torch.from_numpy(array.clip(-1, 1))
        """,
        init="self.borrowed = Borrowed()",
        forward="print(x.mean().item())\nreturn self.head(self.borrowed(self.body(x)))",
    ),
]

NO_GRAD = [
    Case(
        "no_grad block", "statement", OFF, forward="with «torch.no_grad()»:\n    h = self.body(x)\nreturn self.head(h)"
    ),
    Case(
        "no_grad block",
        "two items",
        OFF,
        helpers="import contextlib",
        forward="with contextlib.nullcontext(), «torch.no_grad()»:\n    h = self.body(x)\n    h = h * 2\nreturn self.head(h)",
    ),
    Case(
        "no_grad block",
        "helper",
        OFF,
        methods="""
        def encode(self, x):
            with «torch.no_grad()»:
                return self.body(x).relu()
        """,
        forward="return self.head(self.encode(x))",
    ),
    Case(
        "no_grad block",
        "in the loss, around what is frozen",
        OFF,
        forward="return self.body(x), self.head, self.scale",
        loss="h, head, s = out\nwith «torch.no_grad()»:\n    z = head(h)\nreturn F.cross_entropy(s * z, y)",
    ),
    Case(
        "no_grad block",
        "gradients on again inside",
        OFF,
        forward="""
        with «torch.no_grad()»:
            with torch.enable_grad():
                self.body(x)
            h = self.body(x)
        return self.head(h)
        """,
    ),
    Case(
        "no_grad block",
        "a context with a name",
        OFF,
        forward="off = torch.no_grad()\nwith «off»:\n    h = self.body(x)\nreturn self.head(h)",
    ),
]

DECORATED = [
    Case(
        "no_grad decorator",
        "method",
        OFF,
        methods="@«torch.no_grad()»\ndef encode(self, x):\n    return self.body(x)",
        forward="return self.head(self.encode(x))",
    ),
    Case(
        "no_grad decorator",
        "without brackets, function",
        OFF,
        helpers="@«torch.no_grad»\ndef encode(net, x):\n    return net(x)",
        forward="return self.head(encode(self.body, x))",
    ),
    Case(
        "no_grad decorator",
        "below another, another module's forward",
        OFF,
        helpers="""
        import functools

        def loud(function):
            @functools.wraps(function)
            def called(*args):
                return function(*args)
            return called

        class Encoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(6, 4)

            @loud
            @«torch.no_grad()»
            def forward(self, x):
                return self.layer(x)
        """,
        init="self.body = Encoder()",
    ),
]

ENTERED = [
    Case(
        "no_grad entered otherwise",
        "a context manager of one's own",
        OFF,
        helpers="""
        import contextlib

        @contextlib.contextmanager
        def quiet():
            with «torch.no_grad()»:
                yield
        """,
        forward="with quiet():\n    h = self.body(x)\nreturn self.head(h)",
    ),
    Case(
        "no_grad entered otherwise",
        "an exit stack",
        OFF,
        helpers="import contextlib",
        forward="""
        with contextlib.ExitStack() as stack:
            «stack.enter_context(torch.no_grad())»
            h = self.body(x)
        return self.head(h)
        """,
    ),
    Case(
        "no_grad entered otherwise",
        "by hand",
        OFF,
        forward="""
        off = torch.no_grad()
        «off.__enter__()»
        h = self.body(x)
        off.__exit__(None, None, None)
        return self.head(h)
        """,
    ),
]

INFERENCE = [
    Case(
        "inference_mode",
        "statement",
        OFF,
        forward="with «torch.inference_mode()»:\n    h = self.body(x)\nreturn self.head(h.clone())",
    ),
    Case(
        "inference_mode",
        "decorator",
        OFF,
        methods="@«torch.inference_mode()»\ndef encode(self, x):\n    return self.body(x)",
        forward="return self.head(self.encode(x).clone())",
    ),
    Case(
        "inference_mode",
        "in the loss",
        OFF,
        forward="return self.body(x)[:, :3], self.scale",
        loss="with «torch.inference_mode()»:\n    z = out[0] * 2\nreturn F.cross_entropy(z.clone() * out[1], y)",
    ),
]

SET_GRAD = [
    Case(
        "set_grad_enabled",
        "block",
        OFF,
        forward="with «torch.set_grad_enabled(False)»:\n    h = self.body(x)\nreturn self.head(h)",
    ),
    Case(
        "set_grad_enabled",
        "call",
        OFF,
        forward="«torch.set_grad_enabled(False)»\nh = self.body(x)\ntorch.set_grad_enabled(True)\nreturn self.head(h)",
    ),
    Case(
        "set_grad_enabled",
        "helper, by a flag",
        OFF,
        init="self.tune = False",
        methods="""
        def encode(self, x):
            with «torch.set_grad_enabled(self.tune and self.training)»:
                return self.body(x)
        """,
        forward="return self.head(self.encode(x))",
    ),
]

COMPARED = [
    Case(
        "comparison",
        "statement",
        "true or false",
        forward="p = self.body(x).sigmoid()\nhard = «p > 0.5»\nreturn self.head(hard.float())",
    ),
    Case(
        "comparison",
        "in the loss",
        "true or false",
        forward="return self.body(x)[:, :3], self.scale",
        loss="sure = «out[0].ge(0)».any(1).float()\nreturn out[1] * sure.mean()",
    ),
    Case(
        "comparison",
        "helper, several lines",
        "true or false",
        helpers="""
        def spikes(h):
            return torch.where(
                «h
                >= 0»,
                1.0,
                0.0,
            )
        """,
        forward="return self.head(spikes(self.body(x)))",
    ),
    Case(
        "comparison",
        "two of them joined",
        "true or false",
        forward="h = self.body(x)\nreturn self.head((«h.abs() < 1»).float() * 2)",
    ),
]

ARGMAX = [
    Case(
        "argmax, argmin",
        "statement",
        "positions",
        init="self.table = nn.Embedding(4, 4)",
        forward="token = «self.body(x).argmax(-1)»\nreturn self.head(self.table(token))",
    ),
    Case(
        "argmax, argmin",
        "in an expression",
        "positions",
        forward="return self.head(F.one_hot(«torch.argmin(self.body(x), dim=1)», 4).float())",
    ),
    Case(
        "argmax, argmin",
        "in the loss",
        "positions",
        forward="return self.body(x)[:, :3], self.scale",
        loss="return out[1] * (1 - («out[0].argmax(1)» == y).float().mean())",
    ),
]

STEPS = [
    Case(
        "round, sign, floor", "statement", "flat", forward="h = self.body(x)\nh = «torch.round(h)»\nreturn self.head(h)"
    ),
    Case("round, sign, floor", "chained", "flat", forward="return self.head(«self.body(x).sign()».mul(2) + 1)"),
    Case(
        "round, sign, floor",
        "another module",
        "flat",
        helpers="""
        class Floor(nn.Module):
            def forward(self, h):
                return «torch.floor(h * 4)» / 4
        """,
        init="self.body.append(Floor())",
    ),
    Case(
        "round, sign, floor",
        "in the loss, several lines",
        "flat",
        forward="return self.body(x)[:, :3], self.scale",
        loss="return F.cross_entropy(out[1] * «torch.ceil(\n    out[0]\n)», y)",
    ),
]

TOPK = [
    Case(
        "topk",
        "statement",
        "positions",
        forward="values, places = «self.body(x).topk(2)»\nreturn self.head(torch.cat([places, places], 1).float())",
    ),
    Case("topk", "chained", "positions", forward="return self.head(«self.body(x).topk(4)».indices.float())"),
    Case(
        "topk",
        "helper, sort",
        "positions",
        helpers="""
        def order(h):
            return «h.sort(dim=1)»[1]
        """,
        forward="return self.head(order(self.body(x)) * 1.0)",
    ),
    Case(
        "topk",
        "max with its positions, in the loss",
        "positions",
        forward="return self.body(x)[:, :3], self.scale",
        loss="_, best = «out[0].max(1)»\nreturn out[1] * (best - y).abs().float().mean()",
    ),
]

MASKED = [
    Case(
        "indexing by a mask",
        "statement",
        "true or false",
        forward="keep = «self.body(x) > 0»\nbase = torch.zeros(len(x), 4)\nbase[keep] = 1.0\nreturn self.head(base)",
    ),
    Case(
        "indexing by a mask",
        "in an expression",
        "true or false",
        forward="return self.head(torch.ones(len(x), 4).masked_fill(«self.body(x) < 0», 0.0))",
    ),
    Case(
        "indexing by a mask",
        "in the loss",
        "true or false",
        forward="return self.body(x)[:, :3], self.scale",
        loss="weights = torch.tensor([1.0, 2.0])[(«out[0].mean(1) > 0») * 1]\nreturn out[1] * weights.mean()",
    ),
    Case(
        "indexing by a mask",
        "an index picks a value",
        "positions",
        forward="rows = torch.eye(4)\nreturn self.head(rows[«self.body(x).argmax(1)»])",
    ),
]

CAST = [
    Case("cast", "statement", "integers", forward="h = self.body(x)\nk = «h.long()»\nreturn self.head(k.float())"),
    Case("cast", "chained", "integers", forward="return self.head(«(self.body(x) * 10).int()».float() / 10)"),
    Case("cast", "to()", "integers", forward="return self.head(«self.body(x).to(torch.long)».to(x.dtype))"),
    Case(
        "cast",
        "in the loss, several lines",
        "integers",
        forward="return self.body(x)[:, :3], self.scale",
        loss="hard = (\n    out[0]\n    .«bool()»\n)\nreturn out[1] * hard.float().mean()",
    ),
    Case(
        "cast",
        "helper",
        "integers",
        helpers="""
        def level(h):
            return «h.type(torch.int32)»
        """,
        forward="return self.head(level(self.body(x)).float())",
    ),
]

WRITES = [
    Case(
        "write in place",
        "of detached rows",
        PATH,
        forward="""
        h = self.body(x)
        out = torch.zeros(len(x), 4)
        for i in range(len(x)):
            out[i] = «h[i].detach()»
        return self.head(out)
        """,
    ),
    Case(
        "write in place",
        "of .data",
        PATH,
        forward="out = torch.zeros(len(x), 4)\nout[:] = «self.body(x).data»\nreturn self.head(out)",
    ),
    Case(
        "write in place",
        "into .data",
        "writes values",
        forward="out = torch.zeros(len(x), 4)\n«out.data[:]» = self.body(x)\nreturn self.head(out)",
    ),
    Case(
        "write in place",
        "copy_ into .data of a buffer",
        "writes values",
        init="self.register_buffer('state', torch.zeros(32, 4))",
        forward="«self.state.data.copy_(self.body(x))»\nreturn self.head(self.state)",
    ),
    Case(
        "write in place",
        "into a leaf",
        OFF,
        init="self.state = nn.Parameter(torch.zeros(32, 4))",
        forward="with «torch.no_grad()»:\n    self.state.copy_(self.body(x))\nreturn self.head(self.state)",
    ),
    Case(
        "write in place",
        "of .data itself",
        PATH,
        forward="out = torch.zeros(len(x), 4)\nout.data = «self.body(x).data»\nreturn self.head(out)",
    ),
]

LISTED = [
    Case(
        "layers in a list",
        "built in a loop",
        "no module has them",
        init="self.hidden = [«nn.Linear(4, 4)» for _ in range(3)]",
        forward="h = self.body(x)\nfor layer in self.hidden:\n    h = layer(h).tanh()\nreturn self.head(h)",
    ),
    Case(
        "layers in a list",
        "dict",
        "no module has them",
        init="self.hidden = {'a': «nn.Linear(4, 4)»}",
        forward="return self.head(self.hidden['a'](self.body(x)))",
    ),
    Case(
        "layers in a list",
        "appended, several lines",
        "no module has them",
        init="self.hidden = []\nself.hidden.append(\n    «nn.Linear(\n        4, 4\n    )»\n)",
        forward="return self.head(self.hidden[0](self.body(x)))",
    ),
]

ANEW = [
    Case(
        "made again in forward",
        "layer",
        "made again",
        forward="layer = «nn.Linear(4, 4)»\nreturn self.head(layer(self.body(x)))",
    ),
    Case(
        "made again in forward",
        "parameter",
        "made again",
        forward="return self.head(self.body(x) @ «nn.Parameter(torch.randn(4, 4))»)",
    ),
    Case(
        "made again in forward",
        "own module, helper",
        "made again",
        helpers="""
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 4)

            def forward(self, h):
                return self.inner(h)

        def mixed(h):
            return «Block()»(h)
        """,
        forward="return self.head(mixed(self.body(x)))",
    ),
    Case(
        "made again in forward",
        "sequence, several lines",
        "made again",
        forward="return nn.Sequential(\n    nn.Tanh(),\n    «nn.Linear(4, 3)»,\n)(self.body(x))",
    ),
]

REWRAPPED = [
    Case(
        "nn.Parameter of a result",
        "statement",
        "a new leaf",
        forward="h = self.body(x)\nh = «nn.Parameter(h)»\nreturn self.head(h)",
    ),
    Case(
        "nn.Parameter of a result",
        "in an expression",
        "a new leaf",
        forward="return self.head(1 + «nn.Parameter(self.body(x).tanh())»)",
    ),
    Case(
        "nn.Parameter of a result",
        "in the loss",
        "a new leaf",
        forward="return self.body(x)[:, :3], self.scale",
        loss="return F.cross_entropy(out[1] * «nn.Parameter(out[0])», y)",
    ),
]

OTHER_COPY = [
    Case(
        "optimizer of another copy",
        "statement",
        "optimizer does not hold",
        setup="optimizer = «torch.optim.Adam(Net().parameters(), lr=1e-3)»",
    ),
    Case(
        "optimizer of another copy",
        "deep copy, several lines",
        "optimizer does not hold",
        setup="twin = copy.deepcopy(model)\noptimizer = «torch.optim.SGD(\n    twin.parameters(),\n    lr=0.1,\n)»",
    ),
    Case(
        "optimizer of another copy",
        "helper; the model was made again",
        "optimizer does not hold",
        helpers="""
        def adam(net):
            return «torch.optim.AdamW([{"params": net.parameters()}], lr=1e-3)»
        """,
        setup="optimizer = adam(model)\nmodel = Net()",
    ),
]

COPIED = [
    Case(
        "deepcopy",
        "of a layer",
        "a copy without a path back",
        forward="return self.head(«copy.deepcopy(self.body)»(x))",
    ),
    Case(
        "deepcopy",
        "of a parameter",
        "a copy without a path back",
        init="self.table = nn.Parameter(torch.randn(400, 4))",
        forward="table = «copy.deepcopy(self.table)»\nreturn self.head(self.body(x) + table[0])",
    ),
    Case(
        "deepcopy",
        "of an output, which has to be detached",
        PATH,
        helpers="""
        def kept(h):
            return copy.deepcopy(«h.detach()»)
        """,
        forward="return self.head(kept(self.body(x)))",
    ),
    Case(
        "deepcopy",
        "in the loss",
        "a copy without a path back",
        forward="return self.body, self.head, x, self.scale",
        loss="body, head, x, s = out\nreturn F.cross_entropy(head(«copy.deepcopy(body)»(x)) * s, y)",
    ),
]

DERIVATIVE = [
    Case(
        "autograd.grad",
        "statement",
        "a derivative",
        forward="x = x.requires_grad_()\nu = self.body(x).sum()\n(g,) = «torch.autograd.grad(u, x)»\nreturn self.head(g[:, :4])",
    ),
    Case(
        "autograd.grad",
        "in the loss, several lines",
        "a derivative",
        forward="x = x * 1 if x.requires_grad else x.requires_grad_()\nreturn self.body(x), x, self.scale",
        loss="""
        u, x, s = out
        du = «torch.autograd.grad(
            u.sum(), x, retain_graph=True
        )»[0]
        return s * du.square().mean()
        """,
    ),
    Case(
        "autograd.grad",
        "helper",
        "a derivative",
        helpers="""
        def slope(net, x):
            x = x.detach().requires_grad_()
            return «torch.autograd.grad(net(x).sum(), x)»[0]
        """,
        forward="return self.head(slope(self.body, x)[:, :4])",
    ),
]

NONE_BACK = """
class Binary(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return (h > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        return None

"""
FUNCTION = [
    Case(
        "Function without a gradient",
        "statement",
        "returns no gradient for its input",
        helpers=NONE_BACK,
        forward="h = self.body(x)\nh = «Binary.apply(h)»\nreturn self.head(h)",
    ),
    Case(
        "Function without a gradient",
        "another module",
        "returns no gradient for its input",
        helpers=NONE_BACK
        + "class Hard(nn.Module):\n    def forward(self, h):\n        return 2 * «Binary.apply(h)» - 1\n",
        init="self.body.append(Hard())",
    ),
    Case(
        "Function without a gradient",
        "in the loss, several lines",
        "returns no gradient for its input",
        helpers=NONE_BACK,
        forward="return self.body(x)[:, :3], self.scale",
        loss="return F.cross_entropy(\n    out[1] * «Binary.apply(\n        out[0]\n    )»,\n    y,\n)",
    ),
    Case(
        "Function without a gradient",
        "of two inputs, one without",
        "returns no gradient for its input",
        helpers="""
        class Scaled(torch.autograd.Function):
            @staticmethod
            def forward(ctx, h, s):
                ctx.save_for_backward(h)
                return h * s

            @staticmethod
            def backward(ctx, gradient):
                return None, (gradient * ctx.saved_tensors[0]).sum()
        """,
        forward="return self.head(«Scaled.apply(self.body(x), self.scale)»)",
    ),
]

CASES: list[Case] = list(
    itertools.chain(
        DETACH,
        DATA,
        ITEM,
        FLOAT,
        INT,
        BOOL,
        NUMPY,
        BESIDE_LOGGING,
        TOLIST,
        TENSOR,
        REMADE,
        MASK_TENSOR,
        LEGACY,
        AS_TENSOR,
        FROM_NUMPY,
        NO_GRAD,
        DECORATED,
        ENTERED,
        INFERENCE,
        SET_GRAD,
        COMPARED,
        ARGMAX,
        STEPS,
        TOPK,
        MASKED,
        CAST,
        WRITES,
        LISTED,
        ANEW,
        REWRAPPED,
        OTHER_COPY,
        COPIED,
        DERIVATIVE,
        FUNCTION,
    )
)
