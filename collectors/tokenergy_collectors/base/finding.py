"""One line of a preflight."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One finding: how grave it is, what it is about, and what was found."""

    level: Literal["ok", "warn", "FAIL"]
    subject: str
    text: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.level:<4}  {self.subject:<8}  {' '.join(self.text.split())}"
