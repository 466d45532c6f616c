"""An hour of a large fleet, booked in shards: the same bytes, how long, how much memory."""
