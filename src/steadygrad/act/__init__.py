"""The changes that a guard makes to a run on request: limits, actions, clips, snapshots.

Prints nothing and writes no record.
"""
