"""The segment kernel on the CPU, in numba: by readings per segment, with the same bits always."""
