"""Numbers and timestamps as people read them.

In: values, None where unknown. Out: `Cell`: the text, the exact value for machines, and the reason
where there is none. An unknown value is a dash with its reason, never a 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor, log10

THIN = "\u202f"
"""Narrow no-break space: between thousands, and before units."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST_PLAIN = 1e-4
_GROUPED_FROM = 1000


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of the page. `text` is None where the value is unknown; `why` then says why."""

    text: str | None
    raw: str = ""
    why: str = ""
    low: str = ""
    high: str = ""
    ends: tuple[float | None, float | None] = (None, None)


def significant(value: float, digits: int = 3) -> str:
    """Return a number with some significant digits; whole and grouped from 1000 on."""
    if value == 0:
        return "0"
    size = abs(value)
    if float(f"{size:.{digits - 1}e}") >= _GROUPED_FROM:
        return grouped(round(value))
    if size < _SMALLEST_PLAIN:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−", 1)
    places = max(0, digits - 1 - floor(log10(float(f"{size:.{digits - 1}e}"))))
    return f"{value:.{places}f}".replace("-", "−")


def grouped(value: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{value:,}".replace(",", THIN).replace("-", "−")


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, `1 job` or `2 jobs`."""
    return f"{grouped(count)} {noun}{'' if count == 1 else 's'}"


def number(value: float | None, why: str = "", *, scale: float = 1.0, digits: int = 3) -> Cell:
    """Return a cell of `value * scale`; the exact value stays beside it, unscaled."""
    if value is None:
        return Cell(None, why=why)
    return Cell(significant(float(value) * scale, digits), raw=repr(value))


def whole(value: int | None, why: str = "") -> Cell:
    """Return a cell of a count, all digits shown."""
    return Cell(None, why=why) if value is None else Cell(grouped(value), raw=str(value))


def compact(value: int | None, why: str = "") -> Cell:
    """Return a cell of a large count in millions, billions or trillions, four digits shown."""
    for word, size in (("trillion", 10**12), ("billion", 10**9), ("million", 10**6)):
        if value is not None and value >= size:
            return Cell(f"{significant(value / size, 4)} {word}", raw=str(value))
    return whole(value, why)


def percent(value: float | None, why: str = "", digits: int = 1) -> Cell:
    """Return a cell of a share (0 to 1), in percent; it says 100 only where it is 100."""
    if value is None:
        return Cell(None, why=why)
    text = f"{value * 100:.{digits}f}"
    if value in (0, 1):
        text = "100" if value else "0"
    elif float(text) == 100:
        text = f"{'>' if value < 1 else ''}{100 - 10**-digits if value < 1 else 100:.{digits}f}"
    return Cell(text, raw=repr(value))


def between(
    value: float | None, low: float | None, high: float | None, why: str, *, scale: float = 1.0
) -> Cell:
    """Return a cell with its interval; an end that is not known is a dash."""
    if value is None:
        return Cell(None, why=why)
    ends = ["–" if end is None else significant(end * scale) for end in (low, high)]
    shown = significant(value * scale)
    return Cell(shown, raw=repr(value), low=ends[0], high=ends[1], ends=(low, high))


def energy_unit(largest_j: float) -> tuple[str, float]:
    """Return the unit in which energies up to `largest_j` read well, and its size per joule."""
    if largest_j >= 0.1 * 3.6e6:
        return "kWh", 1 / 3.6e6
    return ("kJ", 1e-3) if largest_j >= 1e3 else ("J", 1.0)


def day(ts_us: int) -> str:
    """Return the UTC day of a stamp, `2026-01-31`."""
    return f"{_moment(ts_us):%Y-%m-%d}"


def clock(ts_us: int) -> str:
    """Return the UTC time of day of a stamp, `07:59:30`."""
    return f"{_moment(ts_us):%H:%M:%S}"


def iso(ts_us: int) -> str:
    """Return a stamp as ISO 8601 in UTC, to the second."""
    return f"{_moment(ts_us):%Y-%m-%dT%H:%M:%SZ}"


def length(us: float) -> str:
    """Return a length of time in the unit that suits it."""
    seconds = us / 1e6
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{_trimmed(seconds / size)}{THIN}{unit}"
    return f"{_trimmed(seconds)}{THIN}s"


def clean(text: str) -> str:
    """Return a name from outside without characters that cannot be seen."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def shorten(text: str, most: int) -> str:
    """Return a name of at most `most` characters; what is left out is left out of its middle."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"


def _trimmed(value: float) -> str:
    text = significant(value)
    return text.rstrip("0").rstrip(".") if "." in text and "×" not in text else text


def _moment(ts_us: int) -> datetime:
    return datetime.fromtimestamp(ts_us // 1_000_000, UTC)
