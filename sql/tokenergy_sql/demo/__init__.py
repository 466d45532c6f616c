"""The emulated cluster of `tokenergy demo`, and the comparison of a lake with its true values.

Needs the collectors and the catalog alone; `steps.run_demo` runs the pipeline on what it collects.
"""
