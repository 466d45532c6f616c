"""The page of the building: energy from grid to token, PUE over time, halls, meters."""
