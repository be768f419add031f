"""Measures one step after another: gradient norms, losses, updates, across processes.

Hooks only: it judges nothing and writes nothing.
"""
