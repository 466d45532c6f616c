"""Host meters that scripts write into files.

In: `*.prom` files in Prometheus text format. Out: rows of `host`.
"""
