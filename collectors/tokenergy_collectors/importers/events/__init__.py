"""Events of demand response from a CSV file.

In: a list of events. Out: rows of `grid_event`.
"""
