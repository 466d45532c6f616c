"""The GPUs as a source, and the sampler that reads them.

In: opened boards, on the schedule. Out: rows of `power`, `state`, `device` and `host`, and events.
The other modules handle boards that are lost, slow, stale or stop reporting a reading.
"""
