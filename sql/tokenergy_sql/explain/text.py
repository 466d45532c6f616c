"""The explanation of a job as text: one section for each step, in the order of the pipeline.

In: the document of `explain`. Out: lines and tables on standard output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.explain import columns
from tokenergy_sql.explain.columns import Column, seconds, timestamp
from tokenergy_sql.explain.puelines import pue_lines
from tokenergy_sql.report.meanings import PHASE_REASONS
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.table import console, interval, say, significant

_MOST_FILES = 6
"""Files that are listed; of more, the first and the last ones."""

_MOST_LEDGER_ROWS = 24
_SUMMED = ("rows", "device_us", "energy_nj", "low_nj", "high_nj")
_HOST_SUMS = ("device_us", "watched_us", "capacity_us", "node_host_nj")
_DIGEST_CHARACTERS = 16


def print_text(document: dict[str, Any]) -> None:
    """Print the document."""
    _print_head(document["job_id"], document["index"])
    _print_rows(
        "1. Allocations: the devices the job held", document["allocations"], columns.ALLOCATIONS
    )
    _print_files(document["job_files"], "job records")
    _print_rows("   Devices", document["devices"], columns.DEVICES)
    say("\n2. Readings")
    _print_files(document["power_files"], "power")
    _print_files(document["token_files"], "tokens")
    say("\n3. Segments: power integrated over each window")
    segments = document["segment_files"]
    _print_files(segments, "segments", _segment_totals(segments))
    _print_rows(
        "\n4. Ledger: energy booked by device, account and method",
        _by_kind(document["ledger"]),
        columns.LEDGER,
    )
    _print_files(document["ledger_files"], "ledger")
    for method, meaning in document["methods"].items():
        say(f"   {method}: {meaning}")
    _print_rows("\n5. Tokens: counter readings", document["counters"], columns.COUNTERS)
    _print_rows("   Counted while the job ran", document["token_usage"], columns.TOKEN_USAGE)
    _print_boundaries(document)
    _print_formulas(document)
    _print_hours(document)
    _print_caveats(document["reasons"])


def _print_head(job_id: str, index: NamedRow) -> None:
    what = " ".join(str(index[name]) for name in ("name", "model", "gpu") if index[name])
    emulated = " (emulated)" if index["emulated"] else ""
    say(f"Job {job_id}: {what or 'no name, no model'}{emulated}")
    end = "running" if index["end_us"] is None else timestamp(index["end_us"])
    who = f"user {index['user'] or '-'}, account {index['account'] or '-'}"
    say(f"{index['workload']}, {timestamp(index['start_us'])} to {end}; {who}")
    say("")


def _print_rows(title: str, rows: Sequence[NamedRow], shown: Sequence[Column]) -> None:
    if not rows:
        say(f"{title}: none")
        return
    say(title)
    console().print(grid_of(rows, shown), crop=False)


def grid_of(rows: Sequence[NamedRow], shown: Sequence[Column]) -> Grid:
    """Return rows of the document as a table."""
    headings = [Heading(one.heading, one.justify, one.rank) for one in shown]
    return Grid(headings, [[one.cell(row) for one in shown] for row in rows], wide=True)


def _print_files(rows: Sequence[NamedRow], what: str, more: str = "") -> None:
    """Print the number of rows and their files, the first and the last ones if there are many."""
    if not rows:
        say(f"   {what}: no rows")
        return
    first_us, last_us = min(r["first_us"] for r in rows), max(r["last_us"] for r in rows)
    span = f"{timestamp(first_us)} to {timestamp(last_us)}"
    files = "1 file" if len(rows) == 1 else f"{len(rows)} files"
    say(f"   {what}: {_row_count(sum(r['rows'] for r in rows))} in {files}, {span}{more}")
    lines = [f"{row['file']}  {_row_count(row['rows'])}{_compacted(row)}" for row in rows]
    if len(lines) > _MOST_FILES:
        half = _MOST_FILES // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} more", *lines[-half:]]
    for line in lines:
        say(f"     {line}")


def _compacted(row: NamedRow) -> str:
    """Return how many files were compacted into one, if it is one of these."""
    return f", compacted from {len(row['made_from'])} files" if "made_from" in row else ""


def _row_count(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _segment_totals(rows: Sequence[NamedRow]) -> str:
    covered_us, length_us = (sum(row[name] for row in rows) for name in ("covered_us", "length_us"))
    energy_nj = sum(row["energy_nj"] for row in rows)
    readings = sum(row["readings"] for row in rows)
    return (
        f"\n     {readings:,} readings cover {seconds(covered_us)} s of {seconds(length_us)} s; "
        f"{energy_nj:,} nJ before the job's share is applied"
    )


def _by_kind(rows: Sequence[NamedRow]) -> Sequence[NamedRow]:
    """Return rows of the ledger; if there are many, those alike added up over all devices."""
    if len(rows) <= _MOST_LEDGER_ROWS:
        return rows
    kinds: dict[tuple[str, ...], list[NamedRow]] = {}
    for row in rows:
        kinds.setdefault((row["account"], row["method"], row["attribution"]), []).append(row)
    return [
        {
            **alike[0],
            "device_id": f"{len({row['device_id'] for row in alike})} devices",
            **{name: _sum(row[name] for row in alike) for name in _SUMMED},
            "k_min": min((r["k_min"] for r in alike if r["k_min"] is not None), default=None),
            "k_max": max((r["k_max"] for r in alike if r["k_max"] is not None), default=None),
        }
        for alike in kinds.values()
    ]


def _sum(values: Iterable[int | None]) -> int | None:
    """Return the sum of the values that are not None; None if all are."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) if numbers else None


def _print_boundaries(document: dict[str, Any]) -> None:
    """Print what the hosts of the job's nodes drew, hours added up, and the PUE."""
    by_node: dict[tuple[str, str, int | None], NamedRow] = {}
    for row in document["hosts"]:
        nothing = dict.fromkeys((*_HOST_SUMS, "e_host_nj"), 0)
        method = row["host_method"]
        key = row["node"], method, row["host_mw"] if method == "declared" else None
        node = by_node.setdefault(key, {**row, **nothing})
        for name in _HOST_SUMS:
            node[name] += row[name] or 0
        # One hour of unknown energy makes the node's unknown.
        if row["e_host_nj"] is None or node["e_host_nj"] is None:
            node["e_host_nj"] = None
        else:
            node["e_host_nj"] += row["e_host_nj"]
    _print_rows("\n6. Boundaries: hosts and PUE", list(by_node.values()), columns.HOSTS)
    for line in pue_lines(document["hosts"], document["pue_parts"]):
        say(f"   {line}")


def _print_formulas(document: dict[str, Any]) -> None:
    index, names = document["index"], {row["name"] for row in document["formulas"]}
    say("\n7. The index, computed again from the rows above")
    for row in document["formulas"]:
        say(f"   {row['name']} = {row['formula']}")
        if row["inputs"] and row["value"] is not None:
            with_values = _with_values(row["formula"], row["inputs"])
            # Words have no values to put in: once is enough.
            if with_values != row["formula"]:
                say(f"     = {with_values}")
        say(f"     = {_exact(row['value'])}")
        if not row["agrees"]:
            say(
                f"     DIFFERS from the index, which has {_exact(row['booked'])}: its inputs "
                "changed after it was built; run `tokenergy index`"
            )
    served_or_trained = "te_train" if "te_train" in names else "te_gpu_out"
    gpu = interval(index["te_gpu_low"], index["te_gpu_high"])
    facility = interval(index["te_low"], index["te_high"])
    say(f"   J/token GPU      {significant(index[served_or_trained])} {gpu}")
    say(f"   J/token facility {significant(index['tokenergy'])} {facility}")
    if (index["joint_coverage"] or 0.0) < 1.0 and index["n_joint"]:
        share = f"{100 * (index['joint_coverage'] or 0.0):.3g} %"
        there = significant(index["e_joint_nj"] / 1e9 / index["n_joint"])
        say(
            f"   both energy and tokens are known in {share} of the job's device time; J/token GPU "
            f"there {there}"
        )
    _print_phases(index)


def _print_phases(index: NamedRow) -> None:
    """Print what a prompt token and a generated token cost, or why that is not known."""
    for phase, token in (("prefill", "computed prompt"), ("decode", "generated")):
        if (value := index[f"te_gpu_{phase}"]) is not None:
            low, high = index[f"te_gpu_{phase}_low"], index[f"te_gpu_{phase}_high"]
            say(f"   {phase}: J per {token} token {significant(value)} {interval(low, high)}")
    if index["phase_base_w"] is not None:
        windows = f"{index['phase_windows']:,} windows"
        say(f"     estimated from {windows}, beside {index['phase_base_w']:.4g} W a device")
    if index["workload"] == "inference":
        unknown = [phase for phase in ("prefill", "decode") if index[f"te_gpu_{phase}"] is None]
        if unknown and index["phase_reasons"]:
            say(f"   {' and '.join(unknown)}: J per token not known, because")
        for code in filter(None, (index["phase_reasons"] or "").split(",")):
            say(f"     {code}: {PHASE_REASONS[code]}")


def _with_values(formula: str, inputs: NamedRow) -> str:
    """Return a formula with the values of its inputs in place of their names."""
    return re.sub(
        r"[a-z]\w*",
        lambda name: _exact(inputs[name[0]]) if name[0] in inputs else name[0],
        formula,
    )


def _print_hours(document: dict[str, Any]) -> None:
    index, hours = document["index"], document["hours"]
    _print_rows("\n8. Hours: the revision and the inputs of each", hours, columns.HOURS)
    if hours and hours[-1]["inputs"]:
        parts = (f"{kind} {digest}" for kind, digest in hours[-1]["inputs"].items())
        say(f"   inputs of the last hour: {', '.join(parts)}")
    digest = index["inputs_digest"][:_DIGEST_CHARACTERS]
    say(
        f"   index version {index['index_version']}; digest of the job's inputs {digest}; latest "
        f"input {timestamp(index['as_of_us'])}"
    )


def _print_caveats(reasons: dict[str, str]) -> None:
    say("\n9. Caveats")
    for code, meaning in reasons.items():
        say(f"   {code}: {meaning}")
    if not reasons:
        say("   none: the job has no reason codes")


def _exact(value: float | int | None) -> str:
    if value is None:
        return "not known"
    return f"{value:,}" if isinstance(value, int) else f"{value:.10g}"
