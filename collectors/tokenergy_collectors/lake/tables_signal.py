"""The table of signals from outside: carbon intensity, prices, clean shares; and their units."""

from __future__ import annotations

from collections.abc import Iterator

from tokenergy_collectors.lake.table import Column, Table, col, nullable

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


def _boundaries() -> Iterator[Column]:
    for name, words in (("gpu", "GPU"), ("it", "GPU and host"), ("facility", "facility")):
        yield nullable(
            f"{name}_nj",
            "int128",
            f"{words} energy of the job while the signal serves; NULL: it is not known",
        )
        yield nullable(
            f"{name}_known_nj", "int128", "the part of it of the time whose value is known"
        )
        yield nullable(
            f"{name}_amount", "int128", "that part times the values, in `unit`, rounded down"
        )
        yield nullable(f"{name}_low", "int128", "lower bound, from the bounds of the energy")
        yield nullable(f"{name}_high", "int128", "upper bound; NULL: nothing bounds the energy")


JOB_SIGNAL_HOUR = Table(
    name="job_signal_hour",
    layer="derived",
    row="one job in one hour by one signal: its energy times the signal's values",
    sort=("job_id", "purpose", "signal", "quantity"),
    time="hour_us",
    columns=(
        col("job_id", "string", "job"),
        col("hour_us", "int64", "start of the hour"),
        col("purpose", "string", "carbon, price, renewable or cfe: the key in the site file"),
        col("signal", "string", "name of the signal"),
        col(
            "quantity",
            "string",
            "as in signal; rows of carbon_average and of carbon_marginal are never added",
        ),
        nullable("lifecycle", "bool", "as in signal; NULL too if no value is known"),
        nullable("zone", "string", "as in signal, likewise"),
        nullable("currency", "string", "of a price, likewise"),
        col(
            "unit",
            "string",
            "of the amounts: ug CO2e; 1e-9 EUR (or another currency); nJ of clean energy",
        ),
        col("served_us", "int64", "time of the hour in which the signal serves the purpose"),
        col("known_us", "int64", "part of it with a known value"),
        nullable("doubts", "string", "estimated, forecast: what some of the values are"),
        *_boundaries(),
        nullable(
            "embodied_ug",
            "int128",
            "embodied emissions of the job's GPU time; only of carbon, where they are declared",
        ),
        col("host_method", "string", "as in job_hour_index"),
        col("facility_method", "string", "as in job_hour_index"),
        col("emulated", "bool", "true if any device is emulated"),
        col("index_version", "string", "version of the models and of this contract"),
    ),
)
