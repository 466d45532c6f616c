"""Processes on the boards: jobs of systemd, Docker, Podman and plain ones, and those of nobody.

In: NVML's process lists, and what /proc says of each process. Out: rows of `jobs`, and events.
"""
