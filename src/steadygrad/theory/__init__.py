"""Theory: what wide random nets do to variances, correlations and gradients. Floats in, floats out; never torch.

``activations`` are the known functions, ``meanfield`` the maps and critical lines, ``table`` what a person looks up.
"""
