"""The live view of a running collector.

In: what the sources record, and the collector's own counts. Out: the figures of the last minute,
and an endpoint that serves them as Prometheus metrics.
"""
