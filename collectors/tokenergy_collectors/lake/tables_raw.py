"""The raw tables: what collectors and importers write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenergy_collectors.lake.table import Table, _c, _n

if TYPE_CHECKING:
    pass


POWER = Table(
    name="power",
    layer="raw",
    row="one kept reading of one device",
    sort=("device_id", "ts_us"),
    time="ts_us",
    columns=(
        _c("ts_us", "int64", "when the reading was taken (middle of the call)"),
        _c("device_id", "string", "NVML UUID, or NODE/INDEX where a log has no UUID"),
        _n("power_mw", "int32", "board power; NULL where the device does not tell it"),
        _c(
            "sensor",
            "string",
            "what the reading is: instant, average_1s, unknown; none: no power is told",
        ),
        _n("energy_mj", "int64", "energy counter; read about once a second and at edges"),
        _c("epoch", "int32", "counter epoch; a new one begins when the counter falls"),
    ),
)


DEVICE = Table(
    name="device",
    layer="raw",
    row="one device as found at start or change",
    sort=("device_id", "ts_us"),
    time="ts_us",
    columns=(
        _c("ts_us", "int64", "when it was found"),
        _c("device_id", "string", "NVML UUID, or NODE/INDEX where a log has no UUID"),
        _c("node", "string", "host name"),
        _n("index", "int32", "NVML index on the node"),
        _n("name", "string", "board name, for example NVIDIA H100 80GB HBM3"),
        _n("pci", "string", "PCI bus id"),
        _n("mig_parent", "string", "device_id of the board this MIG instance lies on"),
        _n("limit_mw", "int32", "enforced power limit"),
        _n("driver", "string", "driver version"),
        _n("update_us", "int64", "update period of the power reading, learned or assumed"),
        _n("sensor_kind", "string", "what its power readings are: sensor of power"),
        _n("learned_us", "int64", "update period of the power reading as learned; NULL: not told"),
        _n("counter_us", "int64", "period in which the energy counter is renewed, as learned"),
        _n("site", "string", "site"),
        _n("hall", "string", "hall"),
        _n("pod", "string", "pod"),
        _n("rack", "string", "rack"),
        _c("emulated", "bool", "true for boards of the emulator"),
        _n("mig_ppm", "int32", "compute of its board that a MIG instance has, parts per million"),
        _n("limit_min_mw", "int32", "lowest power limit that may be set"),
        _n("limit_max_mw", "int32", "highest power limit that may be set"),
        _n("limit_default_mw", "int32", "power limit by default"),
        _n("counter_scope", "string", "what the energy counter covers: gpu or module, if learned"),
        _n("smoothing", "string", "power smoothing settings, a JSON object; NULL if not told"),
    ),
)


STATE = Table(
    name="state",
    layer="raw",
    row="slow gauges of one device, about one a second",
    sort=("device_id", "ts_us"),
    time="ts_us",
    columns=(
        _c("ts_us", "int64", "when they were read"),
        _c("device_id", "string", "as in power"),
        _n("sm_util", "int16", "share of time in which a kernel ran, percent"),
        _n("mem_util", "int16", "share of time in which memory was read or written, percent"),
        _n("sm_mhz", "int32", "SM clock"),
        _n("temp_c", "int16", "GPU temperature, degrees Celsius"),
        _n("throttle", "int64", "clock event reasons, NVML's bits"),
        _n("pids", "list<int32>", "compute processes; NULL where not asked"),
    ),
)


TOKENS = Table(
    name="tokens",
    layer="raw",
    row="one reading of one cumulative token counter",
    sort=("source_id", "engine", "kind", "ts_us"),
    time="ts_us",
    columns=(
        _c("ts_us", "int64", "when it was read"),
        _c("source_id", "string", "which server or training loop"),
        _c("node", "string", "where it was read"),
        _c("job_id", "string", "the job it counts for"),
        _n("model", "string", "model name"),
        _c("engine", "string", "label of the engine inside one server; empty where there is one"),
        _c("kind", "string", "prompt_computed, prompt_cached, generated or trained"),
        _c("value", "int64", "tokens since the counter began"),
        _c("epoch", "int32", "counter epoch; a new one begins when the counter restarts"),
        _n("since_us", "int64", "when the counter stood at zero (start of its process)"),
    ),
)


JOBS = Table(
    name="jobs",
    layer="raw",
    row="one allocation of one device to one job",
    sort=("device_id", "start_us", "job_id"),
    time="start_us",
    columns=(
        _c("job_id", "string", "the scheduler's id of the job"),
        _c("node", "string", "host name"),
        _c("device_id", "string", "NVML UUID (board or MIG instance), or the index on the node"),
        _c("start_us", "int64", "when the allocation began"),
        _n("end_us", "int64", "when it ended; NULL = running"),
        _c("share_ppm", "int32", "share of the device, parts per million"),
        _n("scheduler", "string", "who allocated: slurm, kubernetes, declared"),
        _n("user", "string", "user"),
        _n("account", "string", "account or project that pays"),
        _n("name", "string", "job name"),
        _n("labels", "string", "further labels, a JSON object"),
        _c("method", "string", "how the allocation was learned: declared, cgroup, podresources"),
        _c("recorded_us", "int64", "when this row was recorded; the latest one counts"),
    ),
)


HOST = Table(
    name="host",
    layer="raw",
    row="one reading of a host or facility meter",
    sort=("node", "domain", "ts_us"),
    time="ts_us",
    columns=(
        _c("ts_us", "int64", "when it was read"),
        _c("node", "string", "host name"),
        _c("domain", "string", "package, dram, psu, ...; module:DEVICE_ID, memory:DEVICE_ID"),
        _n("energy_uj", "int64", "energy counter of the domain"),
        _n("power_mw", "int64", "power of the domain"),
    ),
)


CLOCK = Table(
    name="clock",
    layer="raw",
    row="the host's clocks read together, about once a minute and at each start",
    sort=("node", "ts_us"),
    time="ts_us",
    columns=(
        _c("ts_us", "int64", "the stamp the collector gives to this instant"),
        _c("node", "string", "host name"),
        _c("monotonic_us", "int64", "CLOCK_MONOTONIC"),
        _c("boottime_us", "int64", "CLOCK_BOOTTIME"),
        _c("realtime_us", "int64", "CLOCK_REALTIME"),
    ),
)


EVENT = Table(
    name="event",
    layer="raw",
    row="something that happened to the record",
    sort=("node", "ts_us"),
    time="ts_us",
    columns=(
        _c("ts_us", "int64", "when"),
        _c("node", "string", "host name"),
        _n("device_id", "string", "the device, where one is concerned"),
        _c(
            "kind",
            "string",
            "start, stop, gap, restart, counter_reset, lost, found, limit, device, ...",
        ),
        _n("detail", "string", "in words"),
    ),
)
