"""The step at hand of one optimizer, as those who explain it see it."""

from __future__ import annotations

from steadygrad._guard.one_optimizer import GuardedOptimizer
from steadygrad.explain.looks import Looks
from steadygrad.explain.view import StepView
from steadygrad.watch import loss_scale


def view_of(one: GuardedOptimizer, looks: Looks, *, shared: bool) -> StepView:
    """``shared``: whether other processes train the same parameters."""
    return StepView(
        index=one.index,
        step=one.step,
        optimizer=one.optimizer,
        parameters=one.parameters,
        columns=one.columns,
        weights=one.weights,
        history=one.state,
        taken=not one.inside,
        shared=shared,
        place=one.place,
        prefix=looks.prefix(one.index),
        scale=loss_scale.of_backward(one.watch.scaler),
    )
