"""What an operator sees of a running collector: the last minute, an endpoint, a terminal view."""
