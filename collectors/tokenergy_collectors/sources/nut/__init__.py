"""Uninterruptible power supplies (UPS) by Network UPS Tools (NUT).

In: variables that upsd has. Out: rows of `meter`.
"""
