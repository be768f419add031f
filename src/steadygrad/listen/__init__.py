"""What a run records, handed to whoever listens: a tracker, a webhook, a command. Each hears on a thread of its own.

A listener gets what the journal gets: live from a guard (courier.py), or afterwards from a file (replay.py).
"""
