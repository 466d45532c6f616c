"""The oracle: from raw rows to the figures of jobs, in whole numbers and fractions.

Written from docs/ and from nothing else. It imports nothing of the tool.
"""
