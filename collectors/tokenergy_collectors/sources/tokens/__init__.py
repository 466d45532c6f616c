"""Token counters of inference servers and training loops.

In: Prometheus text over HTTP. Out: rows of `tokens`. `counters.py` lists what each server counts.
"""
