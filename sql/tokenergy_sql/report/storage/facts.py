"""The rows behind the page of storage studies.

In: a connection to what the report covers. Out: `StorageFacts`, or None where there is no study.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.report.querying import query

if TYPE_CHECKING:
    import duckdb

MOST_STUDIES = 100
MOST_DRAWN = 3
"""Studies with charts of their own: the first ones that need a store."""


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """Rows of studies of whole loads, and by study_id the sweeps and stretches of those drawn."""

    studies: list[NamedRow]
    drawn: list[NamedRow]
    sweeps: dict[str, list[NamedRow]]
    courses: dict[str, list[NamedRow]]


def read_storage(con: duckdb.DuckDBPyConnection) -> StorageFacts | None:
    """Return the rows of the page; None if there is no study."""
    studies = query(con, "storage_studies", {"most": MOST_STUDIES})
    if not studies:
        return None
    drawn = [row for row in studies if row["optimal_energy_nj"]][:MOST_DRAWN]
    wanted = {"studies": [row["study_id"] for row in drawn]}
    return StorageFacts(
        studies,
        drawn,
        _by_study(query(con, "storage_sweep", wanted)),
        _by_study(query(con, "storage_course", wanted)),
    )


def _by_study(rows: list[NamedRow]) -> dict[str, list[NamedRow]]:
    found: dict[str, list[NamedRow]] = {}
    for row in rows:
        found.setdefault(row["study_id"], []).append(row)
    return found
