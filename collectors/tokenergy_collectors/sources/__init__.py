"""Everything that the collector can read: one folder per source.

In: the configuration and the host. Out: rows and events. `source.py` says what a source is,
`host.py` what it may use, `plan.py` when it reads.
"""
