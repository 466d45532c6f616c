"""Explains a job: the whole way from readings to its index, with files, rows and numbers put in.

In: a lake and a job_id. Out: one document (a dict that JSON can tell), printed as JSON or as text.
Each formula is worked out again here from the rows shown, in Python, and held against what the
index says: a figure that does not multiply out is marked, not hidden.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.explain.derivation import Row, derivation
from tokenergy_sql.index.site import Site, load_site
from tokenergy_sql.report.words import METHODS, REASONS
from tokenergy_sql.terminal.jobnames import require_job

FORMATS = ("text", "json")

_ELSEWHERE = "see docs/index-definition.md and docs/ledger.md"

_CLOSE = 1e-12
"""Largest relative difference between a ratio worked out here and one worked out in SQL."""


def explanation(lake: Lake, job_id: str, site: Site) -> dict[str, Any]:
    """Return the document: what `derivation` returns, formulas, and codes in words.

    Raises:
        UserError: the lake does not know the job, or it is not indexed.
    """
    require_job(lake, job_id)
    found = derivation(lake, job_id, site)
    index = found["index"]
    codes = [code for code in index["reason_codes"].split(",") if code]
    methods = [method for method in index["method"].split("+") if method]
    return {
        "job_id": job_id,
        **found,
        "formulas": formulas(found),
        "reasons": {code: REASONS.get(code, _ELSEWHERE) for code in codes},
        "methods": {method: METHODS.get(method, _ELSEWHERE) for method in methods},
    }


def formulas(found: dict[str, Any]) -> list[Row]:
    """Return the formulas of a derivation, each with its inputs, its value and what is booked.

    A row is `name`, `formula` (its inputs by their names), `inputs`, `value` (worked out here;
    None where an input is not known), `booked` (what `job_index` says) and `agrees`.
    """
    index = found["index"]
    energies = [_sum_of_ledger(found, index, bound) for bound in ("", "low_", "high_")]
    energies += [_host(found, index)]
    energies += [_facility(found, index, bound) for bound in ("", "low_", "high_")]
    kind = "trained" if index["workload"] == "training" else "generated"
    counts = [
        _row(f"n_{name}", "sum of token_usage over hours", {}, _usage(found, name, "tokens"), index)
        for name in ("prompt_computed", "prompt_cached", "generated", "trained")
    ]
    counts += [
        _row(
            f"n_{bound}",
            f"sum of token_usage.{bound} of {kind} tokens over hours",
            {},
            _usage(found, kind, bound) if index["workload"] in ("training", "inference") else None,
            index,
        )
        for bound in ("low", "high")
    ]
    values = {row["name"]: row["value"] for row in (*energies, *counts)}
    return [*energies, *counts, *_ratios(values, index, f"n_{kind}")]


def _sum_of_ledger(found: dict[str, Any], index: Row, bound: str) -> Row:
    """Return the GPU energy or one of its bounds: the sum over the job's ledger rows."""
    column = f"{bound or 'energy_'}nj"
    parts = [row[column] for row in found["ledger"] if row[column] is not None]
    value = sum(parts) if parts else None
    return _row(f"e_gpu_{bound}nj", f"sum of ledger.{column} of the job", {}, value, index)


def _host(found: dict[str, Any], index: Row) -> Row:
    parts = [row["e_host_nj"] for row in found["hosts"]]
    value = sum(parts) if parts and None not in parts else None
    text = "sum over hours and nodes of host_mw * device_us // devices"
    return _row("e_host_nj", text, {}, value, index)


def _facility(found: dict[str, Any], index: Row, bound: str) -> Row:
    """Return the facility energy or one of its bounds, hour by hour as the index does it."""
    pue_ppm = found["site"]["pue_ppm"]
    rounding_nj = int(bound == "high_")
    gpu = f"e_gpu_{bound}nj"
    text = f"sum over hours of ({gpu} + e_host_nj) * pue_ppm // 1000000"
    text += " + 1" if rounding_nj else ""
    parts = []
    for hour in found["hours"]:
        # An hour in which nothing metered the GPUs counts with its lower bound.
        gpu_nj = hour[gpu] if hour[gpu] is not None else hour["e_gpu_low_nj"]
        if gpu_nj is not None and hour["e_host_nj"] is not None and pue_ppm is not None:
            parts.append((gpu_nj + hour["e_host_nj"]) * pue_ppm // 1_000_000 + rounding_nj)
        elif gpu_nj is not None:
            parts.append(None)
    known = parts and None not in parts and index["e_gpu_nj"] is not None
    inputs = {"pue_ppm": pue_ppm}
    if len(found["hours"]) == 1:
        inputs |= {name: found["hours"][0][name] for name in (gpu, "e_host_nj")}
    return _row(f"e_facility_{bound}nj", text, inputs, sum(parts) if known else None, index)


def _usage(found: dict[str, Any], kind: str, column: str) -> int | None:
    rows = [row[column] for row in found["token_usage"] if row["kind"] == kind]
    return rows[0] if rows else None


def _ratios(values: Row, index: Row, n: str) -> list[Row]:
    """Return the ratios that the index divides, in terms of the sums; none for a mixed job."""
    out = "te_train" if n == "n_trained" else "te_gpu_out"
    texts = {
        out: f"e_gpu_nj / 1e9 / {n}",
        "te_gpu_low": "e_gpu_low_nj / 1e9 / n_high",
        "te_gpu_high": "e_gpu_high_nj / 1e9 / n_low",
        "tokenergy": f"e_facility_nj / 1e9 / {n}",
        "te_low": "e_facility_low_nj / 1e9 / n_high",
        "te_high": "e_facility_high_nj / 1e9 / n_low",
    }
    rows = []
    for name, text in texts.items():
        energy, divisor = text.split(" / 1e9 / ")
        inputs = {energy: values[energy], divisor: values[divisor]}
        defined = index["workload"] in ("training", "inference") and values[n]
        value = _ratio(values[energy], values[divisor]) if defined else None
        rows.append(_row(name, text, inputs, value, index))
    per_kwh = 3.6e6 / rows[3]["value"] if rows[3]["value"] else None
    inputs = {"tokenergy": rows[3]["value"]}
    return [*rows, _row("tokens_per_kwh", "3.6e6 / tokenergy", inputs, per_kwh, index)]


def _ratio(energy_nj: int | None, tokens: int | None) -> float | None:
    return None if energy_nj is None or not tokens else energy_nj / 1e9 / tokens


def _row(name: str, text: str, inputs: Row, value: Any, index: Row) -> Row:
    booked = index[name]
    if value is None or booked is None:
        agrees = value is None and booked is None
    else:
        agrees = abs(value - booked) <= (0 if name.endswith("_nj") else _CLOSE * abs(booked))
    return {
        "name": name,
        "formula": text,
        "inputs": inputs,
        "value": value,
        "booked": booked,
        "agrees": agrees,
    }


def disagreements(rows: Sequence[Row]) -> list[str]:
    """Return the names of the formulas that do not come out as the index says."""
    return [row["name"] for row in rows if not row["agrees"]]


def print_explanation(root: Path, job_id: str, form: str, site_file: Path | None) -> None:
    """Print how a job's figures came about.

    Raises:
        UserError: the lake does not know the job, it is not indexed, or `form` is unknown.
    """
    from tokenergy_sql.explain.text import print_text

    if form not in FORMATS:
        raise UserError(f"--format {form!r}: expected {' or '.join(FORMATS)}")
    lake = Lake(root)
    document = explanation(lake, job_id, load_site(site_file, lake.root))
    if form == "json":
        print(json.dumps(document, indent=1))
    else:
        print_text(document)
