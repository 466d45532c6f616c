"""The energy of hosts by node and hour: measured, else modelled, else declared, else unknown.

A host is all of a node that is not a board. `deciding.host_of` says in which order; each method is
a pure function of what the node showed.
"""
