"""Whether bounds hold the truth, and how wide they are beside what cards really differ by.

`make bounds`, or `python -m benchmarks.bounds`. See docs/uncertainty.md.
"""
