"""Whether the energy of a prompt token and of a generated token is inside its bounds.

`make phases`, or `python -m benchmarks.phases`. See docs/uncertainty.md.
"""
