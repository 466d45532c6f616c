"""The raw tables: what collectors and importers write."""

from __future__ import annotations

from tokenergy_collectors.lake.table import Table, col, nullable

POWER = Table(
    name="power",
    layer="raw",
    row="one recorded reading of one device",
    sort=("device_id", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when the reading was taken (middle of the call)"),
        col("device_id", "string", "NVML UUID, or NODE/INDEX where a log has no UUID"),
        nullable("power_mw", "int32", "board power; NULL if the device does not report it"),
        col(
            "sensor",
            "string",
            "kind of the power reading: instant, average_1s, unknown; none if there is no power; "
            "implausible if the board showed more than it can draw, which is not recorded",
        ),
        nullable(
            "energy_mj",
            "int64",
            "energy counter; read about once a second, and at the edges of jobs and hours",
        ),
        col("epoch", "int32", "counter epoch; a new one begins when the counter restarts"),
    ),
)

DEVICE = Table(
    name="device",
    layer="raw",
    row="one device as found at the start, or after a change",
    sort=("device_id", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when the device was found"),
        col("device_id", "string", "NVML UUID, or NODE/INDEX where a log has no UUID"),
        col("node", "string", "host name"),
        nullable("index", "int32", "NVML index on the node"),
        nullable("name", "string", "board name, for example NVIDIA H100 80GB HBM3"),
        nullable("pci", "string", "PCI bus id"),
        nullable(
            "mig_parent", "string", "device_id of the board that this MIG instance is part of"
        ),
        nullable("limit_mw", "int32", "enforced power limit"),
        nullable("driver", "string", "driver version"),
        nullable("update_us", "int64", "update period of the power reading, learned or assumed"),
        nullable("sensor_kind", "string", "kind of its power readings, as power.sensor"),
        nullable("learned_us", "int64", "update period of the power reading, if learned"),
        nullable("counter_us", "int64", "update period of the energy counter, if learned"),
        nullable("site", "string", "site"),
        nullable("hall", "string", "hall"),
        nullable("pod", "string", "pod"),
        nullable("rack", "string", "rack"),
        col("emulated", "bool", "true for boards of the emulator"),
        nullable(
            "mig_ppm",
            "int32",
            "share of the board's compute that a MIG instance has, parts per million",
        ),
        nullable("limit_min_mw", "int32", "lowest power limit that can be set"),
        nullable("limit_max_mw", "int32", "highest power limit that can be set"),
        nullable("limit_default_mw", "int32", "default power limit"),
        nullable(
            "counter_scope", "string", "what the energy counter measures, if learned: gpu or module"
        ),
        nullable(
            "smoothing", "string", "power smoothing settings, a JSON object; NULL if not reported"
        ),
        nullable("minor", "int32", "minor number of its device file: N of /dev/nvidiaN"),
        nullable(
            "stamp_step_us",
            "int64",
            "how far its stamps may be off: the resolution of a log's; of scrapes, how old a "
            "value may be",
        ),
        nullable(
            "power_step_mw",
            "int32",
            "resolution of its power readings, if they come from a log that gives none finer",
        ),
    ),
)

STATE = Table(
    name="state",
    layer="raw",
    row="slow gauges of one device, about one a second",
    sort=("device_id", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when they were read"),
        col("device_id", "string", "as in power"),
        nullable("sm_util", "int16", "share of time in which a kernel ran, percent"),
        nullable("mem_util", "int16", "share of time in which memory was read or written, percent"),
        nullable("sm_mhz", "int32", "SM clock"),
        nullable("temp_c", "int16", "GPU temperature, degrees Celsius"),
        nullable("throttle", "int64", "clock event reasons, NVML's bits"),
        nullable("pids", "list<int32>", "compute processes; NULL if they were not read"),
    ),
)

TOKENS = Table(
    name="tokens",
    layer="raw",
    row="one reading of one cumulative token counter: of one series, never a sum of several",
    sort=("source_id", "engine", "kind", "series", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when it was read"),
        col("source_id", "string", "the server or training loop"),
        col("node", "string", "where it was read"),
        col("job_id", "string", "the job whose tokens it counts"),
        nullable("model", "string", "model name"),
        col("engine", "string", "label of the engine inside a server; empty if it has only one"),
        col(
            "kind",
            "string",
            "prompt_computed, prompt_cached, prompt_external, generated or trained",
        ),
        col("value", "int64", "tokens since the counter began"),
        col(
            "epoch",
            "int32",
            "how often its reader saw it fall or restart; the index finds restarts itself",
        ),
        nullable("since_us", "int64", "when the counter was zero (start of its process)"),
        nullable("metric", "string", "name of the metric, as served; A - B: difference of two"),
        nullable(
            "series",
            "string",
            "all labels of the series, a JSON object; {}: none; NULL in older rows",
        ),
        nullable(
            "quantum",
            "int64",
            "step in which the server prints the value: 1 if exact, 10000 of 1.23456e+09",
        ),
        nullable(
            "run",
            "int32",
            "number of the collector's run on its node; it grows at each start",
        ),
        nullable("cluster", "string", "the cluster that the job's id belongs to"),
        nullable("role", "string", "prefill or decode, if the server was declared to do only that"),
    ),
)

JOBS = Table(
    name="jobs",
    layer="raw",
    row="one allocation of one device to one job",
    sort=("device_id", "start_us", "job_id"),
    time="start_us",
    columns=(
        col("job_id", "string", "the scheduler's id of the job"),
        col("node", "string", "host name"),
        col("device_id", "string", "NVML UUID (board or MIG instance), or the index on the node"),
        col("start_us", "int64", "when the allocation began"),
        nullable("end_us", "int64", "when it ended; NULL while it runs"),
        col("share_ppm", "int32", "share of the device, parts per million"),
        nullable(
            "scheduler",
            "string",
            "where the allocation comes from: slurm, kubernetes, declared; of processes systemd, "
            "docker, podman, containerd, plain",
        ),
        nullable("user", "string", "user"),
        nullable("account", "string", "account or project that pays"),
        nullable("name", "string", "job name"),
        nullable("labels", "string", "other labels, a JSON object"),
        col(
            "method",
            "string",
            "how the allocation was learned: declared, podresources, prometheus, hook (of a "
            "scheduler), cgroup (a hook, and the job has no process left), processes (on the "
            "board)",
        ),
        col(
            "recorded_us",
            "int64",
            "when this row was recorded; the latest row of an allocation counts",
        ),
        nullable("cluster", "string", "the cluster or scheduler whose id `job_id` is"),
        nullable(
            "allocation_id",
            "string",
            "the allocation's own id in its cluster; a later row with it changes anything else",
        ),
        nullable(
            "edge_doubt_us",
            "int64",
            "how far its start and end may be off, if they were found by looking now and then",
        ),
    ),
)

HOST = Table(
    name="host",
    layer="raw",
    row="one reading of a host or facility meter",
    sort=("node", "domain", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when it was read"),
        col("node", "string", "host name"),
        col(
            "domain",
            "string",
            "what is metered: package-0, dram-0, psu, ...; module:DEVICE_ID, memory:DEVICE_ID",
        ),
        nullable("energy_uj", "int64", "energy counter of the domain"),
        nullable("power_mw", "int64", "power of the domain"),
        nullable(
            "epoch",
            "int32",
            "counter epoch: energy is the difference of two readings of one run and epoch; NULL if "
            "its reader does not keep epochs",
        ),
        nullable(
            "run",
            "int32",
            "number of the collector's run on its node, where epochs are kept",
        ),
        nullable("counter_uj", "int64", "what the meter showed, if its counter begins again at 0"),
        nullable("range_uj", "int64", "the value at which that counter begins again"),
    ),
)

METER = Table(
    name="meter",
    layer="raw",
    row="one reading of one facility meter: what its register said, as it was read",
    sort=("meter_id", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when it was read (middle of the request)"),
        col(
            "meter_id",
            "string",
            "the meter's id in the collector's configuration, or in the map of an import",
        ),
        col("node", "string", "host that read it, or where an imported file comes from"),
        col(
            "source",
            "string",
            "how it was read: name of the source (modbus, redfish, nut, ...), or csv: imported",
        ),
        col(
            "value_n",
            "int128",
            "what the register said, in billionths of the register's own unit, before any unit, "
            "scale or transformer ratio is applied: these can be corrected later",
        ),
        nullable(
            "resolution_n",
            "int128",
            "step of the register at this value, in the same unit; the meter itself may be "
            "coarser; NULL: not known",
        ),
        nullable(
            "average_us",
            "int64",
            "time over which the meter averaged the value, ending when it was read; NULL: the "
            "meter does not say so, which does not mean that it is the value of one moment",
        ),
    ),
)

CLOCK = Table(
    name="clock",
    layer="raw",
    row="the host's clocks read together, about once a minute and at each start",
    sort=("node", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "the collector's stamp of this moment"),
        col("node", "string", "host name"),
        col("monotonic_us", "int64", "CLOCK_MONOTONIC"),
        col("boottime_us", "int64", "CLOCK_BOOTTIME"),
        col("realtime_us", "int64", "CLOCK_REALTIME"),
        nullable(
            "run",
            "int32",
            "number of the collector's run on its node; it grows at each start",
        ),
    ),
)

EVENT = Table(
    name="event",
    layer="raw",
    row="something that affected the record",
    sort=("node", "ts_us"),
    time="ts_us",
    columns=(
        col("ts_us", "int64", "when it happened"),
        col("node", "string", "host name"),
        nullable("device_id", "string", "the device concerned, if any"),
        col("kind", "string", "what happened: one of the event kinds of the contract"),
        nullable("detail", "string", "details, in words"),
    ),
)
