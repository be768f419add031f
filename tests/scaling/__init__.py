"""The coordinate check, against the exponents that theory has."""
