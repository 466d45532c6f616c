"""What racks, modules, halls and the site drew: the power of what stands in them, hour by hour.

`hour.place_rows` returns the rows of `place_hour`. Nothing is read if the site file places no node.
"""
