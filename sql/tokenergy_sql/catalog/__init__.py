"""The lake as DuckDB sees it, on disk or in an object store.

Connections with the tables, views and macros, and a catalog file for other DuckDB clients.
"""
