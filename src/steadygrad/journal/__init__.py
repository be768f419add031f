"""The journal: a training run in one SQLite file, written by a thread while it happens, read by anybody meanwhile.

``Journal`` (write.py) takes what the guard measures and says; ``read`` (read.py) gives a ``Run``. Knows the records, numpy
and the standard library; must not import torch, nor know who measured or why.
"""

from steadygrad.journal.journal import Journal
from steadygrad.journal.read import read

__all__ = ["Journal", "read"]
