"""NVML in this process: callbacks that the unmodified `pynvml` module takes for its library.

In: the boards of an emulated node, and its faults. Out: every NVML call that the collector and the
tested tools make, answered as a driver would.
"""
