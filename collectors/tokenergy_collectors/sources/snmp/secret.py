"""Communities and keys: from a file or from the environment, never from the configuration.

In: where the operator keeps one. Out: the secret, read each time: a new one needs no restart.
"""

from __future__ import annotations

import os
from pathlib import Path


class SecretError(Exception):
    """There is no secret; the message says where it was looked for, and never holds one."""


def read_secret(what: str, path: Path | None, variable: str | None, least: int = 1) -> str:
    """Return a secret as it is now.

    Args:
        what: the beginning of the keys that name its place, such as `community`.
        path: file that holds it in its only line.
        variable: environment variable that holds it, where there is no file.
        least: how many characters it must have.

    Raises:
        SecretError: there is none.
    """
    if path is None:
        place, found = f"{what}_env {variable}", os.environ.get(variable or "", "")
        if not found:
            raise SecretError(f"{what}_env: the environment has no {variable}")
    else:
        place, found = f"{what}_file {path}", _of_file(what, path)
    if len(found) < least:
        raise SecretError(f"{place}: expected at least {least} characters")
    return found


def _of_file(what: str, path: Path) -> str:
    try:
        found = path.read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not text"
        raise SecretError(f"{what}_file {path}: {why.lower()}") from None
    if not found or "\n" in found:
        raise SecretError(f"{what}_file {path}: expected one line")
    return found
