"""The rows of `host_hour` of an hour.

In: the books of the hour's boards, readings of node meters and of processors, what the site file
declares. Out: rows, as the contract has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOST_HOUR, HOUR_US
from tokenergy_collectors.lake.paths import node_of
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.hosting.cpu import COLUMNS, Cpu, cpu_energy
from tokenergy_sql.hosting.deciding import Shown, host_of
from tokenergy_sql.hosting.host import Boards
from tokenergy_sql.hosting.measured import Input
from tokenergy_sql.hosting.modelled import Model
from tokenergy_sql.hosting.nodemeters import (
    BoardSpans,
    Known,
    are_metered,
    board_spans,
    covered,
    known_input,
    meters_of,
    parts_of,
)
from tokenergy_sql.metering.hour import courses_of
from tokenergy_sql.metering.intervals import joined, length
from tokenergy_sql.places import Places

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BESIDE_US = 600_000_000
"""How far beyond the hour readings of processors are looked for: as far as those of boards."""


class Declared(NamedTuple):
    """What the site file says of an hour's hosts, by the names of the lake's nodes.

    Attributes:
        host_mw: declared power of a host.
        models: of hosts.
        places: with their meters.
    """

    host_mw: Mapping[str, int]
    models: Mapping[str, Model]
    places: Places


class _Seen(NamedTuple):
    """What a node showed besides its boards, and when those were known."""

    spans: BoardSpans
    known: Known | None
    cpu: Cpu | None


def host_rows(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    hour_us: int,
    declared: Declared,
    stamps: Mapping[str, Any],
) -> pa.Table:
    """Return the rows of an hour.

    Args:
        con: has `ledger`, `ledger_hour` and `node_watched` of the hour.
        lake: has the readings.
        hour_us: start of the hour, microseconds UTC.
        declared: what the site file says.
        stamps: `index_version` and `inputs_digest`.
    """
    import pyarrow as pa

    boards = {
        node: (watched_us, Boards(*amounts))
        for node, watched_us, *amounts in con.execute(_text("node_hour_boards")).fetchall()
    }
    seen = _seen(con, lake, hour_us, declared.places, [*boards])
    drawn = _boards_known(con, {n: one.known for n, one in seen.items() if _is_cut(one)})
    rows = []
    for node, (watched_us, whole) in boards.items():
        found = seen.get(node, _Seen(BoardSpans((), ()), None, None))
        input_ = None
        if found.known is not None:
            part = drawn.get(node, Boards(0, 0, 0, 0, 0)) if _is_cut(found) else whole
            known_us = length(found.known.spans)
            input_ = Input(found.known.amount, part, known_us, found.known.ids)
        model, host_mw = declared.models.get(node), declared.host_mw.get(node)
        shown = Shown(watched_us, whole, input_, found.cpu, model, host_mw)
        rows.append({"node": node, "hour_us": hour_us, **_row(shown), **stamps})
    return pa.Table.from_pylist(rows, schema=HOST_HOUR.schema())


def _row(shown: Shown) -> dict[str, Any]:
    """Return a row, without the node and the hour."""
    host, input_, cpu = host_of(shown), shown.input, shown.cpu
    known = input_ is not None and input_.known_us > 0
    return {
        "method": host.method,
        "host_nj": host.nj,
        "host_low_nj": host.low_nj,
        "host_high_nj": host.high_nj,
        "watched_us": shown.watched_us,
        "covered_us": host.covered_us,
        "meters": None if input_ is None else json.dumps(input_.ids, ensure_ascii=False),
        "input_us": 0 if input_ is None else input_.known_us,
        "input_nj": input_.meters.value if input_ and known else None,
        "input_low_nj": input_.meters.low if input_ and known else None,
        "input_high_nj": input_.meters.high if input_ and known else None,
        "input_boards_nj": input_.boards.nj if input_ and known else None,
        "boards_nj": shown.boards.nj,
        "domains": None if cpu is None else ",".join(cpu.domains),
        "cpu_us": 0 if cpu is None else cpu.covered_us,
        "cpu_nj": None if cpu is None else cpu.nj,
        "cpu_low_nj": None if cpu is None else cpu.low_nj,
        "cpu_high_nj": None if cpu is None else cpu.high_nj,
        "declared_mw": shown.declared_mw,
        "model": None if shown.model is None else json.dumps(shown.model._asdict()),
        "doubts": ",".join(sorted(host.doubts)) or None,
    }


def _seen(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    hour_us: int,
    places: Places,
    nodes: Iterable[str],
) -> dict[str, _Seen]:
    """Return what those nodes showed that have meters or processors that are read."""
    interval = hour_us, hour_us + HOUR_US
    parts = parts_of(places, interval) if are_metered(places) else []
    metered = {
        node for node in nodes if any(meters_of(node, tree, moment) for _, tree, moment in parts)
    }
    near = [hour_us - HOUR_US, hour_us, hour_us + HOUR_US]
    read = {node_of(path) for path in lake.files("host", near)}.intersection(nodes)
    courses = courses_of(lake, places, hour_us) if metered else {}
    every = _board_spans(con, sorted(metered | read))
    between_us = interval[0] - _BESIDE_US, interval[1] + _BESIDE_US
    rows_of = lake.read_nodes("host", near, read.intersection(every), COLUMNS, between_us)
    cpus = {node: cpu_energy(rows, every[node].watched) for node, rows in rows_of}
    found = {}
    for node, spans in every.items():
        known = known_input(node, parts, courses, spans) if node in metered else None
        found[node] = _Seen(spans, known, cpus.get(node))
    return found


def _is_cut(seen: _Seen) -> bool:
    """Return whether a node's meters are known for some of its watched time, and not for all."""
    known = seen.known
    return known is not None and not covered(known.spans, seen.spans.watched)


def _board_spans(con: duckdb.DuckDBPyConnection, nodes: list[str]) -> dict[str, BoardSpans]:
    """Return when the boards of some nodes were booked and known."""
    import pyarrow as pa

    if not nodes:
        return {}
    con.register("host_wanted", pa.table({"node": pa.array(nodes, pa.string())}))
    rows = con.execute(_text("board_span")).fetchall()
    con.unregister("host_wanted")
    found = {}
    for node, of_node in groupby(rows, lambda row: row[0]):
        spans = [row[1:] for row in of_node]
        watched = joined((from_us, to_us) for _, _, from_us, to_us in spans)
        found[node] = board_spans(spans, watched)
    return found


def _boards_known(
    con: duckdb.DuckDBPyConnection, known: Mapping[str, Known | None]
) -> dict[str, Boards]:
    """Return what the boards of some nodes drew in the time for which their meters are known."""
    import pyarrow as pa

    parts = [(node, *span) for node, one in known.items() if one for span in one.spans]
    if not parts:
        return {}
    node, from_us, to_us = zip(*parts, strict=True)
    con.register("host_known", pa.table({"node": node, "from_us": from_us, "to_us": to_us}))
    rows = con.execute(_text("boards_known")).fetchall()
    con.unregister("host_known")
    # Of this time the boards' energy is known throughout.
    return {
        node: Boards(energy_nj, low_nj, high_nj, device_us, device_us)
        for node, energy_nj, low_nj, high_nj, device_us in rows
    }


def _text(name: str) -> str:
    return read_sql("tokenergy_sql.hosting", name)
