"""What has to be said about the devices and nodes of a job list, when it is read.

In: the rows of a list, and what their names mean (`lake/allocations`). Out: lines of text. A device
that nobody finds would otherwise show only later, as a job without energy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tokenergy_collectors.lake.corrections import allocation_key
from tokenergy_collectors.lake.devicehistory import Remark
from tokenergy_collectors.lake.identity import Identity
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.lake.nodenames import NodeNames

_MOST_NAMED = 5

_CASES: dict[str, str] = {
    "ambiguous": "a device name fits several devices",
    "unknown": "a device name fits no device of its node",
    "elsewhere": "a device is listed under another node",
    "assumed": "a device name was read by an assumption",
}

Explained = tuple[Mapping[str, Any], Remark | None]
"""A row of `jobs` with a resolved device, and what has to be said about the name of it."""


def of_devices(
    listed: Iterable[Mapping[str, Any]], explained: Iterable[Explained]
) -> dict[str, str]:
    """Return a line for each case in which device names are (see `Remark`).

    Args:
        listed: the rows as they were listed.
        explained: the same rows, resolved.
    """
    found: dict[str, Counter[str]] = {}
    for row, (_, remark) in zip(listed, explained, strict=True):
        if remark is not None:
            name = f"{row['device_id']!r} on {row['node']} {remark.text}"
            found.setdefault(remark.case, Counter())[name] += 1
    return {
        case: f"{_CASES[case]} in {_many(names.total())}: {_first(list(names))}"
        for case, names in found.items()
    }


def of_two_names(listed: Sequence[Mapping[str, Any]], explained: Iterable[Explained]) -> str | None:
    """Return why a list that says two things of one allocation, by two names of its board, is none.

    Args:
        listed: the rows of one list as they were listed.
        explained: the same rows, resolved.
    """
    seen: dict[object, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for text, (row, _) in zip(listed, explained, strict=True):
        first, before = seen.setdefault(allocation_key(row), (text, row))
        if row != before and _named(text) != _named(first):
            names = [
                repr(one["device_id"])
                + (f" on {one['node']}" if first["node"] != text["node"] else "")
                for one in (first, text)
            ]
            return (
                f"job {row['job_id']!r} has one board by two names, {' and '.join(names)}, and "
                "these allocations differ: expected only one of them"
            )
    return None


def _named(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["node"], row["device_id"]


def of_nodes(identity: Identity, listed: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line if nodes of a list are not in the lake, although others are."""
    unknown = [row for row in listed if not identity.nodes(row).recorded(row["node"])]
    if not unknown or not identity.history.nodes:
        return
    names = []
    known = NodeNames(identity.history.nodes)
    for node in sorted({row["node"] for row in unknown}):
        like = [one for one in known.like(node) if one != node]
        names.append(f"{node} (could be {' or '.join(like)})" if like else node)
    yield f"the lake has no devices of the node in {_many(len(unknown))}: {_first(names)}"


def of_rest(rest: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line if the lake has further allocations of the listed jobs (`Records.rest`)."""
    names = [
        f"{job_key(row['cluster'], row['job_id'])} on {row['device_id']} "
        f"from {datetime.fromtimestamp(row['start_us'] // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        for row in rest
    ]
    if names:
        yield (
            "the lake has further allocations of listed jobs at the same time, which count too: "
            f"{_first(names)}; to withdraw one, list it with its start as its end"
        )


def _many(count: int) -> str:
    return f"{count} allocation" if count == 1 else f"{count} allocations"


def _first(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
