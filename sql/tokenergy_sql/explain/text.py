"""The explanation of a job as text: sections in the order in which the figures came about.

In: the document of `explain`. Out: lines and tables on standard output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from tokenergy_sql.terminal.table import console, interval, significant

Row = dict[str, Any]

_FILES_SHOWN = 6
_ROWS_SHOWN = 24
_SUMMED = ("rows", "device_us", "energy_nj", "low_nj", "high_nj")


def print_text(document: dict[str, Any]) -> None:
    """Print the document."""
    index = document["index"]
    _head(document["job_id"], index)
    _section("1. Allocations: who held what", document["allocations"], _ALLOCATIONS)
    _files(document["job_files"], "recorded in")
    _section("   Devices", document["devices"], _DEVICES)
    print("\n2. Readings")
    _files(document["power_files"], "power")
    _files(document["token_files"], "tokens")
    print("\n3. Segments: the integral of power between cuts")
    _files(document["segment_files"], "segments", _of_segments(document["segment_files"]))
    _section(
        "\n4. Ledger: booked by account, method and device", _folded(document["ledger"]), _LEDGER
    )
    _files(document["ledger_files"], "ledger")
    for method, words in document["methods"].items():
        print(f"   {method}: {words}")
    _section("\n5. Tokens: counters as read", document["counters"], _COUNTERS)
    _section("   Counted inside the job", document["token_usage"], _USAGE)
    _boundaries(document)
    _formulas(document)
    _section("\n8. Hours: what each was last derived from", document["hours"], _HOURS)
    _digests(document["hours"])
    print(f"   models and contract {index['index_version']}; inputs of the job", end=" ")
    print(f"{index['inputs_digest'][:16]}; latest input {_stamp(index['as_of_us'])}")
    print("\n9. What to bear in mind")
    for code, words in document["reasons"].items():
        print(f"   {code}: {words}")
    if not document["reasons"]:
        print("   nothing: no reason code")


def _head(job_id: str, index: Row) -> None:
    what = " ".join(str(index[name]) for name in ("name", "model", "gpu") if index[name])
    print(
        f"Job {job_id}: {what or 'no name, no model'}{' (emulated)' if index['emulated'] else ''}"
    )
    end = "running" if index["end_us"] is None else _stamp(index["end_us"])
    print(f"{index['workload']}, {_stamp(index['start_us'])} to {end}", end="; ")
    print(f"user {index['user'] or '-'}, account {index['account'] or '-'}\n")


def _section(title: str, rows: Sequence[Row], columns: Sequence[_Column]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print(f"{title}: none")
        return
    print(title)
    table = Table(show_edge=False, pad_edge=False)
    for name, _ in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(show(row)) for _, show in columns))
    console().print(table)


def _files(rows: Sequence[Row], what: str, more: str = "") -> None:
    """Print the number of rows and their files, the first and the last ones if there are many."""
    count = sum(row["rows"] for row in rows)
    if not rows:
        print(f"   {what}: no rows")
        return
    span = (
        f"{_stamp(min(r['first_us'] for r in rows))} to {_stamp(max(r['last_us'] for r in rows))}"
    )
    files = "1 file" if len(rows) == 1 else f"{len(rows)} files"
    print(f"   {what}: {count:,} rows in {files}, {span}{more}")
    shown = list(rows)
    if len(rows) > _FILES_SHOWN:
        half = _FILES_SHOWN // 2
        shown = [*rows[:half], {"file": f"... {len(rows) - 2 * half} more", "rows": None}]
        shown += rows[-half:]
    for row in shown:
        print(f"     {row['file']}" + ("" if row["rows"] is None else f"  {row['rows']:,} rows"))


def _of_segments(rows: Sequence[Row]) -> str:
    covered, length = (sum(row[name] for row in rows) for name in ("covered_us", "length_us"))
    energy = sum(row["energy_nj"] for row in rows)
    readings = sum(row["readings"] for row in rows)
    return (
        f"\n     {readings:,} readings; {_seconds(covered)} s of {_seconds(length)} s covered; "
        f"integral {energy:,} nJ before shares"
    )


def _folded(rows: Sequence[Row]) -> Sequence[Row]:
    """Return rows of the ledger; of many devices, one a kind of row, all devices added up."""
    if len(rows) <= _ROWS_SHOWN:
        return rows
    kinds: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        kinds.setdefault((row["account"], row["method"], row["attribution"]), []).append(row)
    return [
        {
            **alike[0],
            "device_id": f"{len({row['device_id'] for row in alike})} devices",
            **{name: _total(row[name] for row in alike) for name in _SUMMED},
            "k_min": min((r["k_min"] for r in alike if r["k_min"] is not None), default=None),
            "k_max": max((r["k_max"] for r in alike if r["k_max"] is not None), default=None),
        }
        for alike in kinds.values()
    ]


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _boundaries(document: dict[str, Any]) -> None:
    """Print what the site declares of the job's nodes, hours added up."""
    by_node: dict[str, Row] = {}
    for row in document["hosts"]:
        known = by_node.setdefault(row["node"], {**row, "device_us": 0, "e_host_nj": 0})
        known["device_us"] += row["device_us"]
        if row["e_host_nj"] is None or known["e_host_nj"] is None:
            known["e_host_nj"] = None
        else:
            known["e_host_nj"] += row["e_host_nj"]
    _section("\n6. Boundaries: the rest of the nodes, as declared", list(by_node.values()), _HOSTS)
    pue_ppm = document["site"]["pue_ppm"]
    print(f"   PUE: {'not declared' if pue_ppm is None else f'{pue_ppm / 1e6:g}, declared'}")


def _formulas(document: dict[str, Any]) -> None:
    index, by_name = document["index"], {row["name"]: row for row in document["formulas"]}
    print("\n7. The index, worked out from the above")
    for row in document["formulas"]:
        print(f"   {row['name']} = {row['formula']}")
        if row["inputs"] and row["value"] is not None:
            text = row["formula"]
            for name, value in sorted(row["inputs"].items(), key=lambda item: -len(item[0])):
                text = text.replace(name, _exact(value))
            print(f"     = {text}")
        print(f"     = {_exact(row['value'])}")
        if not row["agrees"]:
            print(f"     DIFFERS from the index, which has {_exact(row['booked'])}: inputs or")
            print("     site constants have changed since; run `tokenergy index`")
    out = "te_train" if "te_train" in by_name else "te_gpu_out"
    gpu = interval(index["te_gpu_low"], index["te_gpu_high"])
    whole = interval(index["te_low"], index["te_high"])
    print(f"   J/token GPU      {significant(index[out])} {gpu}")
    print(f"   J/token facility {significant(index['tokenergy'])} {whole}")


def _digests(hours: Sequence[Row]) -> None:
    if hours and hours[-1]["inputs"]:
        parts = (f"{kind} {digest}" for kind, digest in hours[-1]["inputs"].items())
        print(f"   inputs of the last hour: {', '.join(parts)}")


def _exact(value: float | int | None) -> str:
    if value is None:
        return "not known"
    return f"{value:,}" if isinstance(value, int) else f"{value:.10g}"


def _stamp(ts_us: int | None) -> str:
    if ts_us is None:
        return "-"
    moment = datetime.fromtimestamp(ts_us // 1_000_000, UTC)
    parts = f"{moment:%Y-%m-%dT%H:%M:%S}", f"{ts_us % 1_000_000:06d}".rstrip("0")
    return ".".join(part for part in parts if part) + "Z"


def _seconds(us: int) -> str:
    return f"{us / 1e6:,.6f}".rstrip("0").rstrip(".")


_Column = tuple[str, Callable[[Row], str]]


def _plain(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else str(row[name])


def _number(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else f"{row[name]:,}"


def _stamped(name: str, empty: str = "-") -> Callable[[Row], str]:
    return lambda row: empty if row[name] is None else _stamp(row[name])


def _watts(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] is None else f"{row[name] / 1e3:,g}"


def _timed(name: str) -> Callable[[Row], str]:
    return lambda row: _seconds(row[name])


def _columns(*columns: tuple[str, Callable[[Row], str]]) -> tuple[_Column, ...]:
    return columns


def _joined(values: Iterable[str]) -> str:
    return " ".join(values) or "-"


_ALLOCATIONS = _columns(
    ("node", _plain("node")),
    ("device", _plain("device_id")),
    ("from", _stamped("start_us")),
    ("to", _stamped("end_us", "running")),
    ("share ppm", _number("share_ppm")),
    ("by", _plain("scheduler")),
    ("learned", _plain("method")),
    ("recorded", _stamped("recorded_us")),
)
_DEVICES = _columns(
    ("node", _plain("node")),
    ("device", _plain("device_id")),
    ("name", _plain("name")),
    ("limit W", _watts("limit_mw")),
    ("sensor", _plain("sensor_kind")),
    ("reading us", _number("learned_us")),
    ("counter us", _number("counter_us")),
)
_LEDGER = _columns(
    ("device", _plain("device_id")),
    ("account", _plain("account")),
    ("method", _plain("method")),
    ("attribution", _plain("attribution")),
    ("rows", _number("rows")),
    ("device s", _timed("device_us")),
    ("energy nJ", _number("energy_nj")),
    ("low nJ", _number("low_nj")),
    ("high nJ", _number("high_nj")),
    ("k", lambda r: "-" if r["k_min"] is None else f"{r['k_min']:.4f} to {r['k_max']:.4f}"),
)
_COUNTERS = _columns(
    ("kind", _plain("kind")),
    ("source", _plain("source_id")),
    ("engine", lambda r: r["engine"] or "-"),
    ("readings", _number("readings")),
    ("first", _stamped("first_us")),
    ("value", _number("first_value")),
    ("last", _stamped("last_us")),
    ("value", _number("last_value")),
    ("epochs", _number("epochs")),
    ("at zero", _stamped("since_us")),
)
_USAGE = _columns(
    ("kind", _plain("kind")),
    ("tokens", _number("tokens")),
    ("low", _number("low")),
    ("high", _number("high")),
)
_HOSTS = _columns(
    ("node", _plain("node")),
    ("host W", _watts("host_mw")),
    ("device s held", _timed("device_us")),
    ("devices of the node", _number("devices")),
    ("energy nJ", _number("e_host_nj")),
)
_HOURS = _columns(
    ("hour", _stamped("hour_us")),
    ("GPU nJ", _number("e_gpu_nj")),
    ("facility nJ", _number("e_facility_nj")),
    ("revision", _plain("revision")),
    ("derived", _plain("derived_at")),
    ("because of", lambda r: _joined(r["causes"])),
    ("inputs", lambda r: r["inputs_digest"][:16]),
    ("notes", lambda r: r["reason_codes"].replace(",", " ") or "-"),
)
