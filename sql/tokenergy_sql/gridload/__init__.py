"""What the grid sees of jobs and places: boundaries, whose swing it is, and limits.

In: courses of loads, hosts and meters of a lake. Out: loads at the boundary of boards, of IT or of
the grid connection; the part of each job in a swing; which limits a load keeps. docs/grid.md and
docs/load-profile.md explain each figure.
"""
