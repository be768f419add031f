"""Fixtures of this folder."""

import gc

from tests.fix.workshop import workshop

__all__ = ["workshop"]

# What is imported by now stays: every check collects garbage, and need not look through all of torch a thousand times.
gc.freeze()
