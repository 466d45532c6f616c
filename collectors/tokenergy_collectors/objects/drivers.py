"""The fsspec driver of a URL, and what it raises."""

from __future__ import annotations

import importlib
from typing import Any

from tokenergy_collectors.base.errors import UserError

_S3 = ("s3", "s3a")


def is_s3(url: str) -> bool:
    """Return whether a URL names a bucket of S3, or of a store that speaks its language."""
    return url.split(":", 1)[0] in _S3


def driver_of(url: str, what: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return the class of a URL's file system, and the exceptions of a store that refuses.

    Args:
        url: protocol, bucket and prefix.
        what: names the setting in errors.

    Raises:
        UserError: the driver's package is missing, or the URL names no store.
    """
    try:
        fsspec = importlib.import_module("fsspec")
        return fsspec.get_filesystem_class(url.split("://", 1)[0]), errors_of(is_s3(url))
    except ImportError as error:
        why = "s3fs is not installed; pip install 'tokenergy[s3]'" if is_s3(url) else str(error)
        raise UserError(f"{what} {url}: {why}") from None
    except ValueError:
        raise UserError(f"{what} {url}: no such protocol; expected s3:// or a path") from None


def errors_of(s3: bool) -> tuple[type[Exception], ...]:
    """Return the exceptions of a driver for a store that does not answer or refuses."""
    if not s3:
        return (OSError, ValueError, RuntimeError)
    importlib.import_module("s3fs")
    botocore = importlib.import_module("botocore.exceptions")
    aiohttp = importlib.import_module("aiohttp")
    return (OSError, botocore.BotoCoreError, botocore.ClientError, aiohttp.ClientError)
