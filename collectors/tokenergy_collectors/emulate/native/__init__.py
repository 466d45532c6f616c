"""Emulated boards for other processes: a C library with NVML's soname, and what feeds it.

In: an emulated node. Out: a state file that the library reads, and the library itself, compiled on
demand. Unmodified programs then find the boards where they look for NVIDIA's. The physics and the
sensors stay in Python: the library looks up tables that are written some seconds ahead.
"""
