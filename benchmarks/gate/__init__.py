"""How often `tokenergy gate` sees a planted regression, and how often one that is not there.

`make bench-gate`, or `python -m benchmarks.gate`. See docs/gate.md.
"""
