"""A macro refuses a wrong argument, whatever a statement selects of it and on any lake."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import ask

WRONG = {
    "tokenergy_by('modle')": "dimension modle: expected job, model",
    "tokenergy_by(NULL)": "dimension NULL: expected job",
    "modules_by('rak')": "grouped rak: expected rack, module",
    "modules_by('rack', since := 'noon')": "since: expected a TIMESTAMP",
    "place_tokens_by('rak')": "grouped rak: expected rack, module",
    "place_tokens_by('rack', until := 'noon')": "until: expected a TIMESTAMP",
    "site_figure_by('fortnight')": "period fortnight: expected hour",
    "site_tokens_by('fortnight')": "period fortnight: expected hour",
    "signal_by('carbom', 'job', 'all')": "purpose carbom: expected carbon, price",
    "signal_by('carbon', 'modle', 'all')": "dimension modle: expected job, model",
    "carbon_by('modle', 'all')": "dimension modle: expected job, model",
    "carbon_by('job', 'all', quantity := 'carbon')": "quantity carbon: expected carbon_average",
    "carbon_by('job', 'fortnight')": "period fortnight: expected hour",
    "cost_by('modle', 'all')": "dimension modle: expected job, model",
    "cost_by('job', 'all', since := 'noon')": "since: expected a TIMESTAMP",
    "fleet_power(0)": "fleet_power: expected an INTERVAL",
    "fleet_power(60, since := 'noon')": "fleet_power: expected an INTERVAL",
    "power_at('noon')": "power_at: expected a TIMESTAMP",
    "compare('nobody', NULL)": "is not in job_index",
}
ONLY_ON_ROWS = {"ledger_by_segment(since := 'noon')": "ledger_by_segment: expected instants"}
"""Refused where it would be read as "no limit": an empty ledger has no rows in any case."""

CONDITIONS = {
    "tokenergy_by": ("value = 'a'", "workload = 'training'"),
    "modules_by": ("name = 'a'", "workload = 'training'"),
    "place_tokens_by": ("name = 'a'", "workload = 'training'"),
    "site_figure_by": ("place = 'site'", "figure = 'pue'"),
    "signal_by": ("name = 'a'", "workload = 'training'"),
    "carbon_by": ("name = 'a'", "workload = 'training'"),
    "cost_by": ("name = 'a'", "workload = 'training'"),
    "fleet_power": ("start_utc > TIMESTAMP '2026-01-01'",),
    "power_at": ("node = 'a'", "device_id = 'a'"),
}


def asked(lake: Lake, sql: str) -> str:
    """Return what a statement is refused with, as a user sees it."""
    with pytest.raises(UserError) as found:
        ask(lake, "query", lambda con: con.execute(sql).fetchall(), sql)
    return str(found.value)


def refused(lake: Lake, statements: list[str]) -> list[str]:
    """Return what statements are refused with, one after the other on one connection."""

    def run(con: duckdb.DuckDBPyConnection) -> list[str]:
        said = []
        for sql in statements:
            with pytest.raises(duckdb.Error) as found:
                con.execute(sql).fetchall()
            said.append(str(found.value))
        return said

    return ask(lake, "query", run, "; ".join(statements))


@pytest.mark.parametrize("call", WRONG)
def test_it_refuses_whatever_is_selected(tmp_path: Path, cluster: Lake, call: str) -> None:
    # S608: no input from outside; calls and conditions are those of this module.
    selects = [f"SELECT {what} FROM {call}" for what in ("*", "1", "count(*)")]  # noqa: S608
    assert all(WRONG[call] in said for said in refused(Lake(tmp_path), selects))
    assert WRONG[call] in asked(cluster, f"SELECT 1 FROM {call}")  # noqa: S608


@pytest.mark.parametrize("call", ONLY_ON_ROWS)
def test_it_refuses_a_limit_that_is_no_instant(cluster: Lake, call: str) -> None:
    assert ONLY_ON_ROWS[call] in asked(cluster, f"SELECT count(*) FROM {call}")  # noqa: S608


@pytest.mark.parametrize("call", [one for one in WRONG if one.split("(")[0] in CONDITIONS])
def test_it_refuses_under_a_condition(tmp_path: Path, call: str) -> None:
    conditions = CONDITIONS[call.split("(")[0]]
    statements = [f"SELECT 1 FROM {call} WHERE {condition}" for condition in conditions]  # noqa: S608
    assert all(WRONG[call] in said for said in refused(Lake(tmp_path), statements))


def test_every_macro_with_arguments_is_tried() -> None:
    tables = {
        name
        for name in views.ADHOC
        if views.definition(name).kind == "MACRO TABLE" and "(" in views.definition(name).call
    }
    assert tables == {one.split("(")[0] for one in (*WRONG, *ONLY_ON_ROWS)}
