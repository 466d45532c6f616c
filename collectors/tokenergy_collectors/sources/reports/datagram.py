"""One report: what a program says of its count, checked.

In: the bytes of a datagram, and who sent it, as the kernel says. Out: a `Report`, or a `ValueError`
that says what is wrong with it. docs/training.md describes the format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenergy_collectors.base.timestamps import checked_instant
from tokenergy_collectors.lake.contract import TOKEN_KINDS
from tokenergy_collectors.report import LONGEST_BYTES

_LARGEST_COUNT = 2**53
_LONGEST_NAME = 512
_NAMES = ("job", "cluster", "model", "source", "session")


class Sender(NamedTuple):
    """Who sent a datagram: ids of its process, its user and its group."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a program counted since it began.

    Attributes:
        job_id, cluster, model: as in `tokens`.
        source: name of the count.
        kind: one of `TOKEN_KINDS`.
        rank: of the process.
        session: of the process; another one counts anew.
        began_us: when it began to count, by the wall clock (us UTC).
        total: tokens since then.
    """

    job_id: str
    cluster: str | None
    model: str | None
    source: str
    kind: str
    rank: int
    session: str
    began_us: int
    total: int


def parse(data: bytes) -> Report:
    """Return the report of a datagram.

    Raises:
        ValueError: it is none.
    """
    if len(data) > LONGEST_BYTES:
        raise ValueError(f"is longer than {LONGEST_BYTES} bytes")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(found, dict) or found.get("v") != 1:
        raise ValueError('is not an object with "v": 1')
    names = {name: _name(found, name) for name in _NAMES}
    if names["job"] is None or names["session"] is None:
        raise ValueError("has no job or no session")
    if names["cluster"] is not None and "/" in names["cluster"]:
        raise ValueError("cluster has a slash")
    kind = found.get("kind", "trained")
    if kind not in TOKEN_KINDS:
        raise ValueError(f"kind is none of {', '.join(TOKEN_KINDS)}")
    return Report(
        names["job"], names["cluster"], names["model"], names["source"] or "loop", kind,
        _whole(found, "rank", 2**31), names["session"], _began_us(found),
        _whole(found, "total", _LARGEST_COUNT),
    )  # fmt: skip


def _name(found: dict[str, Any], key: str) -> str | None:
    value = found.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or not value.isprintable():
        raise ValueError(f"{key} is not a printable text of 1 to {_LONGEST_NAME} characters")
    return value


def _whole(found: dict[str, Any], key: str, limit: int) -> int:
    value = found.get(key, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise ValueError(f"{key} is not a whole number from 0 to {limit}")
    return value


def _began_us(found: dict[str, Any]) -> int:
    value = found.get("began")
    # NaN and infinity are numbers for Python's JSON; no instant is.
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 2**40:
        raise ValueError("began is not a time in Unix seconds")
    return checked_instant(round(value * 1_000_000), f"began {value}")
