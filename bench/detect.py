"""Count verdicts against the truth table: ``python bench/detect.py --part PART [--tier TIER] [--output-format json]``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

from bench.detection import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
