"""The contract: every table of the lake, its columns, types, units and meanings.

Everybody imports the contract from here; `tables_*.py` and `events.py` hold its parts. Arrow
schemas and `docs/contract.md` are made from it, and the SQL models are checked against it.

Units are part of the column names: `_us` microseconds (stamps: UTC since 1970), `_mw` milliwatts,
`_mj` millijoules, `_nj` nanojoules, `_uj` microjoules, `_j` joules, `_hz` hertz, `_n` billionths of
a unit that a meter's declaration names. mW x us = nJ, so energy needs no scaling factor.
"""

from __future__ import annotations

from tokenergy_collectors.lake.events import EVENT_KINDS
from tokenergy_collectors.lake.table import (
    ACCOUNTS,
    BOUNDS,
    HOUR_US,
    IMPLAUSIBLE_SENSOR,
    TOKEN_KINDS,
    WHOLE_PPM,
    Column,
    Layer,
    Table,
    Type,
)
from tokenergy_collectors.lake.tables_derived import (
    LEDGER,
    LEDGER_HOUR,
    LOAD_PROFILE,
    LOAD_SPECTRUM,
    SEGMENT,
    TOKEN_USAGE,
)
from tokenergy_collectors.lake.tables_index import JOB_EFFICIENCY, JOB_HOUR_INDEX, JOB_INDEX
from tokenergy_collectors.lake.tables_node import HOST_HOUR, NODE_HOUR
from tokenergy_collectors.lake.tables_phases import PHASE_BLOCK, PHASE_ROLE
from tokenergy_collectors.lake.tables_places import PLACE_HOUR
from tokenergy_collectors.lake.tables_raw import (
    CLOCK,
    DEVICE,
    EVENT,
    HOST,
    JOBS,
    METER,
    POWER,
    STATE,
    TOKENS,
)
from tokenergy_collectors.lake.tables_requests import REQUEST_KINDS, REQUEST_SUMS, REQUESTS
from tokenergy_collectors.lake.tables_site import METER_HOUR, SITE_HOUR
from tokenergy_collectors.lake.tables_storage import STORAGE_COURSE, STORAGE_STUDY, STORAGE_SWEEP

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        POWER,
        DEVICE,
        STATE,
        TOKENS,
        REQUESTS,
        JOBS,
        HOST,
        METER,
        CLOCK,
        EVENT,
        SEGMENT,
        LOAD_PROFILE,
        LOAD_SPECTRUM,
        LEDGER,
        LEDGER_HOUR,
        NODE_HOUR,
        TOKEN_USAGE,
        JOB_HOUR_INDEX,
        JOB_INDEX,
        JOB_EFFICIENCY,
        PHASE_BLOCK,
        PHASE_ROLE,
        METER_HOUR,
        SITE_HOUR,
        HOST_HOUR,
        PLACE_HOUR,
        STORAGE_STUDY,
        STORAGE_SWEEP,
        STORAGE_COURSE,
    )
}
"""All tables by name, in the order in which the data flows."""

__all__ = [
    "ACCOUNTS",
    "BOUNDS",
    "CLOCK",
    "DEVICE",
    "EVENT",
    "EVENT_KINDS",
    "HOST",
    "HOST_HOUR",
    "HOUR_US",
    "IMPLAUSIBLE_SENSOR",
    "JOBS",
    "JOB_EFFICIENCY",
    "JOB_HOUR_INDEX",
    "JOB_INDEX",
    "LEDGER",
    "LEDGER_HOUR",
    "LOAD_PROFILE",
    "LOAD_SPECTRUM",
    "METER",
    "METER_HOUR",
    "NODE_HOUR",
    "PHASE_BLOCK",
    "PHASE_ROLE",
    "PLACE_HOUR",
    "POWER",
    "REQUESTS",
    "REQUEST_KINDS",
    "REQUEST_SUMS",
    "SEGMENT",
    "SITE_HOUR",
    "STATE",
    "STORAGE_COURSE",
    "STORAGE_STUDY",
    "STORAGE_SWEEP",
    "TABLES",
    "TOKENS",
    "TOKEN_KINDS",
    "TOKEN_USAGE",
    "WHOLE_PPM",
    "Column",
    "Layer",
    "Table",
    "Type",
]
