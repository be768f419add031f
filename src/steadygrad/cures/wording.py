"""How a cure says what it changed: the words that several of them share. Knows no model and no torch."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """How many: "1 layer", "20 layers", "2 branches"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith(('ch', 's', 'x')) else 's'}"
