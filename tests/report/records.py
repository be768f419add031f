"""Records made by hand: what a check could have seen, without running one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from steadygrad.record import (
    Assumption,
    BlindSpot,
    CheckRecord,
    Cost,
    CureRef,
    Evidence,
    Finding,
    Location,
    NonFinite,
    Operation,
    OutputStatistics,
    Parameter,
    Recurrence,
    Saturation,
    Setup,
    Severity,
    Step,
    StepTest,
    Tier,
    Trace,
    Trunk,
    Verdict,
)

SIGMOID = Location("net.py", 9, 17, 9, 37, "            x = torch.sigmoid(fc(x))")
LINEAR = Location("net.py", 9, 31, 9, 36, "            x = torch.sigmoid(fc(x))")
LOSS = Location("train.py", 31, 12, 31, 58, "    loss = torch.nn.functional.cross_entropy(model(x), y)")

ADAM = "AdamW, learning rate 0.001"


def trunk(decades: Sequence[tuple[str, float]], *, start: float = -0.6, end: str = "input 0") -> Trunk:
    """A trunk whose steps have these causes and decades."""
    steps, level = [], start
    for index, (cause, value) in enumerate(decades):
        steps.append(Step(index, cause, level, value, location=SIGMOID, module=f"fcs.{index // 2}", path="trunk"))
        level += value
    return Trunk(end, tuple(steps), start)


def trace(road: Trunk | None, **more: object) -> Trace:
    """A small trace with this trunk."""
    operation = Operation(
        index=0,
        name="sigmoid",
        kind="activation",
        module="fcs.0",
        module_type="Linear",
        location=SIGMOID,
        call=SIGMOID,
        construction=None,
        output_shape=(32, 64),
        dtype="float32",
        output=OutputStatistics(0.5, 0.1, 1e-14, 0.9),
        saturation=Saturation(0.24, 0.25, 0.0, 0.0, 0.1, 0.3),
        log10_gradient=-1.5,
    )
    values: dict[str, object] = {
        "operations": (operation, replace(operation, index=1, location=None, saturation=None, parents=(0,))),
        "trunk": road,
        "parameters": (
            Parameter("fcs.0.weight", (64, 64), True, True, True, -17.8, 4.6, 1e-15, location=LINEAR),
            Parameter("gate", (1,), True, True, True, -math.inf, 0.0, opened=False),
        ),
        "loss": 2.31,
        "batch_size": 32,
        "training": True,
        "dtype": "float32",
        "input_mean": 0.0,
        "input_std": 1.0,
        "output_spread": 1e-14,
        "smallest_normal": 1.1754943508222875e-38,
        "underflow_share": 0.0,
        "recurrences": (Recurrence("rnn", "tanh", 50, -0.19, -9.5),),
    }
    return Trace(**{**values, **more})  # type: ignore[arg-type]


def setup(model: str = "Net", **more: object) -> Setup:
    """A subject in words."""
    values: dict[str, object] = {
        "parameters": 87_050,
        "batch": "32 samples of (64,) float32",
        "loss": "cross_entropy",
        "optimizer": ADAM,
        "device": "cpu",
        "seed": 0,
        "target": "net.py:Net",
    }
    return Setup(model=model, **{**values, **more})  # type: ignore[arg-type]


def saturated() -> Finding:
    """The finding every README begins with."""
    return Finding(
        code="SG102",
        name="saturated-activation",
        severity=Severity.ERROR,
        message="sigmoid passes less than 1/4 of the gradient, 20 times in a row",
        location=SIGMOID,
        module="fcs.0",
        evidence=(
            Evidence("derivative rms on this batch", 0.24, "of a maximum of 0.25", "near 1"),
            Evidence("decades taken by the weights' scale", 4.8, "decades", "near 0"),
        ),
        cures=(
            CureRef("folded initialisation keeps sigmoid and trains", "fold"),
            CureRef("ReLU with He initialisation", "swap-activation"),
            CureRef("batch norm before it", "normalise"),
            CureRef("a residual span", "residual"),
        ),
        label="takes 12.4 of the 17.2 decades lost on the way to the input (72 %)",
        consequence="fcs.0 moves by 1e-15 of its size a step; after ten steps the loss fell by 0.01 %",
        count=20,
        explains=("SG101", "SG106"),
    )


def vanishing() -> CheckRecord:
    """Twenty sigmoid layers: two errors, one warning."""
    road = trunk([("loss", 0.0)] + 20 * [("activation derivative", -0.62), ("weight scale", -0.24)])
    collapsed = Finding(
        code="SG105",
        name="collapsed-representation",
        severity=Severity.ERROR,
        message="all 32 samples leave fcs.19 alike",
        location=LINEAR,
        module="fcs.19",
        evidence=(Evidence("spread", 1e-14, "", "above 0.001"),),
        cures=(CureRef("folded initialisation", "fold"),),
        label="spread falls below 0.001 here",
        consequence="the loss can learn class frequencies and nothing else",
    )
    squash = Finding(
        code="SG303",
        name="double-squash",
        severity=Severity.WARNING,
        message="cross_entropy applies softmax to an output that softmax has made",
        location=LOSS,
        module="",
        evidence=(),
        cures=(CureRef("return logits from the model"),),
        also=(Location("net.py", 11, 16, 11, 36, "        return torch.softmax(x, 1)"),),
    )
    return CheckRecord(
        verdict=Verdict.WILL_NOT_TRAIN,
        findings=(squash, saturated(), collapsed),
        trace=trace(road, blind_spots=tuple(BlindSpot("module never ran", f"aux.{i}") for i in range(5))),
        trial=StepTest(10, ADAM, tuple(2.31 - 0.00002 * i for i in range(11)), 0.0001, 1e-14, 0.0),
        setup=setup(assumptions=(Assumption("", "the model is trained as it was left: in training mode"),)),
        cost=Cost(plain=0.0123, probe=0.0172, step_test=0.2, total=0.31),
        tiers=(Tier.PROBE, Tier.STEP_TEST),
        notes=("the learning rate was not the cause: no rate from 1e-5 to 1 lowers the loss",),
        ignored=("SG205 at net.py:9:17: a comment",),
    )


def healthy() -> CheckRecord:
    """A residual net that trains."""
    road = trunk([("loss", 0.0)] + 16 * [("block with a skip", -0.05), ("normalisation", 0.03)], start=-0.5)
    return CheckRecord(
        verdict=Verdict.HEALTHY,
        findings=(),
        trace=trace(road, output_spread=0.42),
        trial=StepTest(10, ADAM, tuple(2.31 * 0.86**i for i in range(11)), 0.12, 0.5),
        setup=setup("ResNet", parameters=11_689_512),
        cost=Cost(plain=0.08, probe=0.112, step_test=0.9, total=1.2),
        tiers=(Tier.PROBE, Tier.STEP_TEST),
    )


def exploding() -> CheckRecord:
    """Batch norm without a skip: the gradient grows by twelve decades."""
    road = trunk(60 * [("normalisation", 0.25), ("activation derivative", -0.05)], start=-0.5)
    finding = Finding(
        code="SG302",
        name="batch-norm-without-skip",
        severity=Severity.WARNING,
        message="the gradient grows by 0.2 decades a layer through 60 batch norms",
        location=Location("deep.py", 104, 13, 104, 30, "        x = self.norms[i](x)"),
        module="norms.0",
        evidence=(Evidence("decades gained", 12.0, "decades", "under 4"), Evidence("cost", 1.5, "×", "")),
        cures=(CureRef("a residual span of 2", "residual"),),
        label="gives 15.0 of the 12.0 decades gained (125 %)",
    )
    return CheckRecord(
        verdict=Verdict.AT_RISK,
        findings=(finding,),
        trace=trace(road),
        trial=StepTest(10, "SGD, learning rate 0.1", (2.3, 9.1, 4.0, math.inf), 0.5, None),
        setup=setup("Deep", optimizer="SGD, learning rate 0.1"),
        cost=Cost(plain=None, probe=75.0, total=130.0),
        tiers=(Tier.PROBE,),
    )


def nonfinite() -> CheckRecord:
    """An inf that no line of the user's can be blamed for; no trunk."""
    finding = Finding(
        code="SG203",
        name="non-finite",
        severity=Severity.ERROR,
        message="exp makes the first inf, in the forward pass",
        location=None,
        module="head.temperature",
        evidence=(Evidence("largest input", math.inf, "", "finite"),),
        cures=(CureRef("subtract the maximum before exp"),),
        label="inf from an input of 104",
    )
    return CheckRecord(
        verdict=Verdict.WILL_NOT_TRAIN,
        findings=(finding, replace(finding, module="", name="non-finite", label="")),
        trace=trace(None, nonfinite=NonFinite("inf", "forward", None, "exp", "head.temperature", None), loss=math.inf),
        trial=None,
        setup=setup("Energy"),
        cost=Cost(plain=0.01, probe=0.01, total=0.02),
        tiers=(Tier.PROBE,),
        notes=("no step test: the loss is not finite",),
        ignored=(),
    )


MULTILINE = Location(
    "attention.py",
    98,
    13,
    102,
    10,
    "        y = F.scaled_dot_product_attention(\n            self.q(x),\n            self.k(x),\n"
    "            self.v(x),\n        )",
)
LONG = Location(
    "wide.py", 7, 109, 7, 130, f"    x = {'self.first(' * 9}x{')' * 9} + torch.sigmoid(fc(x)) + {'y + ' * 30}z"
)


def hostile() -> CheckRecord:
    """Strings that a terminal, rich, HTML or a workflow would misread; source of many lines, with tabs, wide."""
    base = saturated()
    evil = "\x1b[31mred\x1b[0m [bold]x[/bold] <script>alert(1)</script> & 100%\r\n::error::no \u202eabc \x9b2J"
    tabs = "\tfor f in self.層:\tx = torch.sigmoid(f(x))  # \x1b[2J"
    wide = "    出力 = torch.sigmoid(層(入力))"
    places = (
        MULTILINE,
        Location("tabs.py", 5, tabs.index("torch") + 1, 5, tabs.index("  #") + 1, tabs),
        Location("模型/网络.py", 1203, wide.index("torch") + 1, 1203, len(wide) + 1, wide),
        LONG,
        Location("gone.py", 3, 1, 3, 9),
        Location(
            "long,name: %.py",
            12,
            9,
            24,
            10,
            "\n".join([f"    y = big({evil}", *12 * ["        x,"]]).replace("\r\n", ""),
        ),
    )
    return replace(
        vanishing(),
        findings=(
            replace(
                base, message=evil, module="[red]m", label=evil, count=1, cures=(CureRef(evil, evil),), explains=()
            ),
            *(
                replace(base, location=place, module="", count=1, explains=(), evidence=(), consequence="")
                for place in places
            ),
            replace(base, message="an" + "t" * 300, location=None, module="a." * 80, label=""),
        ),
        setup=setup(evil, assumptions=(Assumption(evil, evil),)),
        notes=(evil,),
        ignored=(evil,),
        trace=trace(
            trunk([("loss", -math.inf), ("other", math.nan)], end=evil), blind_spots=(BlindSpot(evil, evil, LONG),)
        ),
    )


ALL: dict[str, Callable[[], CheckRecord]] = {
    "vanishing": vanishing,
    "healthy": healthy,
    "exploding": exploding,
    "nonfinite": nonfinite,
    "hostile": hostile,
}
