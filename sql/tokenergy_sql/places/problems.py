"""What is wrong with places and meters: every problem is one line that names its entries."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tokenergy_collectors.base.errors import UserError

_MOST_NAMED = 5


class PlacesError(UserError):
    """The places or meters of a site file contradict each other.

    Attributes:
        problems: one line each, with the file's name.
    """

    def __init__(self, file: str, problems: Iterable[str]) -> None:
        self.problems = [f"{file}: {problem}" for problem in problems]
        more = len(self.problems) - 1
        super().__init__(
            self.problems[0] + (f" (and {more} more: see `tokenergy places`)" if more else "")
        )


class Problems:
    """Problems in the order in which they are found, each once."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, text: str) -> None:
        """Add a problem."""
        self._found[text] = None

    def raise_any(self, file: str) -> None:
        """Return if there is no problem.

        Raises:
            PlacesError: there is one.
        """
        if self._found:
            raise PlacesError(file, self._found)


def known_names(wrong: str, known: Iterable[str]) -> str:
    """Return which names there are, or those most like a wrong one if there are many."""
    names = sorted(known)
    if not names:
        return "there is none"
    if len(names) <= _MOST_NAMED:
        return f"there are: {', '.join(names)}"
    alike = difflib.get_close_matches(wrong, names, _MOST_NAMED)
    if alike:
        return f"did you mean {' or '.join(alike)}?"
    return f"there are {len(names)} others, such as {names[0]}"
