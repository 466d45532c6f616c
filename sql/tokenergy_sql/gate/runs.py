"""Jobs beside one another: what each made and drew, and its J/token over that of the first.

In: keys of jobs, a connection to a lake (`reading.prepare`). Out: rows. Unlike a verdict, this does
not look for equal operating points: each run is taken as a whole.

The ratio has two sorts of bounds, and the closer ones count. Those of each job alone: its lower
over the first's upper. And where meters saw all energy of both, those of `meters`: what a card's
meter is off is the same on both sides, and cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.gate.meters import Card, bounds_of, cards_of
from tokenergy_sql.gate.reading import CARDS

if TYPE_CHECKING:
    import duckdb

_RUN = read_sql("tokenergy_sql.gate", "run")
TEXT = "\n".join((_RUN, CARDS, "device device_now"))
"""All statements: whoever opens the connection sees which tables they read."""

_OTHER_WORKLOAD = "other_workload"
"""The reason of a ratio that is none: a trained token and a generated one do not compare."""


@dataclass(frozen=True, slots=True)
class _Side:
    row: NamedRow
    cards: dict[str, Card]


def read_runs(con: duckdb.DuckDBPyConnection, jobs: Sequence[str]) -> list[NamedRow]:
    """Return one row a job, in the order of the names; none of a job that is not indexed.

    Args:
        con: the lake, prepared.
        jobs: keys; the first is what the others are compared with.
    """
    sides = [side for job in jobs if (side := _side(con, job)) is not None]
    return [{**_figures(one.row), **_ratio(sides[0], one)} for one in sides]


def _side(con: duckdb.DuckDBPyConnection, job: str) -> _Side | None:
    found = named_rows(con, _RUN, {"job": job})
    if not found:
        return None
    row = found[0]
    if not row["is_whole"] or not row["e_joint_nj"]:
        return _Side(row, {})
    chosen = {"job": job, "model": None, "since": None, "until": None}
    cards = named_rows(con, CARDS, chosen)
    hours = {(one["job_id"], one["hour_us"]) for one in cards}
    return _Side(row, cards_of(cards, hours, job))


def _figures(row: NamedRow) -> NamedRow:
    """Return a row with what is divided by its duration, without what only the ratio needs."""
    kept = {key: one for key, one in row.items() if key not in ("is_whole", "e_joint_nj")}
    seconds = row["duration_s"] or None
    return {
        **kept,
        "tokens_per_s": _over(row["tokens"], seconds),
        "requests_per_s": _over(row["requests"], seconds),
        "mean_w": _over(row["gpu_j"], seconds),
    }


def _over(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None else part / whole


def _ratio(first: _Side, one: _Side) -> NamedRow:
    """Return a job's J/token over the first's, its bounds, and its reasons."""
    unknown = {"ratio": None, "ratio_low": None, "ratio_high": None}
    if one.row["workload"] != first.row["workload"]:
        codes = [code for code in (one.row["reason_codes"], _OTHER_WORKLOAD) if code]
        return {**unknown, "reason_codes": ",".join(codes)}
    mine, base = one.row["j_per_token"], first.row["j_per_token"]
    if mine is None or not base:
        return unknown
    if one is first:
        return {"ratio": 1.0, "ratio_low": 1.0, "ratio_high": 1.0}
    low, high = _alone(first.row, one.row)
    if first.cards and one.cards:
        low, high = _closer((low, high), _together(first, one, mine / base))
    return {"ratio": mine / base, "ratio_low": low, "ratio_high": high}


_Bounds = tuple[float | None, float | None]


def _alone(first: NamedRow, one: NamedRow) -> _Bounds:
    """Return bounds where nothing cancels."""
    low = _over(one["j_per_token_low"], first["j_per_token_high"])
    return low, _over(one["j_per_token_high"], first["j_per_token_low"] or None)


def _together(first: _Side, one: _Side, ratio: float) -> _Bounds:
    """Return bounds by the meters of both, and by what is not known of their tokens."""
    least, most = bounds_of(first.cards, one.cards)
    low = _times(ratio * least, _over(one.row["tokens"], one.row["tokens_high"]),
                 _over(first.row["tokens_low"], first.row["tokens"]))  # fmt: skip
    high = _times(ratio * most, _over(one.row["tokens"], one.row["tokens_low"] or None),
                  _over(first.row["tokens_high"], first.row["tokens"]))  # fmt: skip
    return low, None if high == float("inf") else high


def _times(*factors: float | None) -> float | None:
    product = 1.0
    for one in factors:
        if one is None:
            return None
        product *= one
    return product


def _closer(one: _Bounds, other: _Bounds) -> _Bounds:
    lows = [low for low, _ in (one, other) if low is not None]
    highs = [high for _, high in (one, other) if high is not None]
    return max(lows, default=None), min(highs, default=None)
