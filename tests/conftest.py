"""What holds for every test: one thread each, since the models are small and the tests run side by side."""

from __future__ import annotations

import os

# Read once, when torch is loaded; what a test starts inherits it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
