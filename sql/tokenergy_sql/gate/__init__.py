"""Whether one set of runs costs more energy per token than another, at equal operating points."""
