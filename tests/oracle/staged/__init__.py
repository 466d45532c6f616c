"""Staged histories: small invented worlds, what is true in them, and the raw rows they leave."""
