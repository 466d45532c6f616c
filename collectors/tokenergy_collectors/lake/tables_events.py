"""The table of events of the grid: when a utility asks a site to draw less."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Table, col, nullable

GRID_EVENT_STATES = ("none", "far", "near", "active", "completed", "cancelled")
"""What `grid_event.status` says: the states of OpenADR 2.0b."""

GRID_EVENT = Table(
    name="grid_event",
    layer="raw",
    row="one interval of one event of demand response, as it was known when it was recorded",
    sort=("event_id", "interval", "start_us", "recorded_us"),
    time="start_us",
    columns=(
        col("start_us", "int64", "when the interval begins"),
        nullable("end_us", "int64", "when it ends; NULL: until further notice"),
        col("event_id", "string", "the event's id, as its sender or the file names it"),
        col("interval", "int32", "number of the interval in the event, from 0"),
        col(
            "modification",
            "int32",
            "how often the event was changed: the highest counts, of equal ones what was recorded "
            "last",
        ),
        nullable("name", "string", "what the reader calls it"),
        nullable("program", "string", "the program or contract; of OpenADR its market context"),
        nullable(
            "reduce_mw",
            "int64",
            "reduction asked for; less than 0: an increase; NULL: not in power",
        ),
        nullable("reduce_ppm", "int64", "reduction asked for, parts per million of the baseline"),
        nullable("target_mw", "int64", "power that the site is asked to keep to"),
        nullable(
            "level", "int32", "level of a SIMPLE signal: 0 normal, 1 moderate, 2 high, 3 special"
        ),
        nullable("signal", "string", "name and type of the signal of OpenADR: LOAD_DISPATCH delta"),
        nullable("status", "string", f"{', '.join(GRID_EVENT_STATES)}; NULL: not told"),
        nullable("opt", "string", "what the collector answered: optIn or optOut; NULL: nothing"),
        nullable("test", "bool", "whether the sender calls it a test"),
        col("source", "string", "openadr, or csv: imported"),
        nullable("vtn", "string", "of OpenADR, the name of the table [[openadr]] that it came by"),
        col("node", "string", "host that was told, or where an imported file comes from"),
        col("recorded_us", "int64", "when it was recorded"),
    ),
)
