"""Set-ups stated once, as data, with what training really did to them.

``healthy/`` holds architectures as their papers or libraries build them, each seen to train; ``sick/`` holds set-ups
broken on purpose, each seen to fail beside a twin that trains. ``case.py`` is the form both are written in;
``outcomes.jsonl`` is what ``bench/train_suite.py`` saw.
"""
