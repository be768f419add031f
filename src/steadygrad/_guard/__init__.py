"""The guard: composes what watches, detects, explains and acts. ``guard.py`` alone prints and writes."""
