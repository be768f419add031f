"""Parameters that are meant to learn get no gradient: detached, frozen, unused, or not held by the optimizer.

## What it measures

The autograd graph, rooted at the loss: which parameters it reaches, whether their gradient is other than zero, and
whether the optimizer holds them. The probe also follows values from the parameters through every call to the loss. It
follows them through numbers, lists and numpy arrays, where autograd does not. A call is a *cut* if its input needs a
gradient and its output has no path back. The finding marks the cut that keeps most parameters from the loss. The rule
separates

- parameters that a cut keeps from the loss, with the expression that cuts: `x.detach()`, `x.data`, `x.item()`, `float(x)`,
  `x.numpy()`, `x.tolist()`, `torch.tensor(…)`, `torch.Tensor([…])`, `torch.as_tensor([…])`, `nn.Parameter(…)` and
  `copy.deepcopy(…)` of a result, comparisons, `argmax` and the indices of `topk` and `sort`, casts to integers, `round`,
  `sign` and `floor`, writes into a leaf or into `.data`, `torch.autograd.grad` without `create_graph`, an
  `autograd.Function` that returns None;
- the same under `torch.no_grad()`, `torch.inference_mode()` or `torch.set_grad_enabled(False)`. The finding marks the item of
  the `with` statement, the decorator or the call, not the code that runs under it. It marks a call that cuts with gradients
  on as well (`detach`, a comparison);
- a comparison, a cast or a number (`x.item()`) inside `torch.tensor(…)`. The finding marks the whole of it, because
  `torch.tensor` cuts by itself;
- a state detached at every step of a loop;
- parameters with a gradient that the optimizer does not hold (the finding marks the expression that makes the optimizer),
  that no module has registered (layers in a plain list or dict), or that each forward pass makes again;
- a model whose trainable part is too small to bring the loss down;
- gradients of exactly zero that stay zero after ten steps.

`steadygrad run` checks an optimizer at its first three steps. It raises an error if none of the optimizer's tensors has a
gradient, although a backward pass reached parameters of a module that no optimizer holds. It warns if the optimizer holds
tensors that no module has any more, and not their replacements. Both mark the expression that makes the optimizer. If no
gradient reaches the model's output, it searches the calls between the output and the loss for the cut.

Three things are by design, and information only: parameters that take no part in this loss; gradients that are zero before
the first step and open after it (zero-initialised heads and gates); frozen parameters (`requires_grad=False`) in a model
that learns.

## Why it matters

No call raises. The loss falls as far as the remaining parts can bring it, and the cut-off part stays random. The model
looks too small for its task.

## Example

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.code = nn.Linear(16, 64), nn.Linear(64, 2)
        self.head = nn.Linear(2, 4)

    def forward(self, x):
        code = self.code(torch.tanh(self.stem(x))).detach()
        #      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ SG107
        return self.head(code)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

```python
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.code = nn.Linear(16, 64), nn.Linear(64, 2)
        self.head = nn.Linear(2, 4)

    def forward(self, x):
        code = self.code(torch.tanh(self.stem(x)))
        return self.head(code)


def setup():
    torch.manual_seed(0)
    x = torch.randn(128, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *Removing the call that ends the path* (`detach`, `no_grad`, `.data`, a rebuilt tensor): changes no number of the forward
  pass.
- *`torch.stack(losses)`* in place of `torch.tensor(losses)` or `torch.Tensor(losses)`, and the tensor itself in place of a
  number: the same value, with its path.
- *A straight-through estimator* where the model needs a step (rounding, sign, argmax): the forward pass stays as it is.
- *Building the optimizer after the model is complete, from `model.parameters()`*: safe.
- *`nn.ModuleList`, `nn.ParameterList` or `nn.Parameter`* in place of a plain list or tensor: new `state_dict` keys.

## When it is wrong

- Some values leave torch and return only as results (numpy, sums of Python numbers). The probe then guesses the link: it
  takes the last value that left before the result entered. It does not mark a logged number where another cut explains
  more.
- A trained backbone that is detached on purpose gets a warning at most: its weights no longer have the variance that an
  initialiser gives them.
- A target network, a momentum encoder or a teacher is detached by design. Freeze it with `requires_grad_(False)`, and the
  rule reports nothing.
- A part that another loss trains takes no part in this loss: the rule lists it as information.
- Truncated backpropagation detaches the state between batches. The rule reports a state that is detached at each step.

## Where the threshold comes from

The finding is an error, in `check` and in `run` alike, from `NEARLY_ALL = 0.9` of the elements that the optimizer trains: the
rest cannot learn how the output depends on the input. From `MAJOR = 0.2` on it is an error where the step test learns
nothing. Of 938 set-ups of the truth table that train, two have a cut, of 0.32 and 0.36; of 34 that fail and
have one, 29 lie at 0.96 and more.

The finding is an error at any share if the whole input lies in front of the cut and the weights there are untrained. It stays
a warning if the steps learn `SUFFICES = 0.08` from the input all the same.

## References

- PyTorch, *Autograd mechanics*, locally disabling gradient computation.
- Bengio, Léonard & Courville 2013, *Estimating or Propagating Gradients Through Stochastic Neurons* (straight-through).
- Bachlechner et al. 2021, *ReZero is All You Need* (gates that begin at zero and open).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Operation, Parameter, Severity, StepTest, Trace
from steadygrad.rules.as_made import as_made
from steadygrad.rules.lost_paths import RULE, expression, way_of
from steadygrad.rules.not_kept import elements, not_held, unregistered
from steadygrad.rules.read_steptest import Progress, at_first, informed_fall, outcome, progress
from steadygrad.rules.zero_gradients import shut

# Share of the elements to be trained that a cut keeps from the loss. Of the 938 set-ups of the truth table and the suite that
# train two have a cut, of 0.32 and 0.36; of those that fail 34, 29 of them at 0.96 and more, five at 0.36 to 0.56; of those in
# between 7, at 0.34 to 0.99. From MAJOR on it is an error where the step test has shown that nothing is learned.
NEARLY_ALL = 0.9
MAJOR = 0.2

# Learned from the input, as ``informed_fall`` has it, below which a model that has lost its whole input is an error however few
# elements lie in front of the cut. Features that nothing trains may do: of five rows of the truth table with such a cut that
# train the least is 0.10 where it decides; an encoder that has to pick one of four channels, and cannot, comes to 0.07.
SUFFICES = 0.08

# Share of trainable elements below which a stalled model is stuck because of what is frozen.
FEW = 0.1

# Cuts at one expression from which it is a loop's: the fewest steps that the probe calls a recurrence.
LOOPED = 8


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding for each way of getting no gradient."""
    trainable = [p for p in trace.parameters if p.requires_grad and p.registered]
    # Experts that no router picks are another rule's.
    trainable = [p for p in trainable if not any(one.holds(p.name) for one in trace.routings)]
    total = elements(trace.parameters)
    missed = [p for p in trainable if not p.connected or (p.log10_gradient == -math.inf and p.opened is not True)]
    yield from _cut(trace, trial, missed, trainable)
    yield from _pathless(trace, [p for p in missed if p.cut is None and not p.connected], trainable)
    yield from _cut_in_time(trace, trial)
    yield from not_held(trace, trial, trainable, major=MAJOR)
    yield from unregistered(trace, trial, major=MAJOR)
    yield from _frozen(trace, trial, trainable)
    yield from shut(
        trace,
        trial,
        trainable,
        total,
        major=MAJOR,
        cures=(
            CureRef(
                "a look at the calls between them and the loss: rounding, comparison, a dead activation, a weight of zero"
            ),
            CureRef("logits in place of a softmax or sigmoid that is flat there", "logits"),
        ),
    )


def _share(lost: Sequence[Parameter], trainable: Sequence[Parameter]) -> float:
    """Of the elements that the optimizer is to train by this loss, the share without a gradient."""
    held = elements(p for p in lost if p.optimized is not False)
    reached = (p for p in trainable if p.connected and p.log10_gradient > -math.inf and p.optimized is not False)
    return held / max(1, held + elements(reached))


def _severe(share: float, trial: StepTest | None) -> bool:
    """Whether so much is out of reach that the model cannot learn, or enough that what the steps show is owed to it."""
    stuck = progress(trial) not in (Progress.LEARNS, Progress.UNKNOWN)
    return share >= NEARLY_ALL or (share >= MAJOR and stuck)


def _blind(trace: Trace, trial: StepTest | None, lost: Sequence[Parameter]) -> bool:
    """Whether the whole input lies in front of the cut, what is to read it was never trained, and does not do as it is."""
    cut_off = trace.input_std is not None and (trace.trunk is None or not trace.trunk.at_input)
    unsure = any(spot.where == "input" for spot in trace.blind_spots)
    if trial is None or not cut_off or unsure or informed_fall(trial) >= SUFFICES:
        return False
    return as_made(lost)


def _cut(
    trace: Trace, trial: StepTest | None, missed: Sequence[Parameter], trainable: Sequence[Parameter]
) -> Iterable[Finding]:
    """Parameters that a known expression took their gradient; one finding at the one that took most."""
    lost = [p for p in missed if p.cut is not None]
    if not lost:
        return
    held = [p for p in lost if p.optimized is not False]
    share = _share(lost, trainable)
    taken: Counter[int] = Counter()
    for parameter in lost:
        taken[parameter.cut or 0] += math.prod(parameter.shape)
    places = {trace.cuts[index].location: trace.cuts[index] for index, _ in reversed(taken.most_common())}
    cut = trace.cuts[taken.most_common(1)[0][0]]
    way = way_of(cut)
    first = next(p for p in lost if p.cut == taken.most_common(1)[0][0])
    if not held:
        severity, whose = Severity.INFO, f"{len(lost)} parameters, which no optimizer holds,"
    else:
        severe = _severe(share, trial) or _blind(trace, trial, held)
        severity = Severity.ERROR if severe else Severity.WARNING
        whose = f"{percent(share)} of the parameters"
    yield Finding(
        *RULE,
        severity,
        f"{whose} get no gradient: {expression(cut)} {way.what}; use {way.instead}",
        location=cut.location,
        module=cut.module,
        label="the gradient's path ends here",
        evidence=(Evidence("trainable elements whose path is cut", share, "share", "0%"),),
        consequence=f"{first.name}{' and the others' if len(lost) > 1 else ''} will never move",
        cures=(CureRef(way.instead),),
        count=len(lost),
        also=tuple(place for place in places if place is not None and place != cut.location),
        explains=("SG101", "SG106"),
    )


def _first_cut(trace: Trace) -> Operation | None:
    """The cut to blame where none was seen between a parameter and the loss: one made on tensors, else a number."""
    known = [cut for cut in trace.cuts if cut.location is not None]
    return next((cut for cut in known if cut.name not in ("item", "tolist", "float")), known[0] if known else None)


def _pathless(trace: Trace, lost: Sequence[Parameter], trainable: Sequence[Parameter]) -> Iterable[Finding]:
    """Parameters that no path leads to, and nothing was seen that cuts one: what they give goes elsewhere."""
    used = [parameter for parameter in lost if parameter.used]
    unused = [parameter for parameter in lost if not parameter.used]
    if used:
        share = _share(used, trainable)
        severe = share >= NEARLY_ALL
        cut = _first_cut(trace) if severe else None
        yield Finding(
            *RULE,
            Severity.ERROR if severe else Severity.INFO,
            f"{len(used)} parameters ({percent(share)} of those to be trained) are used, but the loss does not depend on them",
            location=cut.location if cut is not None else used[0].location,
            module=cut.module if cut is not None else used[0].name,
            label=f"{cut.name} ends a gradient's path here" if cut is not None else "",
            evidence=(Evidence("parameter elements without a path", share, "share", "0%"),),
            consequence=f"{used[0].name}{' and the others' if len(used) > 1 else ''} will never move",
            cures=(
                CureRef("their output in the loss, if they are to learn"),
                CureRef("removing the call that takes values out of torch on the way"),
            ),
            count=len(used),
            explains=("SG101", "SG106"),
        )
    if unused:
        yield Finding(
            *RULE,
            Severity.INFO,
            f"{len(unused)} parameters take no part in this loss, first {unused[0].name}",
            location=unused[0].location,
            module=unused[0].name,
            evidence=(
                Evidence("unused parameters", float(len(unused)), "parameters", "0, unless another loss trains them"),
            ),
            cures=(CureRef("removing what is not used"), CureRef("freezing it with requires_grad_(False)")),
            count=len(unused),
        )


def _cut_in_time(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """The same expression ends the path again and again: a state detached at every step of a loop."""
    often = Counter(cut.location for cut in trace.cuts if cut.location is not None and cut.name in ("detach", "data"))
    place, times = max(often.items(), key=lambda item: item[1], default=(None, 0))
    reported = any(p.cut is not None and trace.cuts[p.cut].location == place for p in trace.parameters)
    if times < LOOPED or reported or progress(trial) is Progress.LEARNS:
        return
    cut = next(cut for cut in trace.cuts if cut.location == place)
    yield Finding(
        *RULE,
        Severity.WARNING,
        f"{cut.name} ends the gradient's path at each of {times} steps of a loop: learning never spans two steps",
        location=place,
        module=cut.module,
        label="earlier steps get no gradient from later ones",
        evidence=(Evidence("cuts at one expression", times, "cuts", f"under {LOOPED}"),),
        consequence=outcome(trial),
        cures=(CureRef("detaching the state between batches, not between steps"),),
        count=times,
        explains=("SG104", "SG106"),
    )


def _frozen(trace: Trace, trial: StepTest | None, trainable: Sequence[Parameter]) -> Iterable[Finding]:
    """What no module has is not frozen: another finding reports it."""
    share = elements(trainable) / max(1, elements(p for p in trace.parameters if p.registered))
    if share >= FEW or progress(trial) not in (Progress.STALLED, Progress.SLOW):
        return
    yield Finding(
        *RULE,
        Severity.ERROR if at_first(trial) is Progress.STALLED else Severity.WARNING,
        f"only {percent(share)} of the model is trainable, and this part does not bring the loss down",
        location=None,
        module=trainable[0].name if trainable else "",
        evidence=(Evidence("trainable elements", share, "share", "enough to learn with"),),
        consequence=outcome(trial),
        cures=(CureRef("requires_grad_(True) on the layers that are to learn"),),
        explains=("SG106",),
    )
