"""The guard: watches gradients while a model trains, says what began where and why, and acts only as it was told.

``attach.py`` is the public function and puts the pieces together. Data flows one way: pulse (norms of one step) -> policy
(what is wrong, pure functions of numbers) -> response (what to do about it, pure) -> act (does it) -> journal.
Looks are the rare deep ones: the full probe, on what the model was given at that very step.
"""
