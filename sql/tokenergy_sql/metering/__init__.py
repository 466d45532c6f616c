"""What meters counted, and the building's figures of an hour: sums over time that all meters cover.

`course.Course` is one meter over time; `figures.figures_of` divides what is metered together.
"""
