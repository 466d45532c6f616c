"""Profiles: TOML files that declare an emulated cluster, its jobs and its faults.

In: a profile by name or path. Out: a validated `Profile`, and from it (`blueprint`) each board's
parameters and each job's workload.
"""
