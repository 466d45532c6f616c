"""What the collector can read: one folder a source, and one line of the registry each."""
