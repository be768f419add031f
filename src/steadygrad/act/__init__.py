"""What a guard does to a run when it was asked to: limits, actions, clips, snapshots.

Prints nothing and writes no record.
"""
