"""Power as the grid sees it: ramps, swings and spectra of jobs, nodes, racks and sites.

In: readings of a lake's hour, who held which device, where each device stands. Out: the tables
`load_profile` and `load_spectrum`. What each figure means stands in docs/load-profile.md.
"""
