"""Statements for what a group of devices has of an hour's tables: see `tasks.py`."""
