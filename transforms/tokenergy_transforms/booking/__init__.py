"""Books an hour of segments: blocks, bounds, accounts, row by row in integers, compiled by numba.

Small inputs (jobs' edges, sensor classes, who holds what) are decided in SQL, in
`sql/tokenergy_sql/index/models/`; this package does the work for every segment of every device.
"""
