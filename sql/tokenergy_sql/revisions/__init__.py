"""Earlier states of the derived tables: recorded by each run of the index, listed and compared."""
