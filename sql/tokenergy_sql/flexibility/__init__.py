"""What a site can move or give, and what it moved or gave: advice and checks, never an action.

In: the ledger, jobs, tokens, limits and events of a lake; a signal of carbon or prices. Out: rows
of `tokenergy shift`, `tokenergy caps` and `tokenergy response`.
"""
