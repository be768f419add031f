"""The coordinate check: what of a model grows when the model does, measured on a family of small ones.

``family`` measures one member, ``fit`` makes exponents of many, ``judge`` says which are off and why, ``parametrise`` is the
cure as numbers, ``check_scale`` puts them together. Knows the subject and the probe's tape; judges no single model.
"""
