"""A bucket, or a part of one: lists, gets, puts, and swaps objects.

In: names below a prefix, bytes. Out: objects. A store that does not answer is asked again for a
minute or two, so that a short outage stops nobody; one that refuses is not.

`swap` is what makes several writers safe: it puts an object only if the one that is there is still
the one that its caller has read. S3 and the stores that speak its language do that since 2024
(`If-Match`, `If-None-Match`); where one does not know these conditions, it refuses.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.objects.drivers import driver_of, is_s3

T = TypeVar("T")

PATIENCE_S = 90.0
"""How long a store that does not answer is asked again."""

_TIMEOUT_S = 20
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
_DELETED_AT_ONCE = 1000
_REFUSALS = {403: "access is denied", 501: "the store does not know conditional requests"}
_CHANGED = (409, 412)
"""Of a conditional request whose condition does not hold, or that met another one."""


class ChangedError(Exception):
    """An object is not the one that the caller has read: somebody else put another one."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object of a store.

    Attributes:
        name: below the prefix.
        size: in bytes.
        etag: differs where the bytes differ.
        modified_ns: when it was put, Unix time.
    """

    name: str
    size: int
    etag: str
    modified_ns: int


class Bucket:
    """The objects below a prefix.

    Args:
        url: `s3://bucket/prefix`.
        patience_s: how long a store that does not answer is asked again.

    Raises:
        UserError: the URL is not of S3, or s3fs is not installed.
    """

    def __init__(self, url: str, patience_s: float = PATIENCE_S) -> None:
        if not is_s3(url):
            raise UserError(
                f"lake {url}: expected s3://... or a path; `tokenergy query` alone reads other "
                "stores"
            )
        driver, self._errors = driver_of(url, "lake")
        self.url = url
        self._bucket, _, prefix = url.split("://", 1)[1].strip("/").partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._patience_s = patience_s
        wait = {"connect_timeout": _TIMEOUT_S, "read_timeout": _TIMEOUT_S}
        self._fs = driver(
            config_kwargs={**wait, "retries": {"max_attempts": 0}, "max_pool_connections": 32},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        self._fs.retries = 1  # `_ask` tries again

    def below(self, start: str) -> list[Object]:
        """Return all objects whose names begin with `start`, sorted by name."""
        return [
            Object(
                one["Key"].removeprefix(self._prefix),
                one["Size"],
                one["ETag"],
                round(one["LastModified"].timestamp() * 1e9),
            )
            for page in self._pages(start)
            for one in page.get("Contents", [])
        ]

    def level(self, below: str) -> tuple[list[str], list[str]]:
        """Return the folders and the objects directly below a folder; names without it, sorted.

        Args:
            below: the folder with a slash at its end; empty for the whole.
        """
        base = len(self._prefix) + len(below)
        folders: list[str] = []
        names: list[str] = []
        for page in self._pages(below, Delimiter="/"):
            folders += (one["Prefix"][base:].rstrip("/") for one in page.get("CommonPrefixes", []))
            names += (one["Key"][base:] for one in page.get("Contents", []))
        return folders, names

    def _pages(self, below: str, **more: str) -> Iterator[dict[str, Any]]:
        """Yield the answers, of up to 1,000 names each, to the question for names."""
        asked = {"Bucket": self._bucket, "Prefix": f"{self._prefix}{below}", **more}
        while True:
            try:
                page = self._ask(lambda: self._fs.call_s3("list_objects_v2", **asked))
            except FileNotFoundError:
                raise UserError(f"lake {self.url}: there is no bucket {self._bucket}") from None
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return an object's bytes and its ETag; None if there is none.

        If it is replaced meanwhile, the ETag is of the earlier one, so that a swap with it fails.
        """
        path = self._path(name)
        try:
            etag = self._ask(lambda: self._fs.info(path))["ETag"]
            return self._ask(lambda: self._fs.cat_file(path)), etag
        except FileNotFoundError:
            return None

    def fetch(self, name: str, path: Path) -> None:
        """Write an object's bytes to a file.

        Raises:
            FileNotFoundError: there is none.
        """
        self._ask(lambda: self._fs.get_file(self._path(name), str(path)))

    def put(self, name: str, data: bytes | Path) -> str:
        """Put an object, in place of another one if there is one; return its ETag."""
        return self._put(name, data)

    def swap(self, name: str, data: bytes, etag: str | None) -> str:
        """Put an object if the one that is there is still that of an ETag; return the new one's.

        If an answer is lost, it is looked up whether the object is there.

        Args:
            name: of the object.
            data: its bytes.
            etag: of the one that the caller has read; None if there was none.

        Raises:
            ChangedError: it is not, or there is one by now.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            return self._put(name, data, **condition)
        except ChangedError:
            found = self.read(name)  # the answer to a try before this one may have been lost
            if found is None or found[0] != data:
                raise
            return found[1]

    def _put(self, name: str, data: bytes | Path, **more: str) -> str:
        body = data if isinstance(data, bytes) else data.read_bytes()
        asked = {"Bucket": self._bucket, "Key": f"{self._prefix}{name}", "Body": body, **more}
        etag: str = self._ask(lambda: self._fs.call_s3("put_object", **asked))["ETag"]
        return etag

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there are no error."""
        for first in range(0, len(names), _DELETED_AT_ONCE):
            some = names[first : first + _DELETED_AT_ONCE]
            keys = {"Objects": [{"Key": f"{self._prefix}{name}"} for name in some], "Quiet": True}
            asked = {"Bucket": self._bucket, "Delete": keys}
            self._ask(partial(self._fs.call_s3, "delete_objects", **asked))

    def _path(self, name: str) -> str:
        return f"{self._bucket}/{self._prefix}{name}"

    def _ask(self, call: Callable[[], T]) -> T:
        """Return what a call returns; call again while the store does not answer.

        Raises:
            ChangedError: a condition does not hold.
            FileNotFoundError: there is no such object.
            UserError: the store refuses, or does not answer for too long.
        """
        until_s, wait_s = time.monotonic() + self._patience_s, _FIRST_WAIT_S
        while True:
            try:
                return call()
            except self._errors as error:
                status = _status_of(error)
                if status in _CHANGED:
                    raise ChangedError(str(error)) from error
                if isinstance(error, FileNotFoundError):
                    raise
                refused = (status is not None and status < 500) or status in _REFUSALS
                if refused or "Credentials" in type(error).__name__:
                    why = _REFUSALS.get(status or 0, _line(error))
                    raise UserError(f"lake {self.url}: {why}") from error
                if isinstance(error, OSError) and error.filename is not None:
                    raise  # a file of ours
                if time.monotonic() > until_s:
                    away = ConnectionError(_line(error))
                    raise UserError(f"lake {self.url}: does not answer: {_line(error)}") from away
            # Several tasks that a store has thrown out should not all come back at once.
            time.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def _status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of the answer behind an error; None if there was none."""
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, dict):
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return None if status is None else int(status)
        error = error.__cause__ or error.__context__
    return None


def _line(error: BaseException) -> str:
    return " ".join(f"{error}".split()) or type(error).__name__
