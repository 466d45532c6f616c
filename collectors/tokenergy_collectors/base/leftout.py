"""What of a file was left out, by reason: how many lines, and the first of them.

In: the number and the text of a line. Out: one line of words for each reason. A line that cannot be
used must not cost the others, and must not go unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass

_SHOWN = 80


@dataclass(slots=True)
class _Some:
    count: int
    line: int
    text: str


class LeftOut:
    """The lines of one file that were left out."""

    def __init__(self) -> None:
        self._by_reason: dict[str, _Some] = {}

    def add(self, reason: str, line: int, text: str) -> None:
        """Note that a line (its number, its text) was left out, and why."""
        found = self._by_reason.get(reason)
        if found is None:
            self._by_reason[reason] = _Some(1, line, text)
        else:
            found.count += 1

    @property
    def count(self) -> int:
        """How many lines were left out."""
        return sum(some.count for some in self._by_reason.values())

    def of(self, reason: str) -> int:
        """Return how many lines were left out for a reason."""
        return self._by_reason[reason].count if reason in self._by_reason else 0

    def lines(self) -> list[str]:
        """Return a line of words for each reason, with the first line that it applied to."""
        found = []
        for reason, some in self._by_reason.items():
            lines = "1 line" if some.count == 1 else f"{some.count} lines"
            first = "" if some.count == 1 else "first: "
            where = f"{first}line {some.line}, {shown(some.text)}"
            found.append(f"left out {lines}: {reason} ({where})")
        return found


def shown(text: str) -> str:
    """Return a text of another program in quotes, on one line, without what a terminal obeys."""
    # Cut before escaping, since a block of zeros can be long.
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return repr(cut)  # escapes everything that is not printable
