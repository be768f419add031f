"""Kinds of public reports ("my loss does not move", "NaN after one step"), each as a script that fails and its mended twin.

``scripts`` holds the pairs, written as people write training scripts; each sick one says in its first line what kind it is, and
its lines at fault end in ``# <- here``. ``kinds`` says what a right answer is, ``ask`` asks steadygrad, ``page`` writes the page.
"""
