"""Where sealed files are uploaded to: what any such place can do, and the choice of one.

In: the table `[upload]` of the configuration. Out: a `Store`. A folder needs nothing else; an
object store needs fsspec and its driver, which is s3fs for `s3://`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

Looked = Literal["same", "other", "none"]
"""What is there under a name: the same bytes, other ones, or nothing."""


class StoreError(Exception):
    """The store did not do what it was asked; one line says why."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, and their digests in hex."""

    data: bytes
    md5: str
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Return bytes with their digests."""
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(data, md5, hashlib.sha256(data).hexdigest())


class Store(Protocol):
    """A place for files. Every method raises `StoreError` where the place is away or refuses."""

    def look(self, relative: str, content: Content) -> Looked:
        """Hold what is there under a name against what should be there."""

    def put(self, relative: str, content: Content) -> None:
        """Put a file there, whole or not at all, in place of what is there."""

    def probe(self) -> str:
        """Look whether the place answers, writing nothing; return a remark, or an empty text."""
