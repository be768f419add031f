"""The verdict at another precision: the net run and stepped with the operands of its matrix products rounded, bit for bit.

``formats`` rounds tensors, ``products`` knows operands and the axes that products sum over, ``emulation`` rounds them in a
running net, ``measure`` and ``training`` compare such a net with the one as it is, ``search`` finds what must stay higher,
``judge`` words it, ``check_precision`` puts them together. Judges nothing else of a model.
"""
