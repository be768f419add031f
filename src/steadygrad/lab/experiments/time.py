"""Gradients through time: RNN, orthogonal RNN, GRU, LSTM, and an LSTM whose forget gate begins open."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from steadygrad.lab import Curve, Outcome, Panel, experiment, mean_reading
from steadygrad.lab.nets import linear_fit
from steadygrad.numerals import number

FEATURES, BATCH = 8, 4

QUIET = 0.1
"""Scale of the inputs: tanh works near the middle, so that what is seen is the recurrence."""

BIASES = (-2.0, 0.0, 1.0, 2.0, 3.0, 5.0)

KINDS = ("RNN", "orthogonal RNN", "GRU", "LSTM", "LSTM, open")


@experiment(
    quick={"nets": 8},
    refuted={"gain": 4.0},
    limits={"steps": (5, 500), "width": (4, 256), "gain": (0.1, 10.0), "bias": (-10.0, 10.0), "nets": (2, 500)},
    order=110,
)
def time(*, steps: int = 50, width: int = 32, gain: float = 1.0, bias: float = 5.0, nets: int = 60) -> Outcome:
    """Through time the same factor is multiplied at every step: an RNN forgets, an orthogonal one and an open gate do not.

    ## Claim

    Back-propagation through time multiplies by the same recurrence at every step, so the gradient of what came early
    vanishes (or explodes) exponentially. An LSTM's cell is an addition whose factor is the forget gate σ(b): at torch's
    default, near ½, it forgets too; with a large bias it does not. An orthogonal recurrence keeps norms.

    ## Source

    Hochreiter 1991; Bengio, Simard and Frasconi 1994; Hochreiter and Schmidhuber 1997; Gers et al. 2000 and Jozefowicz et
    al. 2015 (forget bias); Pascanu, Mikolov and Bengio 2013 (arXiv:1211.5063), section 2.1; Saxe et al. 2014
    (arXiv:1312.6120).

    ## Measurement

    torch's own cells in float64 on noise: a random direction is sent back from the last state, and the slope of log10 of
    the gradient's norm at each earlier state is taken, in decades a step. Beside it log10 σ(b), which the gate alone gives.

    ## Refuted by

    A default RNN that keeps the gradient, an orthogonal RNN or an open LSTM that loses it, a default LSTM that
    keeps it, or an open one far from its gate's own factor. With gain 4 it is refuted: the RNN's gradient does not
    vanish any more.

    ## Parameters

    - steps: length of the sequence
    - width: units of a state
    - gain: factor on the RNN's recurrent matrix as torch draws it
    - bias: bias of the forget gate of the open LSTM
    - nets: cells of each kind
    """
    runs = {kind: torch.stack([_decades(kind, steps, width, gain, bias) for _ in range(nets)]) for kind in KINDS}
    back = torch.arange(steps, dtype=torch.float64)
    slopes = {kind: linear_fit(run[:, 1:], back).tolist() for kind, run in runs.items()}
    gate = -math.log10(1 + math.exp(-bias))
    x = tuple(float(number) for number in range(steps + 1))
    unit = "decades a step"
    return Outcome(
        readings=(
            mean_reading("RNN, torch's default weights", slopes["RNN"], unit=unit, greatest=-0.1),
            mean_reading("RNN, orthogonal recurrence", slopes["orthogonal RNN"], unit=unit, least=-0.05, greatest=0.05),
            mean_reading("LSTM, torch's default weights", slopes["LSTM"], unit=unit, greatest=-0.1),
            mean_reading(
                f"LSTM with a forget bias of {bias:g} − log10 σ(b)",
                [one - gate for one in slopes["LSTM, open"]],
                unit=unit,
                least=-0.03,
                greatest=0.03,
            ),
            mean_reading(
                f"LSTM with a forget bias of {bias:g}", slopes["LSTM, open"], unit=unit, least=-0.05, greatest=0.05
            ),
        ),
        figures=(
            Panel(
                "Gradient on its way back through time",
                "steps from the last",
                "decades",
                tuple(Curve(kind, x, tuple(run.mean(0).tolist())) for kind, run in runs.items()),
            ),
            _by_bias(steps, width, max(2, nets // 4)),
        ),
        seen=f"GRU: {number(sum(slopes['GRU']) / nets)} decades a step at torch's default weights.",
    )


def _by_bias(steps: int, width: int, nets: int) -> Panel:
    """Slope of an LSTM against the bias of its forget gate, beside log10 σ(b)."""
    back = torch.arange(steps, dtype=torch.float64)
    slopes = []
    for bias in BIASES:
        runs = torch.stack([_decades("LSTM, open", steps, width, 1.0, bias) for _ in range(nets)])
        slopes.append(float(linear_fit(runs[:, 1:], back).mean()))
    gates = tuple(-math.log10(1 + math.exp(-bias)) for bias in BIASES)
    return Panel(
        "LSTM, by the bias of its forget gate",
        "bias",
        "decades a step",
        (Curve("measured", BIASES, tuple(slopes)), Curve("log10 σ(b)", BIASES, gates, style="dashed")),
    )


def _decades(kind: str, steps: int, width: int, gain: float, bias: float) -> Tensor:
    """log10 gradient norm 0, 1, 2 … steps before the last state, relative to it; (steps + 1,)."""
    cell = _cell(kind, width, gain, bias)
    shape = (BATCH, 2 * width if isinstance(cell, nn.LSTMCell) else width)
    state = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    states = [state]
    for _ in range(steps):
        x = QUIET * torch.randn(BATCH, FEATURES, dtype=torch.float64)
        if isinstance(cell, nn.LSTMCell):
            # Hidden state and cell as one vector: the gradient of both together is what is handed back.
            hidden, memory = state.chunk(2, 1)
            state = torch.cat(cell(x, (hidden, memory)), 1)
        else:
            state = cell(x, state)
        states.append(state)
    found = torch.autograd.grad(state, states, torch.randn(shape, dtype=torch.float64))
    norms = torch.stack([one.norm() for one in found]).log10().flip(0)
    return norms - norms[0]


def _cell(kind: str, width: int, gain: float, bias: float) -> nn.Module:
    if kind == "GRU":
        return nn.GRUCell(FEATURES, width, dtype=torch.float64)
    if kind.startswith("LSTM"):
        lstm = nn.LSTMCell(FEATURES, width, dtype=torch.float64)
        if kind == "LSTM, open":
            # torch adds both biases; the gates are input, forget, cell, output.
            nn.init.constant_(lstm.bias_ih[width : 2 * width], bias)
            nn.init.zeros_(lstm.bias_hh[width : 2 * width])
        return lstm
    rnn = nn.RNNCell(FEATURES, width, dtype=torch.float64)
    if kind == "RNN":
        rnn.weight_hh.data.mul_(gain)
    else:
        nn.init.orthogonal_(rnn.weight_hh)
        nn.init.zeros_(rnn.bias_ih)
        nn.init.zeros_(rnn.bias_hh)
    return rnn
