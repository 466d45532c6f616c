"""The table of signals from outside: carbon intensity, prices, clean shares; and their units."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Table, col, nullable

SIGNAL_UNITS: dict[str, str] = {
    "carbon_average": "mg CO2e/kWh",
    "carbon_marginal": "mg CO2e/kWh",
    "price": "millionths of the currency per kWh",
    "renewable_share": "ppb",
    "cfe_share": "ppb",
    "clean_power": "mW",
}
"""The quantities of signals, each with the unit of `signal.value`."""

SIGNAL_STATES = ("actual", "estimated", "forecast")
"""What `signal.status` says of a value."""

LONGEST_SIGNAL_US = 3_600_000_000
"""The longest interval of a signal: whoever asks for an hour reads that hour and the one before."""

SIGNAL = Table(
    name="signal",
    layer="raw",
    row="one value of one signal over one interval, as it was known when it was read",
    sort=("signal", "quantity", "ts_us", "read_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "start of the interval"),
        col("until_us", "int64", "its end, exclusive; an hour later at most"),
        col("signal", "string", "name of the signal, as its owner chose it: `caiso-north`"),
        col("quantity", "string", f"what it tells: {', '.join(SIGNAL_UNITS)}"),
        nullable(
            "lifecycle",
            "bool",
            "whether emissions of building and fuelling the plants are included; NULL: not told, "
            "or not about emissions",
        ),
        nullable("zone", "string", "the grid zone or market area that it is of"),
        nullable(
            "value",
            "int64",
            "the value: mg CO2e/kWh, millionths of the currency per kWh, parts per billion, or mW "
            "(clean_power). NULL: a hole, which is unknown and never 0",
        ),
        nullable("currency", "string", "currency of a price, ISO 4217; else NULL"),
        nullable(
            "status", "string", f"{', '.join(SIGNAL_STATES)}; NULL: its provider does not say"
        ),
        col("source", "string", "csv: imported; else the provider that was asked"),
        col("node", "string", "host that asked, or where an imported file comes from"),
        col(
            "read_us",
            "int64",
            "when it was learnt: at each instant the row that was read last counts, the earlier "
            "ones stay",
        ),
    ),
)
