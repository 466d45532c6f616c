"""The rows behind the page of the building.

In: a connection to what the report covers, the folder of the lake. Out: `SiteFacts`, or None where
no meter of the building gave a figure. Hours are UTC; energies in joules.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.report.querying import query, sql_of
from tokenergy_sql.report.site.feeds import Feeds, feeds_of, read_places

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_METERS = 100
MOST_PLACES = 100
MOST_STEPS = 120
LEAST_KNOWN = 0.99
"""Share of an hour for which the meters of PUE must be known, for the energy of the hour to be
drawn: the boards' energy is that of the whole hour."""

BASES = ("pue", "facility", "it")
"""Figures of the site whose hours are drawn; the first that is known in an hour."""

_ALL_US = 2**62
"""One step of `trend.sql` for all hours there can be."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The energy of the site in the hours in which it is known.

    Attributes:
        base: the figure that says which hours: see `BASES`; "" if there are none.
        hours: how many.
        in_j: what came in, less what was given back; None: not known.
        it_j: IT energy; None: not known.
        sums: rows of `site_sums.sql`.
        losses: the row of `site_losses.sql`; None: no UPS has meters before and behind it.
        curves: the same of declared losses (`energy_j`, `covered`) that no meters show; None: none.
        boards: rows of `site_boards.sql`.
        hosts: rows of `site_hosts.sql`.
        tokens: rows of `trend.sql`, one a workload.
    """

    base: str
    hours: int = 0
    in_j: float | None = None
    it_j: float | None = None
    sums: tuple[NamedRow, ...] = ()
    losses: NamedRow | None = None
    curves: NamedRow | None = None
    boards: tuple[NamedRow, ...] = ()
    hosts: tuple[NamedRow, ...] = ()
    tokens: tuple[NamedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What meters of the building say of the hours that a report covers.

    Attributes:
        from_us: start of the first hour with a figure.
        to_us: end of the last one.
        hours: hours with a figure of the site.
        figures: rows of `site_figure_by('all')`, by place and figure.
        period: of the steps: hour, day or week.
        steps: rows of `site_figure_by(period)` of PUE, of the site and its halls.
        step_tokens: rows of `site_tokens_by(period)`.
        tokens: rows of `site_tokens_by('all')`.
        frame: the energy from grid to token.
        hall_tokens: rows of `trend.sql` of the jobs wholly inside a hall, by `hall:NAME`.
        meters: rows of `site_meters.sql`, with `total`.
        methods: rows of `site_methods.sql`.
        feeds: what the site file says; None: nothing.
        no_feeds: why not.
    """

    from_us: int
    to_us: int
    hours: int
    figures: dict[str, dict[str, NamedRow]]
    period: str
    steps: list[NamedRow]
    step_tokens: list[NamedRow]
    tokens: list[NamedRow]
    frame: Frame
    hall_tokens: dict[str, list[NamedRow]]
    meters: list[NamedRow]
    methods: list[NamedRow]
    feeds: Feeds | None
    no_feeds: str


def read_site(con: duckdb.DuckDBPyConnection, root: Path) -> SiteFacts | None:
    """Return what meters of the building say; None if there are no figures of them.

    Args:
        con: to what the report covers.
        root: the folder of the lake, for its site file.
    """
    span = named_rows(
        con,
        "SELECT min(hour_us) AS first_us, max(hour_us) AS last_us, count(DISTINCT hour_us) AS hours"
        " FROM site_hour",
    )[0]
    if not span["hours"]:
        return None
    from_us, to_us = span["first_us"], span["last_us"] + HOUR_US
    places, no_feeds = read_places(root)
    nodes = [row["node"] for row in named_rows(con, "SELECT DISTINCT node FROM node_hour")]
    feeds = feeds_of(places, from_us, to_us, nodes) if places else None
    _register(con, feeds)
    period = _period((to_us - from_us) // HOUR_US)
    return SiteFacts(
        from_us=from_us,
        to_us=to_us,
        hours=span["hours"],
        figures=_by_place(named_rows(con, "FROM site_figure_by('all')")),
        period=period,
        steps=named_rows(
            con,
            "FROM site_figure_by($period) WHERE figure = 'pue' AND place NOT LIKE 'module:%'",
            {"period": period},
        ),
        step_tokens=named_rows(con, "FROM site_tokens_by($period)", {"period": period}),
        tokens=named_rows(con, "FROM site_tokens_by('all')"),
        frame=_frame(con, feeds),
        hall_tokens=_hall_tokens(con, feeds),
        meters=query(con, "site_meters", {"most": MOST_METERS}),
        methods=query(con, "site_methods"),
        feeds=feeds,
        no_feeds=no_feeds,
    )


def _period(hours: int) -> str:
    """Return the shortest steps of which there are not too many."""
    lengths = {"hour": 1, "day": 24}
    return next((name for name, of in lengths.items() if hours <= MOST_STEPS * of), "week")


def _by_place(rows: list[NamedRow]) -> dict[str, dict[str, NamedRow]]:
    found: dict[str, dict[str, NamedRow]] = {}
    for row in rows:
        found.setdefault(row["place"], {})[row["figure"]] = row
    return found


def _register(con: duckdb.DuckDBPyConnection, feeds: Feeds | None) -> None:
    """Create `ups_pair` and `node_hall`, the site file's part of the statements."""
    pairs = feeds.pairs if feeds else []
    standing = feeds.standing if feeds else []
    con.register("ups_pair", _table(pairs, ("meter", "below")))
    con.register("node_hall", _table(standing, ("node", "hall")))


def _table(rows: list[Any], names: tuple[str, str]) -> pa.Table:
    import pyarrow as pa

    types = dict.fromkeys(names, pa.string()) | dict.fromkeys(("from_us", "to_us"), pa.int64())
    columns = {name: [getattr(row, name) for row in rows] for name in types}
    return pa.table(columns, schema=pa.schema(list(types.items())))


def _frame(con: duckdb.DuckDBPyConnection, feeds: Feeds | None) -> Frame:
    least_us = round(LEAST_KNOWN * HOUR_US)
    for base in BASES:
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE site_frame AS {sql_of('site_frame')}",
            {"base": base, "least_us": least_us},
        )
        [found] = named_rows(
            con,
            "SELECT count(*) AS hours, sum(in_nj) / 1e9 AS in_j, sum(it_nj) / 1e9 AS it_j"
            " FROM site_frame",
        )
        if found["hours"]:
            return _framed(con, base, found, feeds)
    return Frame("")


def _framed(
    con: duckdb.DuckDBPyConnection, base: str, found: NamedRow, feeds: Feeds | None
) -> Frame:
    losses = query(con, "site_losses")[0] if feeds and feeds.pairs else None
    [curves] = query(con, "site_curves")
    return Frame(
        base=base,
        **found,
        curves=curves if curves["energy_j"] is not None else None,
        sums=tuple(query(con, "site_sums", {"base": base})),
        losses=losses if losses and losses["covered"] is not None else None,
        boards=tuple(query(con, "site_boards")),
        hosts=tuple(query(con, "site_hosts")),
        tokens=tuple(_tokens(con, "SEMI JOIN site_frame AS f USING (hour_us)")),
    )


def _hall_tokens(con: duckdb.DuckDBPyConnection, feeds: Feeds | None) -> dict[str, list[NamedRow]]:
    """Return J/token by hall of the jobs all of whose boards are in it, hour by hour."""
    if feeds is None or not feeds.standing:
        return {}
    con.execute(f"CREATE OR REPLACE TEMP TABLE hall_hour AS {sql_of('site_hall_hours')}")
    halls = named_rows(
        con, "SELECT DISTINCT hall FROM hall_hour ORDER BY hall LIMIT $most", {"most": MOST_PLACES}
    )
    found = {}
    for row in halls:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE one_hall AS "
            "SELECT job_id, hour_us FROM hall_hour WHERE hall = $hall",
            {"hall": row["hall"]},
        )
        rows = _tokens(con, "SEMI JOIN one_hall AS f USING (job_id, hour_us)")
        found[f"hall:{row['hall']}"] = rows
    return found


def _tokens(con: duckdb.DuckDBPyConnection, chosen: str) -> list[NamedRow]:
    """Return J/token by workload of some job-hours, as `trend.sql` adds them up.

    Args:
        con: the connection.
        chosen: a join of `job_hour_index` that leaves only these.
    """
    # A temporary table hides the lake's view by that name.
    con.execute(f"CREATE TEMP TABLE job_hour_index AS FROM main.job_hour_index {chosen}")
    try:
        return query(con, "trend", {"step_us": _ALL_US})
    finally:
        con.execute("DROP TABLE temp.job_hour_index")
