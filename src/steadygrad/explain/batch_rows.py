from dataclasses import dataclass


@dataclass(frozen=True)
class RowsAtFault:
    rows: tuple[int, ...]
    norm_without: float
    of: int


def rows_at_fault(model, given, usual, *, most=8, seconds=10.0):
    return None
