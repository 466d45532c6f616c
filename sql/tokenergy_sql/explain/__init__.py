"""How a job's figures were derived: the rows behind each step, and every formula recomputed."""
