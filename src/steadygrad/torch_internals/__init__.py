"""The one home of what is private or patched in torch. No other file names a private name of torch's.

- ``tensors``: of tensors, autograd nodes and lists of tensors
- ``held``: what modules, optimizers, loss scalers and loaders hold
- ``replacing``: a function replaced, in one thread or in all; ``points``: which ones
- ``compiling``: what torch's compiler leaves as it is, and what it has compiled
- ``modes``: the stack of function modes
- ``tracing``: the symbolic tracer and parametrised weights, in one thread

It may rely on torch. It must not know what is measured, or why.
"""
