"""Token counters: what servers and training loops call them, and how they are read."""
