"""Every metric that is served: its name, type, labels, unit and meaning.

It is the only place where they are written: the endpoint serves these, docs/metrics.md lists them.
Units are Prometheus' base units. A job's label is `job_id`, since `job` is Prometheus' own. A part
that brings counts of its own adds its families to `FAMILIES` and says in `LiveView.extras` what
tells their values.
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
GPU_UP = _gpu("up", "", "1 while its power reading is fresh, else 0; job_id: as below", "job_id")
GPU_READ = _gpu("last_reading_timestamp_seconds", "s UTC", "when its power was read last")
GPU_POWER = _gpu(
    "power_watts", "W", "latest power reading; job_id: who holds the board now", "job_id"
)
GPU_LIMIT = _gpu("power_limit_watts", "W", "enforced power limit, as at start")
GPU_ENERGY = Family(
    f"{PREFIX}gpu_energy_joules_total",
    "counter",
    "J",
    "energy counter of the board; goes on where it restarts, readings bridge that second",
    _GPU,
)
GPU_MINUTE = _gpu(
    "energy_last_minute_joules",
    "J",
    "energy of the last 60 s, by the counter, or by the readings where there is none",
)
GPU_SM = _gpu("utilization_ratio", "0 to 1", "share of time in which a kernel ran")
GPU_MEMORY = _gpu("memory_utilization_ratio", "0 to 1", "share of time in which memory was used")
GPU_CLOCK = _gpu("sm_clock_hertz", "Hz", "SM clock")
GPU_TEMPERATURE = _gpu("temperature_celsius", "°C", "GPU temperature")
GPU_REASONS = _gpu("clock_event_reasons", "bits", "why the clock is not higher, NVML's bits")
GPU_PROCESSES = _gpu("processes", "", "compute processes on the board")
JOB_GPUS = _job("gpus", "", "boards of this node that the job holds now")
JOB_POWER = _job("power_watts", "W", "what they draw, by the job's shares; absent if one is stale")
JOB_RATE = _job("tokens_per_second", "1/s", "tokens a second over the last minute", "kind")
JOB_COST = _job(
    "joules_per_token",
    "J",
    "energy of its boards over generated (or trained) tokens, last minute; absent without tokens, "
    "and for a job that is known to hold boards of other nodes",
    "kind",
)
TOKENS = Family(
    f"{PREFIX}tokens_total",
    "counter",
    "",
    "tokens that a source counted; goes on where its counter restarts",
    ("node", "source", "job_id", "model", "engine", "kind"),
)
READINGS = _own("readings_total", "", "answers of boards")
LATE = _own("late_ticks_total", "", "ticks that began more than 5 ms late, or were left out")
GAPS = _own("gaps_total", "", "spacings of a board's readings above the gap limit")
DROPPED = _own("dropped_rows_total", "", "rows given up because they could not be written")
RECOVERED = _own("recovered_rows_total", "", "rows found in the log of an earlier process")
EVENTS = _own("events_total", "", "events, as in the table `event`", "kind")
WAL_BYTES = _own("wal_bytes", "B", "size of the log that waits to be sealed")
SEALED = _own("last_seal_timestamp_seconds", "s UTC", "up to when everything is sealed")
CPU = _own("cpu_seconds_total", "s", "CPU time of the collector, user and system")
MEMORY = _own("resident_memory_bytes", "B", "memory of the collector")
STARTED = _own("start_time_seconds", "s UTC", "when the collector started")
TIME = _own("time_seconds", "s UTC", "the collector's clock now: what its stamps compare with")
UPLOADS = {
    "files": _own("uploaded_files_total", "", "sealed files verified in the store"),
    "bytes": _own("uploaded_bytes_total", "B", "their size"),
    "failures": _own("upload_failures_total", "", "tries to upload a file that failed"),
    "backlog_files": _own("upload_backlog_files", "", "sealed files that wait to be uploaded"),
    "backlog_bytes": _own("upload_backlog_bytes", "B", "their size"),
    "oldest_waiting_s": _own("upload_backlog_age_seconds", "s", "how long the oldest has waited"),
}
"""By the name of the uploader's counter; where files are uploaded."""

DISK = {
    "dropped_files": _own("disk_dropped_files_total", "", "files removed that no store has"),
    "dropped_rows": _own("disk_dropped_rows_total", "", "rows in them"),
    "dropped_bytes": _own("disk_dropped_bytes_total", "B", "their size"),
    "freed_files": _own("disk_freed_files_total", "", "files removed because a store has them"),
    "freed_bytes": _own("disk_freed_bytes_total", "B", "their size"),
    "held_bytes": _own("disk_held_bytes", "B", "sealed files and logs of this node on the disk"),
}
"""By the name of the disk limit's counter; where `[disk]` sets a limit."""

SOURCE_DURATION = _own(
    "source_duration_seconds", "s", "how long the latest reading of a source took", "source"
)
SOURCE_SUCCESS = _own(
    "source_success", "", "1 if the latest reading of a source succeeded, else 0", "source"
)
SOURCE_SUCCEEDED = _own(
    "source_last_success_timestamp_seconds", "s UTC", "when it last succeeded", "source"
)

BUILD = Family(f"{PREFIX}build_info", "gauge", "", "1; version: the collector's", ("version",))

FAMILIES = (
    GPU_INFO, GPU_UP, GPU_READ, GPU_POWER, GPU_LIMIT, GPU_ENERGY, GPU_MINUTE, GPU_SM, GPU_MEMORY,
    GPU_CLOCK, GPU_TEMPERATURE, GPU_REASONS, GPU_PROCESSES, JOB_GPUS, JOB_POWER, JOB_RATE, JOB_COST,
    TOKENS, READINGS, LATE, GAPS, DROPPED, RECOVERED, EVENTS, WAL_BYTES, SEALED, CPU, MEMORY,
    STARTED, TIME, SOURCE_DURATION, SOURCE_SUCCESS, SOURCE_SUCCEEDED, *UPLOADS.values(),
    *DISK.values(), BUILD,
)  # fmt: skip
"""All of them, in the order in which they are served."""
