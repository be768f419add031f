"""The version, alone: whoever wants only this loads nothing else."""

__version__ = "0.1.0"
