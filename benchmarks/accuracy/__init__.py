"""How far off energy is: ours and two simpler methods against the emulator's truth.

`make accuracy`, or `python -m benchmarks.accuracy`. See docs/accuracy.md.
"""
