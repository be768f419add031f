"""Values of actions, learned from the net's own answers at the next state (Watkins 1989; Mnih et al. 2015)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from bench.corpus.data import ACTIONS, DISCOUNT, FEATURES
from bench.corpus.models.generators import Stack
from bench.corpus.models.parts import initialise_


class QNet(nn.Module):
    """Input as ``transitions``; the loss while it trains, the value of the step in evaluation.

    Rewards count ``unit`` times; ``whole``: the gradient also runs through the answer that the target is made of.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 2,
        width: int = 32,
        activation: str = "relu",
        unit: float = 1.0,
        discount: float = DISCOUNT,
        whole: bool = False,
        init: str = "default",
        gain: float = 1.0,
        flaw: str = "",
        amount: float = 0.0,
    ):
        super().__init__()
        self.net = Stack([FEATURES, *[width] * depth, ACTIONS], activation, "none", flaw, amount)
        self.unit, self.discount, self.whole = unit, discount, whole
        initialise_(self, init, gain)

    def forward(self, x):
        state, action, reward, onward = x.split([FEATURES, ACTIONS, 1, FEATURES], 1)
        value = (self.net(state) * action).sum(1, keepdim=True)
        if not self.training:
            return value / self.unit
        later = self.net(onward).amax(1, keepdim=True)
        target = self.unit * reward + self.discount * (later if self.whole else later.detach())
        return {"loss": F.mse_loss(value, target), "value": value}
