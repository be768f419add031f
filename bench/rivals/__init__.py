"""The default cure beside published ways to train deep nets: the same nets, steps and batches (``python -m bench.rivals``)."""
