"""A language model decodes on a real GPU while the collector records it: J/token by batch size."""
