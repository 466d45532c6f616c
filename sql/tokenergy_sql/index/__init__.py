"""From segments to indices: which hours are stale, what the models derive, and what is written."""
