"""The `tokenergy` command: its command groups, one file each, and the entry point `main`."""

from tokenergy_sql.cli.commands import app, main

__all__ = ["app", "main"]
