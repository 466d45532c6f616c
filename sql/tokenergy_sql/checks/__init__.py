"""The checks: one SQL file each, a SELECT that returns the offending rows; none is a pass."""
