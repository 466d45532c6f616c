"""The interface of a store: a place that sealed files are uploaded to.

A folder needs no further package; an object store needs fsspec and its driver, which is s3fs for
`s3://`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

Comparison = Literal["same", "different", "missing"]
"""What the store holds under a name: the same bytes, other bytes, or nothing."""


class StoreError(Exception):
    """A request to the store failed; the message says why, on one line."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, and their digests in hex."""

    data: bytes
    md5: str
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Return the content of these bytes."""
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(data, md5, hashlib.sha256(data).hexdigest())


class Store(Protocol):
    """A place for files. Every method raises `StoreError` if it does not answer, or refuses."""

    def compare(self, relative: str, content: Content) -> Comparison:
        """Compare what the store holds under a name with what it should hold."""

    def put(self, relative: str, content: Content) -> None:
        """Store a file completely or not at all; replace what has its name."""

    def probe(self) -> str:
        """Check that the store answers, without writing; return a remark, or an empty text."""
