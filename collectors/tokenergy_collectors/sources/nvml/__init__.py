"""NVIDIA GPUs through NVML.

In: the driver. Out: opened boards, their readings, what is learned about them, rows of `device` and
of `host`, and the preflight's findings.
"""
