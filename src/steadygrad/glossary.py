"""The words that are this project's own, and those of the field that a report leans on: ``steadygrad explain trunk``.

Data alone. One word for one thing; a page, a message or a docstring that needs another word for it is wrong.
"""

from __future__ import annotations

TERMS: dict[str, str] = {
    "probe": (
        "One forward and one backward pass of a copy of the model, on one batch and the real loss, with every operation "
        "watched. Its record is the **trace**. The model itself is left bit for bit as it was."
    ),
    "trace": "What a probe recorded: each operation, its line, its statistics and the gradient on both sides of it.",
    "step test": (
        "Ten steps of the real optimizer on a copy, and more where ten leave the verdict open. With a `DataLoader` each step "
        "takes a fresh batch, and what they brought is read on batches that no step saw. More steps on request are a **trial**."
    ),
    "verdict": (
        "*healthy*, *at risk* or *will not train*. A finding that is an error makes it *will not train*, a warning *at risk*."
    ),
    "trunk": (
        "The operations that every path from the loss back to the input passes. A gradient that is small inside a branch, "
        "beside a skip connection, may be small by design; one that is lost on the trunk is lost to everything before it."
    ),
    "block": "A part of the trunk in which the gradient has several paths: a residual block, with its branches and its skip.",
    "gain": (
        "The norm of the gradient behind an operation, as backward meets it, divided by the norm in front of it. Below 1 the "
        "operation shrinks the gradient, above 1 it enlarges it. Gains along the trunk multiply."
    ),
    "decade": (
        "A factor of ten: log10 of a gain. Gains multiply, so decades add up. A net that loses 17 decades hands its first "
        "layer a gradient 10^17 times smaller than the one that the loss sent."
    ),
    "blame": (
        "Which operations took the decades that are missing, and by what: the derivative of an activation, the scale of a "
        "weight, a normalisation. The shares add up to the whole."
    ),
    "saturation": (
        "An activation works where its derivative is near zero. Measured as the root mean square of the derivative over the "
        "batch, and as the share of values whose derivative is below 5 % of its maximum."
    ),
    "spread": (
        "The share of an activation's energy that differs between the samples of the batch: the squared norm of h less its "
        "mean over the batch, divided by the squared norm of h. Near 0 every input arrives at the same output."
    ),
    "update ratio": "The norm of what a step adds to a weight, divided by the norm of the weight. About 0.001 is usual.",
    "fan-in": "How many inputs one unit of a layer adds up. Proper initialisation divides the weights' variance by it.",
    "criticality": (
        "The weight and bias scale at which a random net of a given activation neither shrinks nor enlarges a gradient, at "
        "any depth: the mean squared gain of a layer is 1."
    ),
    "cotangent": "The gradient of the loss with respect to a value inside the net: what backward hands to an operation.",
    "fold": (
        "A cure by numbers alone: initial weights and biases that put a plain net of any depth at a working point where neither "
        "signal nor gradient is lost. Activations and architecture stay. Its page: `steadygrad cures fold`."
    ),
    "cure": "A change that is tried on a copy and measured by the same check that found the disease.",
    "guard": "What watches a run: it reads the raw norm of each gradient at every step, and says which step went wrong first.",
    "look": (
        "A probe of the present step, on a copy, while a run goes on: at the first step, at each alarm, and every so many steps."
    ),
    "incident": (
        "What alarms of one cause are gathered into: it begins at its first sign and ends when the gradient is back at its old "
        "level."
    ),
    "journal": "The record of a run in one file: losses, raw norms, clips, updates, alarms and looks, step by step.",
}


def meaning(word: str) -> tuple[str, str] | None:
    """The term and what it means, as Markdown; None for a word that is not here. Plurals and hyphens are understood."""
    wanted = word.strip().lower().replace("-", " ").replace("_", " ")
    for term in TERMS:
        if wanted in (term.replace("-", " "), f"{term.replace('-', ' ')}s"):
            return term, TERMS[term]
    return None
