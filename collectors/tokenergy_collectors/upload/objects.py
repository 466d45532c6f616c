"""Object stores, through fsspec: S3 and compatible stores, and others with an fsspec driver.

In: bytes and names. Out: objects, each put in one call, so that nobody sees half of one. With each
object S3 gets its MD5 and refuses other bytes. The ETag that S3 then reports is that MD5, unless it
encrypts with a key of its own or the object was sent in parts. If the ETag differs, and in any
other store, the object is read back and its SHA-256 is compared.

The driver finds the credentials: for S3 in the environment (AWS_ACCESS_KEY_ID ...), the usual files
(~/.aws), or the instance's role.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.objects.drivers import driver_of, is_s3
from tokenergy_collectors.upload.settings import Upload
from tokenergy_collectors.upload.store import Comparison, Content, Store, StoreError

_SLOWEST_BYTES_S = 50_000
"""A transfer slower than this counts as hanging."""

_CLIENT_S = 60.0
"""Seconds that creating a client may take."""

_NO_STORES = ("http", "https", "memory", "data", "zip", "tar")


def open_object_store(to: str, upload: Upload) -> Store:
    """Return the store of a URL.

    Raises:
        UserError: the driver's package is missing, or the URL does not name a store.
    """
    scheme, base = to.split("://", 1)
    if scheme in _NO_STORES:
        raise UserError(f"upload.to {to}: {scheme} cannot keep files; expected s3:// or a path")
    driver, errors = driver_of(to, "upload.to")
    if is_s3(to):
        wait = {"connect_timeout": upload.timeout_s, "read_timeout": upload.timeout_s}
        settings = {**wait, "retries": {"max_attempts": 0}}  # the uploader itself retries
        fs = driver(
            endpoint_url=upload.endpoint_url,
            config_kwargs=settings,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        fs.retries = 1
        return S3Store(fs, base, upload.timeout_s, errors)
    return ObjectStore(driver(skip_instance_cache=True), base, upload.timeout_s, errors)


class ObjectStore:
    """Any store with an fsspec driver.

    Args:
        fs: its file system.
        base: bucket and prefix, without a protocol.
        timeout_s: how long it may take to answer.
        errors: the exceptions of its driver.
    """

    def __init__(
        self, fs: Any, base: str, timeout_s: float, errors: tuple[type[Exception], ...]
    ) -> None:
        self._fs = fs
        self._base = base.strip("/") if fs.async_impl else base.rstrip("/")
        self._timeout_s = timeout_s
        self._errors = errors

    def compare(self, relative: str, content: Content) -> Comparison:
        """Compare size and ETag, or else size and SHA-256 of the object read back."""
        path = f"{self._base}/{relative}"
        try:
            info = self._call(0, self._fs.info, path)
            if info["type"] != "file":
                return "missing"
            if info["size"] != len(content.data):
                return "different"
            if self._is_proven(info, content):
                return "same"
            found = self._call(len(content.data), self._fs.cat_file, path)
        except FileNotFoundError:
            return "missing"
        return "same" if hashlib.sha256(found).hexdigest() == content.sha256 else "different"

    def put(self, relative: str, content: Content) -> None:
        """Put the object in one call."""
        path, size = f"{self._base}/{relative}", len(content.data)
        try:
            self._call(size, self._fs.pipe_file, path, content.data, **self._put_options(content))
        except FileNotFoundError as error:  # the bucket does not exist
            raise StoreError(_line(error)) from None

    def probe(self) -> str:
        """Check that the store lists its objects."""
        try:
            self._call(0, self._fs.ls, self._base)
        except FileNotFoundError:
            return "there are no files yet"
        return ""

    def _is_proven(self, info: dict[str, Any], content: Content) -> bool:
        """Return whether the store's description of an object proves its content."""
        return False

    def _put_options(self, content: Content) -> dict[str, Any]:
        """Return the options to put an object with."""
        return {}

    def _connect(self) -> None:
        """Prepare the driver, if that takes time of its own."""

    def _call(self, size: int, call: Callable[..., Any], *given: Any, **more: Any) -> Any:
        """Call the driver, and allow the time that the slowest link needs for `size` bytes.

        Raises:
            FileNotFoundError: the object or the bucket does not exist.
            StoreError: the store does not answer, or refuses.
        """
        wait_s = self._timeout_s + size / _SLOWEST_BYTES_S
        try:
            self._connect()
            if self._fs.async_impl:
                more["timeout"] = wait_s
            return call(*given, **more)
        except FileNotFoundError:
            raise
        except TimeoutError:
            raise StoreError(f"no answer within {wait_s:.3g} s") from None
        except self._errors as error:
            raise StoreError(_line(error)) from None


class S3Store(ObjectStore):
    """A bucket, or a part of one."""

    def probe(self) -> str:
        """List at most one object."""
        bucket, _, prefix = self._base.partition("/")
        asked = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": 1}
        try:
            self._call(0, self._fs.call_s3, "list_objects_v2", **asked)
        except FileNotFoundError:
            raise StoreError(f"no bucket {bucket}") from None
        return ""

    def _connect(self) -> None:
        # The first call reads the service's description and looks for credentials. That takes
        # seconds on a busy host, but says nothing about the store; later calls return at once.
        self._fs.connect(timeout=_CLIENT_S)

    def _is_proven(self, info: dict[str, Any], content: Content) -> bool:
        return str(info.get("ETag", "")).strip('"') == content.md5

    def _put_options(self, content: Content) -> dict[str, Any]:
        md5 = base64.b64encode(bytes.fromhex(content.md5)).decode()
        whole = max(1, len(content.data))  # not in parts: their ETag is not an MD5
        return {"ContentMD5": md5, "Metadata": {"sha256": content.sha256}, "chunksize": whole}


def _line(error: Exception) -> str:
    return " ".join(f"{error}".split()) or type(error).__name__
