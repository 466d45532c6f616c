"""Passwords, communities and keys of devices: from a file or from the environment alone.

In: where the operator keeps one, never itself. Out: the secret, read each time: a new one needs no
restart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from tokenergy_collectors.base.strict import Strict


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
        raise SecretError(f"{what}_file {path}: expected one line that holds the {what}")
    return found


class Login(Strict):
    """The keys of a device that may ask who reads it."""

    username: str | None = Field(
        default=None,
        min_length=1,
        description="User to log in as, where the device asks for one. One that may only read is "
        "enough.",
        examples=["monitor"],
    )
    password_file: Path | None = Field(
        default=None,
        strict=False,
        description="File with the user's password in its only line. Let only the collector read "
        "it.",
        examples=["/etc/tokenergy/bmc.password"],
    )
    password_env: str | None = Field(
        default=None,
        min_length=1,
        description="Environment variable that holds the password, where there is no "
        "password_file.",
        examples=["BMC_PASSWORD"],
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_password(cls, data: Any) -> Any:
        # The error for an unknown key would show its value.
        if isinstance(data, dict) and "password" in data:
            raise ValueError(
                "a password does not belong here: name a file in password_file, or an environment "
                "variable in password_env"
            )
        return data

    @model_validator(mode="after")
    def _has_one_password(self) -> Login:
        given = self.password_file is not None or self.password_env is not None
        if self.username is None and given:
            raise ValueError("a password without a user: expected username beside it")
        if self.username is not None and not given:
            raise ValueError("username: expected password_file or password_env beside it")
        return self

    def password(self) -> str:
        """Return the password as it is now.

        Raises:
            SecretError: there is none.
        """
        return read_secret("password", self.password_file, self.password_env)
