"""Energy of the CPUs by their own meters: RAPL, as the kernel shows it in powercap.

In: `/sys/class/powercap/intel-rapl*` (AMD too). Out: rows of `host`. docs/host-energy.md says what
is read and what may be added to what.
"""
