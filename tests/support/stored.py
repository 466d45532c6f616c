"""Lakes in an S3-speaking server: put there from a folder, looked at object by object."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.s3 import BUCKET, Server, set_environment
from tokenergy_collectors.lake import absent
from tokenergy_collectors.lake.contract import TABLES

DERIVED = tuple(name for name, table in TABLES.items() if table.layer == "derived")


class StoredLake:
    """A lake below a prefix of its own.

    Args:
        server: of the bucket.
        name: the prefix.
    """

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.url = f"s3://{BUCKET}/{name}"

    def put(self, folder: Path, *tables: str) -> None:
        """Put a folder's files, of some tables or all, but for caches and what is hidden."""
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            first = name.partition("/")[0]
            theirs = first != "cache" and name != "catalog.duckdb" and "/." not in f"/{name}"
            if path.is_file() and theirs and (first in tables or not tables):
                self.server.fs().pipe_file(f"{BUCKET}/{self.name}/{name}", path.read_bytes())

    def names(self, *tables: str) -> list[str]:
        """Return the names of all objects, or of those of some folders."""
        found = self.server.names(self.name)
        return [n for n in found if not tables or n.partition("/")[0] in tables]

    def read(self, name: str) -> bytes:
        data: bytes = self.server.fs().cat_file(f"{BUCKET}/{self.name}/{name}")
        return data

    def remove(self, name: str) -> None:
        self.server.fs().rm_file(f"{BUCKET}/{self.name}/{name}")

    def derived(self) -> dict[str, bytes]:
        """Return all files of derived tables, by name."""
        names = self.names("books", *DERIVED)
        return {name: self.read(name) for name in names if name.endswith(".parquet")}


def use(server: Server, work: Path, patch: pytest.MonkeyPatch) -> None:
    """Let this process find the server, and keep its working copies in a folder."""
    set_environment(patch)
    patch.setenv("AWS_ENDPOINT_URL", server.url)
    patch.setenv("TOKENERGY_WORK", str(work))
    patch.setattr(absent, "_buckets", {})
