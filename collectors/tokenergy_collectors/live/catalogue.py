"""Every metric that is served: its name, type, labels, unit and meaning.

In: nothing. Out: `FAMILIES`, which the endpoint serves and docs/metrics.md lists. Units are the
base units of Prometheus. The label of a job is `job_id`, since Prometheus uses `job` itself. A part
with counts of its own adds its families to `FAMILIES`, and the functions that return their values
to `LiveView.extras`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "tokenergy_"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; a counter's name ends in `_total`."""

    name: str
    type: Literal["gauge", "counter"]
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()


_GPU = ("node", "device", "index")
_JOB = ("node", "job_id")


def _gpu(name: str, unit: str, meaning: str, *more: str) -> Family:
    return Family(f"{PREFIX}gpu_{name}", "gauge", unit, meaning, (*_GPU, *more))


def _job(name: str, unit: str, meaning: str, *more: str) -> Family:
    return Family(f"{PREFIX}job_{name}", "gauge", unit, meaning, (*_JOB, *more))


def _own(name: str, unit: str, meaning: str, *labels: str) -> Family:
    type_: Literal["gauge", "counter"] = "counter" if name.endswith("_total") else "gauge"
    return Family(f"{PREFIX}collector_{name}", type_, unit, meaning, labels)


GPU_INFO = _gpu("info", "", "1 for every board that was opened", "name", "driver", "sensor")
GPU_UP = _gpu(
    "up", "", "1 while its power reading is fresh, else 0; job_id: the job that holds it", "job_id"
)
GPU_READ = _gpu("last_reading_timestamp_seconds", "s UTC", "time of its latest power reading")
GPU_POWER = _gpu(
    "power_watts", "W", "latest power reading; job_id: the job that holds the board", "job_id"
)
GPU_LIMIT = _gpu("power_limit_watts", "W", "enforced power limit")
GPU_ENERGY = Family(
    f"{PREFIX}gpu_energy_joules_total",
    "counter",
    "J",
    "energy counter of the board; if it restarts, this continues, bridged by power readings",
    _GPU,
)
GPU_MINUTE = _gpu(
    "energy_last_minute_joules",
    "J",
    "energy of the last 60 s, by the energy counter, or by power readings without one",
)
GPU_SM = _gpu("utilization_ratio", "0 to 1", "share of time in which a kernel ran")
GPU_MEMORY = _gpu(
    "memory_utilization_ratio", "0 to 1", "share of time in which memory was read or written"
)
GPU_CLOCK = _gpu("sm_clock_hertz", "Hz", "SM clock")
GPU_TEMPERATURE = _gpu("temperature_celsius", "°C", "GPU temperature")
GPU_REASONS = _gpu("clock_event_reasons", "bits", "why the clock is not higher: the bits of NVML")
GPU_PROCESSES = _gpu("processes", "", "compute processes on the board")
JOB_GPUS = _job("gpus", "", "boards of this node that the job holds now")
JOB_POWER = _job(
    "power_watts", "W", "power of the boards that it holds, by its shares; absent if one is stale"
)
JOB_RATE = _job("tokens_per_second", "1/s", "tokens per second over the last minute", "kind")
JOB_COST = _job(
    "joules_per_token",
    "J",
    "energy of its boards per generated (or trained) token over the last minute; absent without "
    "tokens, and for a job that also holds boards of other nodes",
    "kind",
)
TOKENS = Family(
    f"{PREFIX}tokens_total",
    "counter",
    "",
    "tokens counted by a source; if its counter restarts, this continues",
    ("node", "source", "job_id", "model", "engine", "kind"),
)
HOST_POWER = Family(
    f"{PREFIX}host_power_watts",
    "gauge",
    "W",
    "power of a part of the host, as its meter says it or by its last two energy readings; domain: "
    "as in the table `host`",
    ("node", "domain"),
)
HOST_ENERGY = Family(
    f"{PREFIX}host_energy_joules_total",
    "counter",
    "J",
    "energy of a part of the host since the collector started; if its counter restarts, this "
    "continues",
    ("node", "domain"),
)
METER_READING = Family(
    f"{PREFIX}meter_reading",
    "gauge",
    "the register's own",
    "latest reading of a facility meter, before unit, scale and ratio of the site file",
    ("node", "meter", "source"),
)
METER_READ = Family(
    f"{PREFIX}meter_last_reading_timestamp_seconds",
    "gauge",
    "s UTC",
    "time of the latest reading of a facility meter",
    ("node", "meter", "source"),
)
READINGS = _own("readings_total", "", "power readings of all boards")
LATE = _own("late_ticks_total", "", "ticks that began more than 5 ms late or were skipped")
GAPS = _own("gaps_total", "", "gaps between readings of a board above the gap limit")
DROPPED = _own("dropped_rows_total", "", "rows lost because they could not be written")
RECOVERED = _own("recovered_rows_total", "", "rows recovered from the log of an earlier process")
EVENTS = _own("events_total", "", "events, as in the table `event`", "kind")
WAL_BYTES = _own("wal_bytes", "B", "size of the log that is not sealed yet")
SEALED = _own("last_seal_timestamp_seconds", "s UTC", "time up to which everything is sealed")
CPU = _own("cpu_seconds_total", "s", "CPU time of the collector, user and system")
MEMORY = _own("resident_memory_bytes", "B", "resident memory of the collector")
STARTED = _own("start_time_seconds", "s UTC", "time at which the collector started")
TIME = _own("time_seconds", "s UTC", "the collector's clock now; compare its timestamps with it")
CLOCK_KEPT = _own(
    "clock_synchronised", "", "1 while the kernel keeps the host's clock synchronised, else 0"
)
CLOCK_ERROR = _own(
    "clock_max_error_seconds", "s", "the most that the host's clock is off, as the kernel says"
)
UPLOADS = {
    "files": _own("uploaded_files_total", "", "sealed files verified in the store"),
    "bytes": _own("uploaded_bytes_total", "B", "size of the sealed files verified in the store"),
    "failures": _own("upload_failures_total", "", "failed tries to upload a file"),
    "backlog_files": _own("upload_backlog_files", "", "sealed files that are not uploaded yet"),
    "backlog_bytes": _own(
        "upload_backlog_bytes", "B", "size of the files that are not uploaded yet"
    ),
    "oldest_waiting_s": _own(
        "upload_backlog_age_seconds", "s", "time since the oldest file of the backlog was sealed"
    ),
}
"""By the name of the uploader's counter; served if files are uploaded."""

DISK = {
    "dropped_files": _own("disk_dropped_files_total", "", "files removed that no store has"),
    "dropped_rows": _own("disk_dropped_rows_total", "", "rows in removed files that no store has"),
    "dropped_bytes": _own(
        "disk_dropped_bytes_total", "B", "size of removed files that no store has"
    ),
    "freed_files": _own("disk_freed_files_total", "", "files removed because a store has them"),
    "freed_bytes": _own("disk_freed_bytes_total", "B", "size of removed files that a store has"),
    "held_bytes": _own("disk_held_bytes", "B", "sealed files and logs of this node on the disk"),
}
"""By the name of the disk limit's counter; served if `[disk]` sets a limit."""

SOURCE_DURATION = _own(
    "source_duration_seconds", "s", "duration of the latest reading of a source", "source"
)
SOURCE_SUCCESS = _own(
    "source_success", "", "1 if the latest reading of a source succeeded, else 0", "source"
)
SOURCE_SUCCEEDED = _own(
    "source_last_success_timestamp_seconds",
    "s UTC",
    "time of the latest reading of a source that succeeded",
    "source",
)

BUILD = Family(
    f"{PREFIX}build_info", "gauge", "", "1; version: version of the collector", ("version",)
)

FAMILIES = (
    GPU_INFO, GPU_UP, GPU_READ, GPU_POWER, GPU_LIMIT, GPU_ENERGY, GPU_MINUTE, GPU_SM, GPU_MEMORY,
    GPU_CLOCK, GPU_TEMPERATURE, GPU_REASONS, GPU_PROCESSES, JOB_GPUS, JOB_POWER, JOB_RATE, JOB_COST,
    TOKENS, HOST_POWER, HOST_ENERGY, METER_READING, METER_READ,
    READINGS, LATE, GAPS, DROPPED, RECOVERED, EVENTS, WAL_BYTES, SEALED, CPU, MEMORY,
    STARTED, TIME, CLOCK_KEPT, CLOCK_ERROR, SOURCE_DURATION, SOURCE_SUCCESS, SOURCE_SUCCEEDED,
    *UPLOADS.values(), *DISK.values(), BUILD,
)  # fmt: skip
"""All of them, in the order in which they are served."""
