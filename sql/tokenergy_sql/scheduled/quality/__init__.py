"""Looks at whether data still come in as they should: readings, coverage, books, columns, clocks.

In: a lake, limits, the time. Out: findings, as those of the checks. See `looking.LOOKS`.
"""
