"""Importers: logs that other tools recorded, turned into rows of the lake.

Each importer reads one kind of file, checks all of it, and only then writes. Importing a file twice
changes nothing.
"""
