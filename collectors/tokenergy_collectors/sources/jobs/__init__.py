"""Declared jobs: which job holds which device, and when.

In: a CSV file, or the jobs of an emulated node. Out: rows of `jobs`, and the edges of jobs.
"""
