"""The default cure beside published ways to train deep nets: ``python -m bench.rivals [WORD …]``; ``--table`` writes the page.

Every rival trains the same net for the same steps on the same batches of scikit-learn's digits with Adam, and counts at the best
rate of a grid, chosen with hindsight. Ours is ``sg.cure`` with default settings, at the rate that it chose itself beforehand.
A training is a row of ``record.jsonl``, written at once; what is there is not trained again. ``compared.py`` says what counts as
ahead.
"""

from __future__ import annotations

import argparse

import torch

from bench.rivals.measure import measure, rows
from bench.rivals.nets import NETS
from bench.rivals.page import PAGE, page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rivals", description=__doc__)
    parser.add_argument("nets", nargs="*", metavar="WORD", help="Words of the titles of nets, such as 'tanh' or 'x31'.")
    parser.add_argument("--table", action="store_true", help="Write the page from the record, and train nothing.")
    asked = parser.parse_args()
    if not asked.table:
        torch.set_num_threads(1)
        for net in NETS:
            if all(word in net.title for word in asked.nets):
                for row in measure(net):
                    told = "not finite" if row.loss is None else f"{row.loss:.4f}"
                    print(f"{row.net}  {row.way}  {row.rate:.2g}  {told}  {row.accuracy:.3f}  {row.taken}", flush=True)
    PAGE.write_text(page(rows()), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
