"""Importers: logs that others recorded, turned into rows of the lake.

Each reads one kind of file, checks all of it, and only then writes; importing a file twice changes
nothing.
"""
