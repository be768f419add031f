"""The records of a run, handed to listeners: a tracker, a webhook, a command. Each runs on a thread of its own.

A listener gets what the journal gets: live from a guard (courier.py), or afterwards from a file (replay.py).
"""
