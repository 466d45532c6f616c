"""Power as the grid sees it: ramps, swings and spectra of jobs, nodes, racks and sites.

In: readings of a lake's hour, which job held which device, the place of each device. Out: the
tables `load_profile` and `load_spectrum`. docs/load-profile.md explains each figure.
"""
