"""Books an hour of segments: blocks, bounds, accounts, row by row in integers, compiled by numba.

What is small (jobs' edges, sensor classes, who holds what) is decided in SQL, in
`sql/tokenergy_sql/index/models/`; here is what has to be done for every segment of every device.
"""
