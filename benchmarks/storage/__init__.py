"""What a reading costs on disk, and how fast it is read, by encoding, codec and order of rows."""
