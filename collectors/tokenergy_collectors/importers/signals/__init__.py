"""Signals of the grid that somebody has as a file: carbon intensity, prices, clean shares.

In: a CSV file, and a map of its columns. Out: rows of `signal`.
"""
