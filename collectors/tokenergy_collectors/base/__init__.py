"""Small tools that know nothing of the lake, boards or tokens."""
