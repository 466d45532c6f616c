"""How long the hours of each table are kept.

In: options, or a file of a site. Out: times by table. A table without one is kept for ever.

    # LAKE/retention.toml
    power = "90d"
    state = "90d"
    segment = "400d"
    load_spectrum = "30d"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.expired import DERIVED_FROM, TABLES
from tokenergy_collectors.lake.sealed import RAW_TABLES

DEFAULT_NAME = "retention.toml"
"""Name of the file at the root of a lake, used if no other file is named."""

_DAY_US = 24 * HOUR_US
LEAST_US = 2 * _DAY_US
"""No table is kept for a shorter time: late files of the last days are still booked."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long tables are kept.

    Attributes:
        keep_us: microseconds by table; a table that is not in it is kept for ever.
    """

    keep_us: Mapping[str, int]


def parse_time(name: str, text: str) -> int:
    """Return a time such as `90s`, `30m`, `6h` or `90d` in microseconds; it may be zero.

    Args:
        name: what it is for, for the message.
        text: the time.

    Raises:
        UserError: it is none.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise UserError(f"{name} {text!r}: expected a time such as 30m, 6h or 90d")
    return round(float(match[1]) * _SECONDS[match[2]] * 1_000_000)


def raw_tables(names: Iterable[str] | None) -> tuple[str, ...]:
    """Return the raw tables of these names; all if None.

    Raises:
        UserError: one is no raw table.
    """
    if names is None:
        return RAW_TABLES
    for name in names:
        if name not in RAW_TABLES:
            raise UserError(f"table {name!r}: expected one of {', '.join(RAW_TABLES)}")
    return tuple(dict.fromkeys(names))


def of_texts(texts: Iterable[str]) -> Retention:
    """Return the retention that options say, each `TABLE=TIME`.

    Raises:
        UserError: one cannot be used.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, time = text.partition("=")
        if not equals:
            raise UserError(f"{text!r}: expected TABLE=TIME, for example power=90d")
        found[name.strip()] = time
    return _checked(found, "")


def load_retention(path: Path | None, root: Path) -> Retention:
    """Return the retention that a file says.

    Args:
        path: the file; that in the lake if None, which need not be there.
        root: the lake.

    Raises:
        UserError: the file cannot be read or used.
    """
    place = path or root / DEFAULT_NAME
    try:
        content = tomllib.loads(place.read_text("utf-8"))
    except FileNotFoundError:
        if path is None:
            return Retention({})
        raise UserError(f"{place}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{place}: cannot be read: {error}") from None
    return _checked(content, f"{place}: ")


def _checked(found: Mapping[str, object], where: str) -> Retention:
    keep_us = {}
    for name, text in found.items():
        if name not in TABLES:
            expected = ", ".join(TABLES)
            raise UserError(f"{where}table {name!r} does not expire; expected one of {expected}")
        if not isinstance(text, str):
            raise UserError(f'{where}{name} = {text!r}: expected a time such as "90d"')
        keep_us[name] = parse_time(f"{where}{name}", text)
        if keep_us[name] < LEAST_US:
            raise UserError(f"{where}{name} = {text}: expected at least {LEAST_US // _DAY_US}d")
    # Readings that come late for an hour that cannot be derived again would never be booked.
    for name in DERIVED_FROM:
        if "power" in keep_us and keep_us.get(name, keep_us["power"]) < keep_us["power"]:
            raise UserError(
                f"{where}power is kept longer than {name}: expected at most {found[name]}, since "
                f"hours without {name} cannot be derived again"
            )
    return Retention(keep_us)
