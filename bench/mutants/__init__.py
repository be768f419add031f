"""Mutation testing: the source is changed in one place, and the tests that run that line must fail.

``python -m bench.mutants [ROOM …] [--sample N] [--seed S]`` prints the share of mutants that a test kills, and each that
survives. One process imports torch once and is forked for each mutant; only tests that run the changed line are run. The
published tools start a process for each mutant, which imports torch for seconds (cosmic-ray, whose operators change
annotations too), or write calls of their own into every function (mutmut), which a rule's source does not bear.
"""
