"""`openadr`: events of demand response, from a utility's or aggregator's OpenADR 2.0b server.

In: a server (VTN) that is polled; nothing listens. Out: rows of `grid_event`.
"""
