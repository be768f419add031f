"""The truth table: set-ups as data, and what training really did to each of them (``truth.jsonl``).

``rows`` makes the set-ups, ``models`` and ``tasks`` are what they name, ``cases`` bring their own code, ``law`` decides what
counts as trained, ``build`` trains them, ``split`` says which part a family stands in. Nothing here asks steadygrad anything:
that is ``bench.detect``.
"""
