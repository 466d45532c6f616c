"""JSON of what a lake remembers of all its hours: a line a month.

In: `Monthly` mappings. Out: the bytes of a file, and the mappings again.

It is megabytes after a year, and a new hour changes one month of it. So each month is one line,
which stays text until somebody asks for a value of it:

    {"revision": 12,
    "tables": {
    "ledger": {
    "2026-01-01": {"00": "3fa9c1d2e4b57760", ...}, "2026-01-02": {...},
    "2026-02-01": {...}
    }
    },
    "digest": "..."}

The digest is of all bytes before it: a file that somebody else wrote, or changed, is not taken for
one of these. Whoever reads it parses it whole, as any JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tokenergy_collectors.lake.monthly import Monthly

_DIGEST = b',\n"digest": "'


def dump(head: Mapping[str, Any], sections: Mapping[str, Mapping[str, Monthly[Any, Any]]]) -> bytes:
    """Return JSON that `parse` reads.

    Args:
        head: values that are parsed at once.
        sections: mappings by name, in sections by name.
    """
    parts = [json.dumps({**head})[:-1].encode()]
    for name, tables in sections.items():
        lines = [
            b"%b: {\n%b\n}" % (json.dumps(table).encode(), b",\n".join(of_table.texts()))
            for table, of_table in tables.items()
        ]
        comma = b"," if head or len(parts) > 1 else b""
        parts.append(b"%b\n%b: {\n%b\n}" % (comma, json.dumps(name).encode(), b",\n".join(lines)))
    body = b"".join(parts)
    return body + _DIGEST + _digest(body) + b'"}\n'


Kind = Callable[[Iterable[bytes]], Monthly[Any, Any]]


def parse(
    data: bytes, kinds: Mapping[str, Kind]
) -> tuple[dict[str, Any], dict[str, dict[str, Monthly[Any, Any]]]] | None:
    """Return what `dump` was given; None if these are not its bytes.

    Args:
        data: the bytes.
        kinds: by section, what makes a mapping of the texts of its months.
    """
    at = data.rfind(_DIGEST)
    if at < 0 or data[at:] != _DIGEST + _digest(data[:at]) + b'"}\n':
        return None
    lines = data[:at].split(b"\n")
    head = json.loads(lines[0].removesuffix(b",") + b"}")
    sections: dict[str, dict[str, Monthly[Any, Any]]] = {}
    place = 1
    while place < len(lines):
        name = json.loads(lines[place].removesuffix(b": {"))
        place, sections[name] = _section(lines, place + 1, kinds[name])
    return head, sections


def _section(
    lines: list[bytes], place: int, kind: Kind
) -> tuple[int, dict[str, Monthly[Any, Any]]]:
    """Return the tables of a section, and the line after it."""
    found: dict[str, Monthly[Any, Any]] = {}
    while lines[place] and lines[place][0] != ord("}"):
        table = json.loads(lines[place].removesuffix(b": {"))
        end = place + 1
        while lines[end][:1] != b"}":
            end += 1
        # An empty table has one empty line.
        found[table] = kind(line.removesuffix(b",") for line in lines[place + 1 : end] if line)
        place = end + 1
    # So has an empty section.
    return place + (1 if lines[place] else 2), found


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()
