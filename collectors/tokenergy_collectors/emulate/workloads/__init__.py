"""Workloads: what runs on the boards, one kind a file.

In: a declared workload and its interval. Out: the load on each of its boards over time, processes,
and (for those that serve a token endpoint) cumulative token totals at any instant.
"""
