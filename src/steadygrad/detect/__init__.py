"""Numbers in, symptoms and incidents out: what is wrong with a run, from its rows alone.

numpy only; no torch, no clock, no model.
"""
