"""Boards as physics has them: true power, and what their sensors and counters show of it.

In: the loads of workloads. Out: power as exact integers (`power`), the sensor's readings of it
(`sensor`), and one board with everything that NVML reports of it (`board`).
"""
