"""The tables of meters and of the building by hour."""

from __future__ import annotations

from collections.abc import Iterator

from tokenergy_collectors.lake.table import Column, Table, col, nullable

METER_HOUR = Table(
    name="meter_hour",
    layer="derived",
    row="one facility meter in one hour: what it counted while it is known",
    sort=("meter_id",),
    time="hour_us",
    columns=(
        col("meter_id", "string", "the meter's id in the site file"),
        col("hour_us", "int64", "start of the hour"),
        col("place", "string", "where it measures, by the hour's last entry: `hall:a`"),
        col("role", "string", "what it measures there"),
        col("quantity", "string", "energy, power, volume, flow, temperature or ratio"),
        col("unit", "string", "of the amounts: nJ, uL; of what counts nothing, of its values"),
        nullable(
            "factor",
            "float64",
            "amount of 1 in the register's own unit, of a power or flow in a second: unit and "
            "scale, nearest double; NULL: it counts nothing (temperature, ratio)",
        ),
        nullable(
            "modulus_n",
            "int128",
            "where the register begins again from 0, in billionths of its unit; NULL: not declared",
        ),
        nullable(
            "interval_us",
            "int64",
            "declared time between readings: a momentary value holds for 3 of them, and at least "
            "for 1.5 s; NULL: the usual time between the readings of the hour is taken",
        ),
        col(
            "one_entry",
            "bool",
            "whether one entry of the site file holds from an hour before to an hour after; else "
            "these columns are those of the hour's last entry alone",
        ),
        col(
            "covered_us",
            "int64",
            "time of the hour for which it is known what the meter counted; 0 if it counts nothing",
        ),
        nullable("amount", "int128", "what it counted in that time; NULL: it is known at no time"),
        nullable("low", "int128", "the least that this can be; NULL: no accuracy is declared"),
        nullable("high", "int128", "the most that this can be"),
        col("readings", "int64", "readings in the hour"),
        nullable("max_gap_us", "int64", "longest time between two readings that touches the hour"),
        nullable("doubts", "string", "why some of the hour is not known, separated by commas"),
        col("index_version", "string", "version of the models and of this contract"),
    ),
)


def _sides() -> Iterator[Column]:
    for side, words in (("above", "above"), ("below", "below")):
        what = f"sum {words} the line, over covered_us: nJ, uL or ug CO2e"
        yield nullable(f"{side}", "int128", what)
        yield nullable(f"{side}_low", "int128", f"lower bound of {side}; NULL: some meter has none")
        yield nullable(f"{side}_high", "int128", f"upper bound of {side}")


SITE_HOUR = Table(
    name="site_hour",
    layer="derived",
    row="one figure of one place in one hour: the two sums that it divides, known together",
    sort=("place", "figure"),
    time="hour_us",
    columns=(
        col("place", "string", "`site`, `hall:NAME` or `module:NAME`"),
        col("hour_us", "int64", "start of the hour"),
        col(
            "figure",
            "string",
            "pue, intake, cooling, other, losses, wue, erf, ref, facility or it, of meters alone; "
            "losses_modelled, pue_modelled; cue or cfe, of meters and signals",
        ),
        col(
            "covered_us",
            "int64",
            "time for which all meters of the figure are known, and its signals",
        ),
        *_sides(),
        nullable("pue_category", "int32", "where the IT energy is measured: category 1, 2 or 3"),
        col(
            "above_meters",
            "string",
            "the meters that are added (1) and taken off (-1) above the line, or both (0), a JSON "
            "object by id; a declared loss is `loss:NAME`",
        ),
        col("below_meters", "string", "the same below the line; {}: there is no line"),
        col("changed", "bool", "whether other meters counted in some of the hour, or none did"),
        nullable("missing", "string", "meters not known in all of the hour, separated by commas"),
        col("index_version", "string", "version of the models and of this contract"),
    ),
)

SITE_PART = Table(
    name="site_part",
    layer="derived",
    row="one part of a building's energy in one hour that no meter shows alone: a declared loss, "
    "or a part of a modelled PUE",
    sort=("place", "part", "name", "method"),
    time="hour_us",
    columns=(
        col("place", "string", "`site` or `hall:NAME` whose PUE is modelled; of a loss: where"),
        col("hour_us", "int64", "start of the hour"),
        col(
            "part",
            "string",
            "it, losses, cooling or other: of the modelled PUE of the place; loss: one [[loss]]",
        ),
        col("name", "string", "of a loss; empty for parts of a modelled PUE"),
        col("method", "string", "measured, modelled, declared, or none: not known"),
        col(
            "added",
            "bool",
            "whether it is added to a sum; false: the loss lies inside what meters show already "
            "and explains a part of it",
        ),
        col("covered_us", "int64", "time of the hour for which it is known"),
        nullable("energy_nj", "int128", "energy in that time; NULL: not known"),
        nullable("low_nj", "int128", "the least that this can be; NULL: an accuracy is missing"),
        nullable("high_nj", "int128", "the most that this can be; NULL likewise"),
        col(
            "inputs",
            "string",
            "what it was worked out from, a JSON object: load by meter (nJ), points, weather, "
            "class of cooling",
        ),
        nullable("reasons", "string", "why it is unknown, in part, or without bounds"),
        col("index_version", "string", "version of the models and of this contract"),
    ),
)
