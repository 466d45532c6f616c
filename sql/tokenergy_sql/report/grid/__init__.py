"""The page of the grid's side: how the load swings, as facts, charts, values for the template."""
