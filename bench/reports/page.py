"""``docs/measured-reports.md``, from the record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.healthy import record as healthy
from bench.reports.ask import WAYS
from bench.reports.judged import Judged, Rows, errors, judge, said, warnings
from bench.reports.kinds import KINDS, Kind

PAGE = Path(__file__).parents[2] / "docs" / "measured-reports.md"

NAMES = {
    "check": "`check`, with the script's batches",
    "bare": "`check`, the model alone",
    "run": "`run`",
}

HEAD = """# Kinds of public reports, measured

`python -m bench.reports` wrote this page. Each kind is one that people report again and again ("my loss does not move", "all
outputs are the same", "NaN after one step"), rebuilt as a short script in our own words, beside the same script mended. Both were
trained: every sick one was seen to fail, every mended one to train. Then each was asked about as a user would: `steadygrad check`
with the script's own batches, `check` on the bare model, `steadygrad run`. *Found*: an error in the report (a warning for the few
that learn a good part all the same). *Cause*: the first finding names what the report's solution names. *Line*: on a line that
the solution changes, of those with the right cause and such a line. *Mended*: scripts reported with an error; with a warning.

A model alone does not show what its script does: faults in the loop, the loss, the data or the optimizer cannot show there, and
faults in the loop cannot show in `check`; what cannot show is not counted as missed.
"""

OUTSIDE_THE_MODEL = frozenset(
    [
        "relu_bce_logits",
        "relu_scores",
        "relu_pinn",
        "softmax_cross_entropy",
        "sigmoid_bce_logits",
        "sigmoid_cross_entropy",
        "softmax_wrong_dim",
        "optimizer_of_old_model",
        "head_after_optimizer",
        "no_zero_grad",
        "zero_grad_after_backward",
        "clip_too_small",
        "scheduler_per_batch",
        "column_against_row",
        "shuffled_labels",
        "embedding_of_scaled",
        "rate_too_large",
        "rate_too_small",
        "triplet_collapse",
        "summed_loss",
        "house_prices",
        "weight_decay",
        "loss_upside_down",
        "log_of_zero",
        "sqrt_at_zero",
        "acos_at_one",
        "raw_sigma",
        "vae_logvar",
        "dice_on_mask",
        "loss_item",
        "argmax_loss",
        "raw_features",
        "batch_of_two",
        "rnn_long",
        "relu_rnn_explodes",
        "batch_first",
        "lstm_axes",
        "view_for_transpose",
    ]
)
"""Kinds whose fault a bare model cannot show: it lies in the loop, the loss, the data (the length of its sequences, too) or in
what belongs to which sample."""


def asked(kind: Kind, row: dict[str, Any], way: str) -> bool:
    """Whether this way of asking can show the kind's fault."""
    if row[way] is None or (way != "run" and kind.in_loop):
        return False
    return way != "bare" or kind.name not in OUTSIDE_THE_MODEL


def answers(rows: Rows, way: str) -> dict[str, Judged]:
    """Of every kind that this way can show."""
    return {
        kind.name: judge(kind, rows[kind.name, "sick"][way], way)
        for kind in KINDS
        if (kind.name, "sick") in rows and asked(kind, rows[kind.name, "sick"], way)
    }


def totals(rows: Rows) -> list[str]:
    """A table's rows: one a way of asking."""
    table = [
        "| | found | warned at least | cause | line | mended: error | mended: warning |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for way in WAYS:
        told = answers(rows, way)
        placed = [one.line for one in told.values() if one.line is not None]
        mended = [row[way] for (_, which), row in rows.items() if which == "fixed" and row[way] is not None]
        cells = [
            f"{sum(one.found for one in told.values())} of {len(told)}",
            f"{sum(one.warned for one in told.values())} of {len(told)}",
            f"{sum(one.cause for one in told.values())} of {len(told)}",
            f"{sum(placed)} of {len(placed)}",
            f"{sum(errors(one) > 0 for one in mended)} of {len(mended)}",
            f"{sum(errors(one) == 0 and warnings(one) > 0 for one in mended)} of {len(mended)}",
        ]
        table.append(f"| {NAMES[way]} | {' | '.join(cells)} |")
    return table


def page(rows: Rows) -> str:
    """The whole page, in Markdown."""
    revisions = sorted({row["revision"] for row in rows.values()})
    shown, architectures = {way: answers(rows, way) for way in WAYS}, healthy.read()
    table = [
        "| kind | sick | mended | `check` | alone | `run` |",
        "|---|---:|---:|---|---|---|",
        *(
            f"| {kind.name}: {kind.story} | {rows[kind.name, 'sick']['trained']} | {rows[kind.name, 'fixed']['trained']} | "
            + " | ".join(_mark(shown[way].get(kind.name)) for way in WAYS)
            + " |"
            for kind in KINDS
            if (kind.name, "sick") in rows
        ),
    ]
    return "\n".join(
        [
            HEAD,
            f"{len({name for name, _ in rows})} kinds, at revision {' and '.join(revisions)} of what makes the verdict.",
            "",
            *totals(rows),
            "",
            "## Kind by kind",
            "",
            "The numbers are what the script prints last (accuracy, R², Dice and the like, more is better) after training.",
            "",
            *table,
            "",
            "## Published architectures",
            "",
            "`python -m bench.healthy`: tiny ones, built by their libraries' own code, at AdamW with a `DataLoader`; a fresh "
            "batch each step. Whatever was not called healthy was trained as well.",
            "",
            *(f"- {line}" for line in healthy.totals(architectures)),
            "",
            *(f"- {line}" for line in healthy.alarms(architectures)),
            "",
            "## Every mistake",
            "",
            *mistakes(rows),
        ]
    )


def _mark(one: Judged | None) -> str:
    if one is None:
        return "–"
    if not one.warned:
        return "missed"
    if not one.cause:
        return "other cause" if one.found else "other cause, warned"
    if not one.found:
        return "warned"
    return "no line, or another" if one.line is False else "right"


def mistakes(rows: Rows) -> list[str]:
    """Everything that was told wrongly, with what was printed."""
    lines: list[str] = []
    for way in WAYS:
        wrong = {name: one for name, one in answers(rows, way).items() if _mark(one) not in ("right", "–")}
        lines += [f"**{NAMES[way]}, sick: {len(wrong)}**", ""]
        lines += [f"- {name}, {_mark(one)}: {_short(one.said)}" for name, one in wrong.items()]
        loud = {
            name: row[way]
            for (name, which), row in rows.items()
            if which == "fixed" and row[way] is not None and row[way]["findings"]
        }
        lines += ["", f"**{NAMES[way]}, mended: {len(loud)}**", ""]
        lines += [f"- {name}: {_short(said(told))}" for name, told in loud.items()]
        lines.append("")
    return lines


def _short(text: str) -> str:
    """Without this machine's paths, at most so long that a line stays one."""
    text = text.replace(f"{PAGE.parents[1]}/", "").replace("|", "/")
    return text if len(text) <= 400 else f"{text[:400]} …"
