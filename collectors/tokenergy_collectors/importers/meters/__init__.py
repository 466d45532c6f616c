"""Readings of facility meters that a building's system exports.

In: a CSV file, and a map of its columns. Out: rows of `meter`.
"""
