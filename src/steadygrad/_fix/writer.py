"""Edits written into source text: one function for each action, at the expressions that the edit's sites name.

A layer that was constructed in a loop, a comprehension or a helper has one expression for all; that expression is what is
changed. What cannot be written says so, with the Python that does it by hand.
"""

from __future__ import annotations

from collections.abc import Callable

from steadygrad._fix import expressions, numbers, residual, training, transformers
from steadygrad._fix.draft import Draft
from steadygrad.cures.cured import Cured
from steadygrad.cures.layers import Net
from steadygrad.record import Edit
from steadygrad.subject.subject import Subject

UNWRITABLE = (
    "data-driven-initialisation",
    "residual-span-2",
    "residual-span-3",
    "residual-gates",
    "clip-adaptive",
    "clip-quantile",
)
"""Candidates that mostly have no plain form: they need a batch, or a forward pass rewritten. Tried where asked for by name."""


def write(subject: Subject, cured: Cured) -> Draft:
    """The edits of what was taken, as spliced sources. Raises ``CannotFixError``."""
    assert cured.taken is not None
    draft = Draft(subject, Net(cured.before.trace), cured.model)
    for edit in cured.taken.candidate.edits:
        _ACTIONS[edit.action](draft, edit)
    rate = cured.taken.rate
    if rate is not None:
        training.write_rate(draft, rate)
    return draft


def by_hand(cured: Cured) -> str:
    """The Python that gets the same model without touching a file."""
    only = f", only={cured.taken.candidate.name!r}" if cured.taken is not None else ""
    call = f"cured = steadygrad.cure(model, batch, loss_fn, optimizer=optimizer{only})"
    return f"{call}\nmodel, optimizer = cured.model, cured.optimizer"


_ACTIONS: dict[str, Callable[[Draft, Edit], None]] = {
    "initialise": numbers.initialise,
    "fold": numbers.fold,
    "gates": numbers.gates,
    "recurrent": numbers.recurrent,
    "transformer": transformers.transformer,
    "swap_activation": expressions.swap,
    "normalise": expressions.normalise,
    "residual": residual.residual,
    "through_time": residual.through_time,
    "set_up": expressions.set_up,
    "learning_rate": training.learning_rate,
    "clipping": training.clipping,
}
