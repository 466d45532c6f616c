"""What `top` writes with: signs that the terminal has, short numbers, short names.

In: values and words from outside. Out: text. Words are text, never markup, and characters that
cannot be printed are replaced.
"""

from __future__ import annotations

import math

from rich.text import Text

_NOISE = ("NVIDIA", "Graphics", "Device", "GeForce", "HBM3e", "HBM3", "HBM2e")


class Glyphs:
    """Characters that the terminal can show."""

    def __init__(self, plain: bool) -> None:
        self.none = "-" if plain else "—"
        self.same = '"' if plain else "″"
        self.full, self.empty = ("#", ".") if plain else ("█", "░")
        self.more = "..." if plain else "…"
        self.celsius = "C" if plain else "°C"
        self.plain = plain

    def text(self, words: str, style: str = "") -> Text:
        """Return words from outside as text without control characters or markup."""
        clean = "".join(sign if sign.isprintable() else "?" for sign in words)
        if self.plain:
            clean = clean.encode("ascii", "replace").decode()
        return Text(clean, style=style, no_wrap=True, overflow="crop" if self.plain else "ellipsis")

    def number(self, value: float | None, digits: int = 0) -> Text:
        """Return a number with so many digits after the point; a dash for None."""
        return Text(self.none if value is None else f"{value:,.{digits}f}")


def short_name(name: str) -> str:
    """Return a board's name without common words such as NVIDIA."""
    words = [word for word in name.split() if word not in _NOISE]
    return " ".join(words) or name


def significant(value: float) -> str:
    """Return a number with three significant digits, millions as M."""
    if value >= 1_000_000:
        return f"{value / 1e6:,.2f}M"
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    if value < 0.0001:
        return f"{value:.1e}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


def age(age_s: float) -> str:
    """Return a length of time in its largest unit of which there are two or more."""
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if age_s >= 2 * seconds:
            return f"{age_s // seconds:.0f} {unit}"
    return f"{age_s:.0f} s"
