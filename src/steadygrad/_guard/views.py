"""The step at hand of one optimizer, as those who explain it see it."""

from __future__ import annotations

from steadygrad._guard.one_optimizer import GuardedOptimizer
from steadygrad.explain.view import StepView


def view_of(one: GuardedOptimizer, *, shared: bool) -> StepView:
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
    )
