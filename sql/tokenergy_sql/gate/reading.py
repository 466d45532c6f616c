"""Reads one side of a comparison from a lake.

In: a connection and a choice of jobs and hours. Out: a `Side`.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.namedrows import named_rows
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.gate.selection import Selection
from tokenergy_sql.gate.side import Side
from tokenergy_sql.index.calibration import Calibration, create_calibration
from tokenergy_sql.index.modelrun import build_model

if TYPE_CHECKING:
    import duckdb

HOURS, BLOCKS, CARDS = (
    read_sql("tokenergy_sql.gate", name) for name in ("hours", "blocks", "cards")
)
NAMES = "SELECT DISTINCT model FROM job_index WHERE model IS NOT NULL ORDER BY model"
TEXT = "\n".join((HOURS, BLOCKS, CARDS, NAMES, "device device_now"))
"""All statements: whoever opens the connection sees which tables they read."""

_MOST_SUGGESTED = 3


def prepare(con: duckdb.DuckDBPyConnection, calibration: Calibration) -> None:
    """Define what the statements need beside the lake's tables: units, and limits of meters.

    Args:
        con: the lake.
        calibration: of its cards.
    """
    views.define(con, views.UNITS)
    create_calibration(con, calibration)
    build_model(con, "sensor_class")


def read_side(con: duckdb.DuckDBPyConnection, chosen: Selection, side: str) -> Side:
    """Return the rows of one side.

    Args:
        con: the lake, prepared.
        chosen: which hours of which jobs.
        side: BASE or HEAD, for messages.

    Raises:
        UserError: no job has the model, or no hour fits.
    """
    if chosen.model is not None:
        _require_model(con, chosen.model, side)
    parameters = {
        "job": chosen.job,
        "model": chosen.model,
        "since": chosen.since_us,
        "until": chosen.until_us,
    }
    hours, blocks, cards = (named_rows(con, sql, parameters) for sql in (HOURS, BLOCKS, CARDS))
    if not hours:
        raise UserError(f"{side} {chosen.text!r}: the lake has no indexed hour of it")
    return Side(chosen.text, hours, blocks, cards)


def _require_model(con: duckdb.DuckDBPyConnection, model: str, side: str) -> None:
    names = [row[0] for row in con.sql(NAMES).fetchall()]
    if model in names:
        return
    similar = difflib.get_close_matches(model, names, _MOST_SUGGESTED, 0.4)
    hint = f"did you mean {', '.join(similar)}?" if similar else f"it has {len(names)} other models"
    raise UserError(f"{side} 'model:{model}': no job of the lake has this model; {hint}")
