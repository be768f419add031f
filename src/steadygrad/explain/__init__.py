"""The cause of an alarm: keeps what a step was given, replays it, and names the cause.

Reads the step; changes and writes nothing.
"""
