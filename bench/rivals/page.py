"""``docs/measured-rivals.md``, from the record alone."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.rivals.compared import FLOOR, POINT, TOLERANCE, Cell, Score, cells, scores
from bench.rivals.listed import ALONE, BEST, CURE, NUMBERS, OURS, RIVALS
from bench.rivals.measure import LAST, RATES, Row
from bench.rivals.nets import BATCH, NETS

PAGE = Path(__file__).parents[2] / "docs" / "measured-rivals.md"

Scores = dict[tuple[str, str], Score]


def page(rows: list[Row]) -> str:
    """The whole page."""
    found = scores(rows)
    parts = (_begin(found), _counts(found), _tables(found), _behind(found), _taken(rows), _papers())
    return "\n".join(line for part in parts for line in part) + "\n"


def _begin(found: Scores) -> Iterator[str]:
    steps = " or ".join(map(str, sorted({net.steps for net in NETS})))
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    yield f"""# The cure beside its rivals

Written by `python -m bench.rivals --table` from `bench/rivals/record.jsonl`. The nets are small and deep, at torch's own
initialisation. Every way trains them on scikit-learn's digits with Adam, on the same batches of {BATCH} from the same seeds:
{steps} steps, the same for all ways of one net.

- **A rival** counts at the best of the rates {rates}, chosen afterwards, by its result.
  The first of two seeds tries the three in the middle, then goes on outwards until it has passed its best rate on both sides; the
  second tries the two best of the first.
- **`cure`** has its default settings: it takes the least intrusive cure that heals, so mostly one that sets numbers alone.
  **`cure --best`** tries all cures, those that change the architecture too, and takes the fastest learner. Both get fresh
  batches, and count at the rate that they chose before the training.
- **Loss** is the mean training loss of the last {LAST} steps, **accuracy** that on the held-out fifth: means over the seeds.
- **Ahead or equal** was defined before anything was measured. Loss: ours is at most {TOLERANCE:g} times the rival's, or both are
  below {FLOOR:g}, where the right class has a probability of 95 %. Accuracy: ours is at most {100 * POINT:g} point below.
  **Strictly** has no tolerance and no floor.
"""
    waiting = [net.title for net in NETS if (net.title, BEST) not in found]
    if waiting:
        yield f"Not measured yet: {', '.join(waiting)}.\n"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / max(whole, 1):.0f} %)"


def _counts(found: Scores) -> Iterator[str]:
    yield "## How often `cure` is ahead\n"
    yield f"Rivals that set numbers alone are {', '.join(NUMBERS)}. The others change the architecture or the activations.\n"
    for ours, rivals, title in (
        (BEST, tuple(RIVALS), "`cure --best` beside all rivals"),
        (CURE, NUMBERS, "`cure` beside the rivals that set numbers alone"),
        (CURE, tuple(RIVALS), "`cure` beside all rivals"),
    ):
        compared = [cell for cell in cells(found, ours) if cell.rival in rivals]
        yield f"### {title}\n"
        yield "| net | loss: ahead or equal | loss: strictly | accuracy: ahead or equal | accuracy: strictly |"
        yield "|---|---:|---:|---:|---:|"
        for net in NETS:
            mine = [cell for cell in compared if cell.net == net.title]
            if mine:
                yield f"| {net.title} | {_four(mine)} |"
        yield f"| **all** | {_four(compared)} |\n"


def _four(chosen: list[Cell]) -> str:
    asked: list[Callable[[Cell], bool]] = [
        lambda cell: cell.low_enough,
        lambda cell: cell.lower,
        lambda cell: cell.right_enough,
        lambda cell: cell.as_right,
    ]
    return " | ".join(_share(sum(map(true, chosen)), len(chosen)) for true in asked)


def _loss(score: Score) -> str:
    rates = ", ".join(f"{rate:.2g}" for rate in score.rates)
    return f"{'not finite' if math.isinf(score.loss) else f'{score.loss:.3f}'} ({rates})"


def _tables(found: Scores) -> Iterator[str]:
    measured = [net.title for net in NETS if (net.title, BEST) in found]
    kinds: dict[str, Callable[[Score], str]] = {
        "Loss (and rate)": _loss,
        "Accuracy": lambda score: f"{100 * score.accuracy:.1f} %",
    }
    for title, told in kinds.items():
        yield f"## {title}\n"
        yield f"`n/a`: the rival does not apply to the net; `–`: not measured; bold: ahead of `{BEST}` beyond the tolerance.\n"
        yield f"| | {' | '.join(measured)} |"
        yield "|---|" + "---:|" * len(measured)
        for way in (*OURS, ALONE, *RIVALS):
            yield f"| {f'**{way}**' if way in OURS else way} | {' | '.join(_cell(found, net, way, told) for net in measured)} |"
        yield ""


def _cell(found: Scores, title: str, way: str, told: Callable[[Score], str]) -> str:
    (net,) = (net for net in NETS if net.title == title)
    if way in RIVALS and net.kind not in RIVALS[way].makes:
        return "n/a"
    score = found.get((title, way))
    if score is None:
        return "–"
    cell = Cell(title, way, found[title, BEST], score)
    beaten = not (cell.low_enough if told is _loss else cell.right_enough)
    return f"**{told(score)}**" if beaten and way in RIVALS else told(score)


def _behind(found: Scores) -> Iterator[str]:
    yield "## Where ours is behind\n"
    yield "By more than the tolerance, in loss or in accuracy.\n"
    yield "| net | rival | ours | loss: ours | theirs | accuracy: ours | theirs |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for way in OURS[::-1]:
        for cell in cells(found, way):
            if cell.low_enough and cell.right_enough:
                continue
            ours, theirs = cell.ours, cell.theirs
            yield (
                f"| {cell.net} | {cell.rival} | {way} | {ours.loss:.3f} | {theirs.loss:.3f} "
                f"| {100 * ours.accuracy:.1f} % | {100 * theirs.accuracy:.1f} % |"
            )
    yield ""


def _taken(rows: list[Row]) -> Iterator[str]:
    yield "## What `cure` took\n"
    yield "`cure` saw each net with Adam at 0.001. Where it found nothing to cure, the check called the net healthy.\n"
    yield "| net | ours | seed | taken | rate |"
    yield "|---|---|---:|---|---:|"
    for row in rows:
        if row.way in OURS:
            yield f"| {row.net} | {row.way} | {row.seed} | {row.taken.removeprefix('taken: ')} | {row.rate:.2g} |"
    yield ""


def _papers() -> Iterator[str]:
    yield "## The rivals\n"
    yield "Each is written from its paper, in a few lines of `bench/rivals`; what is simplified is said.\n"
    for name, rival in RIVALS.items():
        texts = dict.fromkeys(" ".join((make.__doc__ or "").split()) for make in rival.makes.values())
        yield textwrap.fill(f"- **{name}**: {' '.join(texts)}", 128, subsequent_indent="  ")
