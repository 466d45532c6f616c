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
    SEGMENT,
    TOKEN_USAGE,
)
from tokenergy_collectors.lake.tables_events import GRID_EVENT, GRID_EVENT_STATES
from tokenergy_collectors.lake.tables_index import JOB_EFFICIENCY, JOB_HOUR_INDEX, JOB_INDEX
from tokenergy_collectors.lake.tables_load import (
    LOAD_PROFILE,
    LOAD_SPAN,
    LOAD_SPAN_SPECTRUM,
    LOAD_SPAN_SWING,
    LOAD_SPECTRUM,
    LOAD_SWING,
)
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
from tokenergy_collectors.lake.tables_signal import (
    JOB_SIGNAL_HOUR,
    LONGEST_SIGNAL_US,
    SIGNAL,
    SIGNAL_STATES,
    SIGNAL_UNITS,
)
from tokenergy_collectors.lake.tables_site import METER_HOUR, SITE_HOUR, SITE_PART
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
        SIGNAL,
        GRID_EVENT,
        CLOCK,
        EVENT,
        SEGMENT,
        LOAD_PROFILE,
        LOAD_SPECTRUM,
        LOAD_SWING,
        LOAD_SPAN,
        LOAD_SPAN_SPECTRUM,
        LOAD_SPAN_SWING,
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
        SITE_PART,
        HOST_HOUR,
        PLACE_HOUR,
        JOB_SIGNAL_HOUR,
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
    "GRID_EVENT",
    "GRID_EVENT_STATES",
    "HOST",
    "HOST_HOUR",
    "HOUR_US",
    "IMPLAUSIBLE_SENSOR",
    "JOBS",
    "JOB_EFFICIENCY",
    "JOB_HOUR_INDEX",
    "JOB_INDEX",
    "JOB_SIGNAL_HOUR",
    "LEDGER",
    "LEDGER_HOUR",
    "LOAD_PROFILE",
    "LOAD_SPAN",
    "LOAD_SPAN_SPECTRUM",
    "LOAD_SPAN_SWING",
    "LOAD_SPECTRUM",
    "LOAD_SWING",
    "LONGEST_SIGNAL_US",
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
    "SIGNAL",
    "SIGNAL_STATES",
    "SIGNAL_UNITS",
    "SITE_HOUR",
    "SITE_PART",
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
