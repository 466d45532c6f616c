"""The name of a place: its kind and its name, such as `hall:a` or `rack:r3`; or `site`."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

Kind = Literal["site", "hall", "module", "rack", "node"]

KINDS: tuple[Kind, ...] = ("site", "hall", "module", "rack", "node")
"""Kinds of place, from the outermost in."""

EXPECTED = 'expected "site", or a kind and a name: "hall:a", "module:a1", "rack:r1", "node:gpu-17"'


class Place(NamedTuple):
    """A place; its name is empty for the site."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """Return it as the site file has it."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


SITE = Place("site", "")


def parse_place(text: str) -> Place:
    """Return the place that a text names.

    Raises:
        ValueError: it names none.
    """
    kind, colon, name = text.partition(":")
    if text == "site":
        return SITE
    if not colon or kind not in KINDS or kind == "site" or not name or name != name.strip():
        raise ValueError(EXPECTED)
    return Place(cast(Kind, kind), name)
