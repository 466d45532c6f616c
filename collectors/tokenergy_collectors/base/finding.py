"""One result of a preflight check."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One finding.

    Attributes:
        level: how serious it is.
        subject: what was checked, in one word.
        text: what was found.
    """

    level: Literal["ok", "warn", "FAIL"]
    subject: str
    text: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.level:<4}  {self.subject:<8}  {' '.join(self.text.split())}"
