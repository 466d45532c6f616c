"""nvidia."""
