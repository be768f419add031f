"""The verdict at another precision."""
