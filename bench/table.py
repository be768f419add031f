"""Add to the truth table or check it: ``python bench/table.py add my_setup.py``, ``python bench/table.py check``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

from bench.truth_table import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
