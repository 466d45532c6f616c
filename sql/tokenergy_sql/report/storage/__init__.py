"""The page of storage studies: facts, charts, values for the template."""
