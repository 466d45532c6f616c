"""The checks: one SQL file each, a SELECT that returns the offending rows; no rows is a pass."""
