"""Signals of the grid, asked of their providers: Electricity Maps, WattTime, ENTSO-E.

In: answers of the providers' services. Out: rows of `signal`, events of outages.
"""
