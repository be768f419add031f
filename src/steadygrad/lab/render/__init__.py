"""Runs of experiments as text, JSON, pictures and a page: functions of records. No torch, nothing is measured here.

``text`` and ``terminal`` need nothing more; ``picture`` and ``page`` draw with matplotlib, from the extra "plot".
"""
