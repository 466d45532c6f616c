"""The host's clocks.

In: the clocks and the kernel. Out: rows of `clock`, an event when the wall clock is set, and its
steps.
"""
