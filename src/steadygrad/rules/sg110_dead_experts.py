"""A router never picks some of the experts, or a quantizer entries of its codebook: they get no gradient.

## What it measures

The probe counts how often each option of a `topk`, `argmax`, `argmin`, `max`, `min`, `multinomial` or hard
`gumbel_softmax` is picked. The choice is a router's if as many parts of the model are alike: the modules of a list, or the
slices of one parameter. An expert is dead if it is never picked and its gradient is exactly zero. The rule reads the pass
before the steps and the pass after them:

- A warning: experts are dead after the steps, or hardly any entry of a codebook is picked. The finding stands at the call
  that picks.
- Information: there were no steps, the batch has too few choices to tell, or the steps bring the dead ones back.

The evidence gives the share of the most popular expert and the *effective* number of experts: the exponential of the entropy
of the choices. It is the number of experts that would be left if each were picked as often.

## Why it matters

The experts that are picked learn, so the router prefers them even more. An expert that is never picked gets no gradient, and
nothing can bring it back. The loss falls all the same: a part of the model that is paid for does nothing.

## Example

The router's input has a large mean, as the output of a ReLU does. One expert wins every token:

```python
import torch
from torch import nn


class Mixture(nn.Module):
    def __init__(self, width=16, count=8):
        super().__init__()
        self.router = nn.Linear(width, count)
        experts = [nn.Linear(width, width) for _ in range(count)]
        self.experts = nn.ModuleList(experts)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        gates = self.router(x + 4).softmax(-1)
        weight, index = gates.max(-1)
        #               ^^^^^^^^^^^^^ SG110
        out = torch.zeros_like(x)
        for at, expert in enumerate(self.experts):
            mine = index == at
            out[mine] = weight[mine, None] * expert(x[mine])
        return self.head(x + torch.tanh(out))


def setup():
    torch.manual_seed(0)
    x = torch.randn(512, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Mixture()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Use instead

A router that sees standardised features:

```python
import torch
from torch import nn


class Mixture(nn.Module):
    def __init__(self, width=16, count=8):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.router = nn.Linear(width, count)
        experts = [nn.Linear(width, width) for _ in range(count)]
        self.experts = nn.ModuleList(experts)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        gates = self.router(self.norm(x + 4)).softmax(-1)
        weight, index = gates.max(-1)
        out = torch.zeros_like(x)
        for at, expert in enumerate(self.experts):
            mine = index == at
            out[mine] = weight[mine, None] * expert(x[mine])
        return self.head(x + torch.tanh(out))


def setup():
    torch.manual_seed(0)
    x = torch.randn(512, 16)
    y = (x @ torch.randn(16, 4)).argmax(1)
    model = Mixture()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return model, (x, y), nn.functional.cross_entropy, optimizer
```

## Cures and their safety

- *A loss that balances the load* (the share of tokens of each expert times its mean probability, summed, times the number
  of experts and 0.01): changes the objective a little, and no module.
- *Normalised input of the router*: new parameters if the norm has a gain.
- *Noise on the router's logits while it trains*: changes no parameter.
- *A bias of each expert's logit that rises while it is picked too seldom*: keeps the objective; the bias is not trained.
- *Dead entries of a codebook, set to outputs of the encoder*: changes numbers only.

## When it is wrong

- Experts of one domain rest while the batch has none of it. Check a batch that has all domains.
- A batch in which one sample fills most of the tokens is not spread as the training data are.
- Rows of an embedding whose token is not in the batch have no gradient by design. The rule looks at choices that the model
  makes, and not at look-ups of its input.

## Where the threshold comes from

`LOST`, `ENOUGH` and `COLLAPSED` stand in the rule's file beside their measurement. Of eight mixtures that were trained for 400
steps without a loss that balances, the six that this rule warns of after ten steps end with one expert of eight, the others
with five and six.

## References

- Shazeer et al. 2017, *Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer*, section 4.
- Fedus, Zoph & Shazeer 2022, *Switch Transformers*, section 2.2 (the loss that balances).
- Wang et al. 2024, *Auxiliary-Loss-Free Load Balancing Strategy for Mixture-of-Experts*.
- van den Oord, Vinyals & Kavukcuoglu 2017, *Neural Discrete Representation Learning*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steadygrad.numerals import percent
from steadygrad.record import CureRef, Evidence, Finding, Routing, Severity, StepTest, Trace
from steadygrad.rules.read_steptest import outcome

RULE = "SG110", "dead-experts"

# Share of the options without a choice, and choices for each option. Healthy mixtures at initialisation and after ten steps (own
# ones of 8 and 32 experts; tiny Mixtral, Qwen2-MoE, OLMoE): with 16 choices or more for each expert at most 1 of 32 is never
# picked; with 2 to 8 choices up to 8 of 16. Four with a mean in the router's input: 1 to 7 of 8. These are the nets of
# tests/rules/test_dead_experts.py; no others have been held out.
LOST = 0.1
ENOUGH = 16

# Share of the options, or of the choices where they are fewer, that are picked at all in a codebook that has collapsed. Codebooks
# of 16, 64 and 512 entries with 512 choices, after ten steps: drawn from the data they use 0.10 to 0.95, drawn far from them
# 0.002 to 0.06. None was trained to its end.
COLLAPSED = 0.1

SHOWN = 3
"""Dead experts that a message names."""


def judge(trace: Trace, trial: StepTest | None) -> Iterable[Finding]:
    """One finding, at the first choice that leaves options without a gradient."""
    before = trace.routings
    after = trial.second.routings if trial is not None and trial.second is not None else ()
    sick = [one for one in after if one.lost and _tells(one) and not _spreads(_same(one, before), one)]
    seen = sick or [one for one in after or before if one.lost]
    if not seen:
        return
    first = max(seen, key=lambda one: len(one.lost) / one.options)
    begun = _same(first, before)
    steps = f"after {trial.steps} steps " if trial is not None and sick and begun is not None and not begun.lost else ""
    yield Finding(
        *RULE,
        Severity.WARNING if sick else Severity.INFO,
        f"{steps}{first.name} never picks {first.unpicked} of {first.options} {_noun(first)} in "
        f"{first.picks:,} choices and gives {percent(first.most)} of them to one: {_lost(first)} a gradient of exactly zero",
        location=first.location,
        module=first.module,
        label=f"{first.unpicked} of its {first.options} options are never picked",
        evidence=(
            Evidence("options never picked", first.unpicked / first.options, "share", "0%"),
            Evidence("share of the most popular option", first.most, "share", f"near {percent(1 / first.options)}"),
            Evidence("effective number of options", first.effective, "options", f"near {first.options}"),
        ),
        consequence=outcome(trial) if sick else "",
        cures=(
            CureRef("a loss that balances the load: loss + 0.01 * balance"),
            CureRef("a norm in front of the router"),
            CureRef("noise on the router's logits while it trains"),
        )
        if first.kind != "entries"
        else (
            CureRef("dead entries set to outputs of the encoder"),
            CureRef("a loss that balances the load: loss + 0.01 * balance"),
        ),
        count=len(seen),
        explains=("SG106",) if sick else (),
    )


def _same(one: Routing, others: Sequence[Routing]) -> Routing | None:
    """The same choice in the other pass."""
    return next((o for o in others if (o.location, o.module, o.parts) == (one.location, one.module, one.parts)), None)


def _tells(one: Routing) -> bool:
    """Whether there are so many choices that chance would not have left so many options out."""
    if one.used <= COLLAPSED * min(one.options, one.picks):
        return True
    few = one.picks < ENOUGH * one.options or one.unpicked < LOST * one.options
    return one.kind != "entries" and not few


def _spreads(before: Routing | None, after: Routing) -> bool:
    """Whether the steps have brought choices to options that had none, and to more than one in ten of those."""
    return before is not None and after.used - before.used > LOST * (after.options - before.used)


def _noun(one: Routing) -> str:
    return "entries" if one.kind == "entries" else "experts"


def _lost(one: Routing) -> str:
    """The first of the dead in words, with their verb."""
    names = [f"{one.parts}.{at}" if one.kind == "modules" else f"{one.parts}[{at}]" for at in one.lost[:SHOWN]]
    more = one.unpicked - len(names)
    shown = ", ".join(names) + (f" and {more:,} more" if more else "")
    return f"{shown} {'gets' if len(names) == 1 and not more else 'get'}"
