"""Hours and nodes as the user names them: each must be one, and the lake must have it.

In: texts of options, a lake. Out: starts of hours (microseconds UTC), or an error that says what
the lake has. Nothing is written, so a slip leaves nothing behind.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tokenergy_collectors.base.durations import parse_duration
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import is_instant
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import show_hour

READINGS = ("power", "load_profile", "load_spectrum")
"""Tables of which one must have an hour for a load profile of it."""

SEGMENTS = ("segment", "tokens", "ledger", "ledger_hour", "token_usage", "job_hour_index")
"""Tables of which one must have an hour for the checks of it."""

_HOUR = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d(?::\d\d(?::00(?:[.,]0+)?)?)?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_EXPECTED = "expected the start of an hour, such as 2026-01-15T08 (UTC)"
_EPOCH = datetime(1970, 1, 1)
_MOST_SHOWN = 5


def parse_hours(texts: Sequence[str] | None) -> list[int] | None:
    """Return the starts of hours given as ISO 8601 (UTC if no offset), in microseconds; or None.

    Raises:
        UserError: a text is no full hour of the years 2000 to 2100.
    """
    return [_parse_hour(text) for text in texts] if texts else None


def parse_window(lake: Lake, last: str | None, start: str | None, end: str | None) -> range | None:
    """Return the hours that `--last`, `--from` and `--to` name; None if none of them is given.

    Args:
        lake: its latest booked hour is the last one, unless `end` says when they end.
        last: how long before the end they begin, such as `24h`.
        start: the first hour; not with `last`.
        end: the hour after the last one.

    Returns:
        Starts of hours, microseconds UTC.

    Raises:
        UserError: `last` is no whole number of hours, an instant is no full hour, the options
            contradict each other, or no hour is booked.
    """
    if last is None and start is None and end is None:
        return None
    if (last is None) == (start is None):
        raise UserError("expected one of --last and --from; --to may be added")
    end_us = _booked_until(lake) if end is None else _parse_hour(end)
    first_us = _parse_hour(start) if start is not None else end_us - _parse_length(last or "")
    if first_us >= end_us:
        raise UserError(f"--from {start}: is not before the end, {show_hour(end_us)}")
    if not is_instant(first_us):
        raise UserError(f"--last {last}: begins before the year 2000")
    return range(first_us, end_us, HOUR_US)


def _booked_until(lake: Lake) -> int:
    booked = lake.hours("ledger_hour")
    if not booked:
        raise UserError(f"lake {lake.root}: has no ledger_hour; run `tokenergy index` on it first")
    return booked[-1] + HOUR_US


def parse_length(text: str) -> int:
    """Return how many hours `--last` names.

    Raises:
        UserError: it is no whole number of hours.
    """
    return _parse_length(text) // HOUR_US


def _parse_length(text: str) -> int:
    length_us = parse_duration(text)
    if length_us % HOUR_US:
        raise UserError(f"--last {text!r}: expected whole hours, such as 24h")
    return length_us


def _parse_hour(text: str) -> int:
    if not _HOUR.fullmatch(text):
        raise UserError(f"hour {text!r}: {_EXPECTED}")
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        raise UserError(f"hour {text!r}: does not exist: {_EXPECTED}") from None
    offset = moment.utcoffset() or timedelta()
    since = moment.replace(tzinfo=None) - _EPOCH - offset
    hour_us = since // timedelta(microseconds=1)
    if hour_us % HOUR_US:
        raise UserError(f"hour {text!r}: is no full hour in UTC: {_EXPECTED}")
    if not is_instant(hour_us):
        raise UserError(f"hour {text!r}: {_EXPECTED}, of the years 2000 to 2099")
    return hour_us


def parse_instant(option: str, text: str) -> int:
    """Return an instant given as ISO 8601 (UTC if no offset) in microseconds.

    Args:
        option: that it was given for.
        text: the instant; a date is its midnight.

    Raises:
        UserError: it is no instant of the years 2000 to 2099.
    """
    try:
        moment = datetime.fromisoformat(text)
        since = moment.replace(tzinfo=None) - _EPOCH - (moment.utcoffset() or timedelta())
        ts_us = since // timedelta(microseconds=1)
    except ValueError:
        ts_us = -1
    if not is_instant(ts_us):
        raise UserError(
            f"{option} {text!r}: expected an instant of the years 2000 to 2099, such as "
            "2026-02-01T00:00:00Z"
        )
    return ts_us


def parse_span(start: str | None, until: str | None) -> tuple[int, int]:
    """Return the span of `--from` and `--until` in microseconds.

    Raises:
        UserError: one is missing or no instant, or they are in the wrong order.
    """
    if start is None or until is None:
        raise UserError(f"expected both --from and --until, got only one: {start or until}")
    from_us, until_us = parse_instant("--from", start), parse_instant("--until", until)
    if from_us >= until_us:
        raise UserError(f"--from {start}: is not before --until {until}")
    return from_us, until_us


def require_hours(lake: Lake, hours: Sequence[int] | None, tables: Sequence[str]) -> None:
    """Return if each hour has a file of one of some tables.

    Raises:
        UserError: an hour has none; the message says which hours there are.
    """
    missing = [h for h in hours or () if not any(lake.files(name, [h]) for name in tables)]
    if not missing:
        return
    if lake.files("power", missing[:1]):
        raise UserError(
            f"hour {show_hour(missing[0])}: has readings but no segments yet; run `tokenergy index`"
        )
    require_known(lake, missing, {hour for name in tables for hour in lake.hours(name)})


def require_known(lake: Lake, hours: Iterable[int], known: set[int]) -> None:
    """Return if some hours are among those that a lake has.

    Raises:
        UserError: one is not; the message says which hours there are.
    """
    for hour in hours:
        if hour not in known:
            raise UserError(
                f"hour {show_hour(hour)}: not in the lake {lake.root}; {_hours_there(known)}"
            )


def require_nodes(lake: Lake, nodes: Sequence[str] | None, known: set[str]) -> None:
    """Return if each node is among those that a lake has.

    Raises:
        UserError: one is not; the message names those most alike, or how many there are.
    """
    for node in nodes or ():
        if node not in known:
            raise UserError(
                f"node {node!r}: not in the lake {lake.root}; {_nodes_there(node, known)}"
            )


def _hours_there(known: set[int]) -> str:
    if not known:
        return "it has no hours yet"
    first, last = show_hour(min(known)), show_hour(max(known))
    return f"it has {first}" if len(known) == 1 else f"it has {len(known)} hours, {first} to {last}"


def _nodes_there(node: str, known: set[str]) -> str:
    if not known:
        return "it has no nodes yet"
    if len(known) <= _MOST_SHOWN:
        return f"it has {', '.join(sorted(known))}"
    alike = difflib.get_close_matches(node, sorted(known), _MOST_SHOWN)
    return f"did you mean {', '.join(alike)}?" if alike else f"it has {len(known)} others"
