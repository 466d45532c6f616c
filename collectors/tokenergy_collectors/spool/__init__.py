"""Rows on their way into the lake: in memory, then in write-ahead logs, then in sealed files."""
