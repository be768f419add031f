"""What of a model grows when the model does, measured on a family of small ones: over its width, and over its depth.

Over width: ``uses`` sees where weights are used, ``member`` measures one model, ``fit`` makes exponents of many, ``judge`` says
which are off and why, ``parametrise`` is the cure as numbers, ``check_scale`` puts them together. Over depth likewise: ``layers``
and ``branches``, ``laws``, ``judge_depth``, ``limit`` (where training ends), ``deepen``, ``check_depth``. For both,
``parameters`` puts the numbers into a model and its optimizer, ``as_code`` into a module of the user's own, and ``transfer`` is
the proof. Knows the subject and the probe; judges no single model.
"""
