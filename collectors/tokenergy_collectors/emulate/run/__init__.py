"""Emulated nodes that run: a host that a collector cannot distinguish from a real one.

In: a profile, a node's name, a clock. Out: NVML and token endpoints while the node runs (`node`),
the daemon run on it (`emulated`, `fleet`), and the truth as JSON (`truth`).
"""
