"""Power caps: J per token and tokens/s at each cap that was in force, and the best of them.

In: hours of jobs at full rate, with the limits of their boards. Out: one row a group and cap. A
group is a model on so many boards of one kind, or a job. Only caps that were measured are compared.

An hour counts if all boards of the job had one limit throughout, if the job had a steady state, and
if its peak is at least 90 % of that of the best hour at this cap: below that it ran at a low rate,
which costs more per token at any cap. Hours in which heat held a board back do not count.

Bounds of J per token are those of the meters, widened to what single hours showed. Two caps whose
bounds overlap are not distinguishable.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql

if TYPE_CHECKING:
    import duckdb

HOURS = read_sql("tokenergy_sql.flexibility", "cap_hour")

FULL_RATE = 0.9
"""The least peak of an hour, as a share of the best hour's at the same cap."""
MOST_HOT = 0.01
"""In how many of its readings heat may hold a board back."""

_NJ = 1e9
_S = 1e6
_MW_PER_W = 1000

Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        model: only this model; None: all.
        job: only this job, and by job; None: by model.
        least_tokens_s: tokens/s that a cap must reach; None: any.
        since_us: the first hour; None: all.
        until_us: the hour after the last one; None: all.
    """

    model: str | None = None
    job: str | None = None
    least_tokens_s: float | None = None
    since_us: int | None = None
    until_us: int | None = None


def caps(con: duckdb.DuckDBPyConnection, wanted: Wanted) -> list[NamedRow]:
    """Return one row a group and cap, the lowest cap of each group first.

    Args:
        con: the lake.
        wanted: what is asked for.

    Raises:
        UserError: no hour fits.
    """
    span = {"since": wanted.since_us, "until": wanted.until_us}
    rows = [
        row
        for row in named_rows(con, HOURS, span)
        if wanted.job in (None, row["job_id"]) and wanted.model in (None, row["model"])
    ]
    if not rows:
        raise UserError(
            f"{_asked(wanted)}: the lake has no efficiency of it; run `tokenergy index`"
        )
    groups: defaultdict[Key, list[NamedRow]] = defaultdict(list)
    for row in rows:
        groups[_key(row, wanted)].append(row)
    found = []
    for key in sorted(groups, key=str):
        found += _group(groups[key], wanted)
    if not found:
        why = Counter(_why_not(row) or "low_rate" for row in rows)
        words = ", ".join(f"{count} {code}" for code, count in sorted(why.items()))
        raise UserError(f"{_asked(wanted)}: no hour counts: {words} (docs/flexibility.md)")
    return found


def _asked(wanted: Wanted) -> str:
    if wanted.job is not None:
        return f"--job {wanted.job}"
    return "caps" if wanted.model is None else f"--model {wanted.model}"


def _key(row: NamedRow, wanted: Wanted) -> Key:
    what = row["job_id"] if wanted.job is not None else row["model"]
    return (what, row["gpu"], row["workload"], str(row["boards"]))


def _why_not(row: NamedRow) -> str:
    """Return why an hour does not count: a code; empty if it may."""
    if row["limit_low_mw"] is None or row["unlimited"]:
        return "no_limit"
    if row["limit_low_mw"] != row["limit_high_mw"]:
        return "limit_changed"
    if not row["n_steady"] or row["e_steady_nj"] is None or not row["steady_us"]:
        return "no_steady_state"
    if row["hot_share"] is not None and row["hot_share"] > MOST_HOT:
        return "hot"
    return ""


def _group(rows: Sequence[NamedRow], wanted: Wanted) -> list[NamedRow]:
    """Return the rows of one group, compared with each other."""
    left_out = Counter(why for row in rows if (why := _why_not(row)))
    by_cap: defaultdict[int, list[NamedRow]] = defaultdict(list)
    for row in rows:
        if not _why_not(row):
            by_cap[row["limit_low_mw"]].append(row)
    found = []
    for cap in sorted(by_cap):
        best = max(row["peak_tokens_s"] for row in by_cap[cap])
        full = [row for row in by_cap[cap] if row["peak_tokens_s"] >= FULL_RATE * best]
        left_out["low_rate"] += len(by_cap[cap]) - len(full)
        found.append(_at_cap(cap, full, wanted))
    words = ",".join(f"{code}:{count}" for code, count in sorted(left_out.items()) if count)
    _compare(found, wanted.least_tokens_s)
    return [row | {"left_out": words or None} for row in found]


def _at_cap(cap: int, rows: Sequence[NamedRow], wanted: Wanted) -> NamedRow:
    tokens, steady_us = _sum(rows, "n_steady"), _sum(rows, "steady_us")
    single = [float(row["e_steady_nj"]) / row["n_steady"] / _NJ for row in rows]
    rates = [row["n_steady"] / row["steady_us"] * _S for row in rows]
    bounds = [_sum(rows, f"e_steady_{side}_nj") / tokens / _NJ for side in ("low", "high")]
    shares = [row["capped_share"] for row in rows if row["capped_share"] is not None]
    first = rows[0]
    return {
        "model": first["model"],
        "job_id": wanted.job,
        "gpu": first["gpu"],
        "workload": first["workload"],
        "boards": first["boards"],
        "cap_w": cap / _MW_PER_W,
        "hours": len(rows),
        "steady_s": steady_us / _S,
        "watts": _sum(rows, "e_steady_nj") / steady_us / _MW_PER_W,
        "tokens_s": tokens / steady_us * _S,
        "tokens_s_low": min(rates),
        "tokens_s_high": max(rates),
        "te": _sum(rows, "e_steady_nj") / tokens / _NJ,
        "te_low": min(bounds[0], *single),
        "te_high": max(bounds[1], *single),
        "capped_share": sum(shares) / len(shares) if shares else None,
        "emulated": any(row["emulated"] for row in rows),
    }


def _sum(rows: Iterable[NamedRow], name: str) -> float:
    return float(sum(row[name] for row in rows))


def _compare(rows: list[NamedRow], least: float | None) -> None:
    """Add to the rows of a group how each compares with the highest cap and with the best."""
    if not rows:
        return
    full = rows[-1]
    fit = [row for row in rows if least is None or row["tokens_s_low"] >= least]
    best = min(fit, key=lambda row: (row["te"], row["cap_w"]), default=None)
    for row in rows:
        row |= {
            "saved_j_per_token": full["te"] - row["te"],
            "saved_low": None if row is full else full["te_low"] - row["te_high"],
            "saved_high": None if row is full else full["te_high"] - row["te_low"],
            "lost_tokens_s": full["tokens_s"] - row["tokens_s"],
            "reaches": _reaches(row, least),
            "verdict": _verdict(row, best, len(rows)),
        }


def _reaches(row: NamedRow, least: float | None) -> str | None:
    """Return whether every, no or some hour at a cap reached the rate."""
    if least is None:
        return None
    if row["tokens_s_low"] >= least:
        return "yes"
    return "no" if row["tokens_s_high"] < least else "not distinguishable"


def _verdict(row: NamedRow, best: NamedRow | None, count: int) -> str:
    if count == 1:
        return "only cap measured"
    if best is None:
        return "no cap reaches the rate"
    if row is best:
        return "least J/token"
    if row["te_low"] <= best["te_high"] and best["te_low"] <= row["te_high"]:
        return "not distinguishable"
    return "more J/token" if row["te"] > best["te"] else "too slow"
