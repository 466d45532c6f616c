"""An emulated node of GPU boards behind the unmodified `pynvml` module, with known truth.

In: a profile (boards, jobs, strays, faults) and a clock. Out: NVML, token endpoints, a job list,
and exact energies and token counts to score any measurement against, with no GPU in the machine.

Its rooms, ground first; each imports only from those before it. This file imports none of them, so
that a daemon on real boards does not load the emulator.

    workloads  what jobs demand of their boards, and the tokens they count
    physics    true power, and what a board's sensors show of it
    profile    which boards, jobs and faults there are, from a TOML file
    nvml       the boards behind `pynvml` in this process, faults included
    run        a node, its token endpoints, its truth, and the daemon run on it
    native     the same boards for other programs, through a C library
"""
