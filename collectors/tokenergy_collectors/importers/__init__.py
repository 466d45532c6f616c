"""Importers: what other tools recorded, turned into rows of the lake.

Each importer of files reads one kind of file, checks all of it, and only then writes. `prometheus`
reads a store chunk by chunk. Importing something twice changes nothing.
"""
