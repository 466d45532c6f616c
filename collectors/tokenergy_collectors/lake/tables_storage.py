"""The derived tables of storage studies: what store would tame a load."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Column, Table, col, nullable

_STUDY: tuple[Column, ...] = (
    col("from_us", "int64", "start of the span that was asked for"),
    col("study_id", "string", "names the study: a digest of the group, the span and all settings"),
)

_ASKED: tuple[Column, ...] = (
    col("kind", "string", "what the group is: job, node, rack, hall or site"),
    col("group_id", "string", "name of the group, as in load_profile"),
    col("until_us", "int64", "end of the span"),
    col("step_us", "int64", "cell of the grid; ramps are from cell to cell"),
    nullable(
        "part_of", "string", "study_id of the study of the whole, if this is one of its parts"
    ),
    nullable("split_by", "string", "node, rack or hall: what the whole was compared with; or NULL"),
    nullable("ramp_mw_s", "float64", "ramp limit, mW per second; NULL: none"),
    nullable("peak_mw", "float64", "peak limit; NULL: none"),
    col("charge_ppm", "int64", "stored energy / energy taken, in parts per million"),
    col("discharge_ppm", "int64", "energy given / energy out of the store, in parts per million"),
    nullable("c_rate", "float64", "most power / energy of the whole store, 1/h; NULL: any"),
    col("reserve_nj", "int128", "energy that the store has besides and never uses"),
    nullable("start_share", "float64", "charge at the start / usable energy; NULL: the best"),
)

_FOUND: tuple[Column, ...] = (
    nullable(
        "optimal_energy_nj",
        "int128",
        "least usable energy that keeps the limits, with the whole span known in advance; 0: the "
        "load keeps them itself",
    ),
    nullable("optimal_power_mw", "float64", "least power at 1.001 x that energy"),
    nullable("gap", "float64", "largest relative distance of the two from their proven bounds"),
    nullable(
        "causal_energy_nj", "int128", "energy that a rule without knowledge of the future needs"
    ),
    nullable("causal_power_mw", "float64", "power that it needs with that energy"),
    nullable("causal_settle_s", "float64", "time over which the rule smooths; chosen on the span"),
    nullable(
        "causal_from_mean", "bool", "true if the rule's grid power starts at the mean of a run"
    ),
    nullable("start_found", "float64", "charge at the start / usable energy in the optimum's plan"),
    nullable("cycles_per_day", "float64", "rainflow cycles of at least 1 % depth in that plan"),
    nullable("full_cycles_per_day", "float64", "equivalent full cycles in that plan"),
    nullable("mean_depth", "float64", "mean depth of those cycles / usable energy"),
    nullable("most_depth", "float64", "deepest cycle / usable energy"),
    nullable("taken_nj", "int128", "energy into the store in that plan"),
    nullable("given_nj", "int128", "energy out of the store"),
    nullable("loss_nj", "int128", "energy lost in the store"),
    nullable("change_nj", "int128", "charge at the end less that at the start: rounding alone"),
    nullable("grid_nj", "int128", "energy from the grid = load_nj + loss_nj + change_nj"),
    nullable("load_nj", "int128", "energy of the load in the known runs"),
    nullable("load_max_mw", "float64", "highest cell of the load"),
    nullable("load_mean_mw", "float64", "mean load"),
    nullable("load_ramp_mw_s", "float64", "steepest change of the load from cell to cell"),
    nullable("parts", "int32", "parts that the whole was compared with"),
    nullable("parts_energy_nj", "int128", "optimal energies of one store a part, added up"),
    nullable("parts_power_mw", "float64", "their optimal powers, added up"),
    nullable("parts_causal_nj", "int128", "energies that the rule needs in each part, added up"),
    nullable("pooling_energy", "float64", "parts_energy_nj / optimal_energy_nj"),
    nullable("pooling_power", "float64", "parts_power_mw / optimal_power_mw"),
    col("runs", "int32", "runs without a gap that were studied, each for itself"),
    col("coverage", "float64", "cells in those runs / cells of the span"),
    nullable("period_us", "int64", "effective period of the readings"),
    nullable("limit_hz", "float64", "highest frequency that the readings resolve"),
    col("devices", "int32", "devices of the group"),
    col("metered", "int32", "those of them with readings; the load is theirs"),
    col("boundary", "string", "what the load is of: boards, it or connection"),
    col("reason_codes", "string", "why a value is NULL or doubtful, separated by commas"),
    col("emulated", "bool", "true if any device is emulated"),
    col("version", "string", "version of the method"),
    nullable("as_of_us", "int64", "stamp of the latest reading in it"),
)

STORAGE_STUDY = Table(
    name="storage_study",
    layer="derived",
    row="the smallest store that keeps a load's ramps or peaks within limits, over one span",
    sort=("study_id",),
    time="from_us",
    columns=(*_STUDY, *_ASKED, *_FOUND),
)

STORAGE_SWEEP = Table(
    name="storage_sweep",
    layer="derived",
    row="what the rule reaches behind a store of one size",
    sort=("study_id", "energy_nj", "power_mw"),
    time="from_us",
    columns=(
        *_STUDY,
        col("energy_nj", "int128", "usable energy of the store"),
        col("power_mw", "float64", "power of the store"),
        col("reached_ramp_mw_s", "float64", "steepest change of grid power from cell to cell"),
        col("reached_peak_mw", "float64", "highest grid power"),
        col("kept", "bool", "true if grid power keeps the limits"),
    ),
)

STORAGE_COURSE = Table(
    name="storage_course",
    layer="derived",
    row="load, grid power and charge in one point of the stretch that works the store hardest",
    sort=("study_id", "ts_us"),
    time="from_us",
    columns=(
        *_STUDY,
        col("ts_us", "int64", "start of the point"),
        col("length_us", "int64", "its length: one cell, or some where the stretch is long"),
        col("load_mw", "float64", "mean load"),
        col("grid_mw", "float64", "mean grid power under the optimum's plan"),
        col("causal_mw", "float64", "mean grid power under the rule, with the store that it needs"),
        col("charge_share", "float64", "charge at the end of the point / usable energy"),
    ),
)
