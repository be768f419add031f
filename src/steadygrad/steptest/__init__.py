"""A few real steps of the real optimizer on a copy, and what they show."""
