"""The guard: composes what watches, detects, explains and acts, and is the only one that prints and writes."""

from steadygrad._guard.guard import Guard, guard

__all__ = ["Guard", "guard"]
