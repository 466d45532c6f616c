"""One frame of `top`: boards, jobs and the collector's health as plain rows.

In: metric families, from an endpoint or from a view in this process. Out: a `Frame`. A value
without a sample is None: it is unknown or stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import Metric

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.live import catalogue as c
from tokenergy_collectors.live.jobs import OUTPUT_KINDS
from tokenergy_collectors.top.reasons import held_back


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One board.

    Attributes:
        age_s: the age of its latest reading, in seconds.
        held_back: why its clock is not higher, in words of `reasons.py`; none: nothing holds it
            back. None if that is not known.
    """

    index: int
    device: str
    name: str
    job: str
    power_w: float | None
    limit_w: float | None
    energy_last_minute_j: float | None
    utilization: float | None
    temperature_c: float | None
    age_s: float | None
    held_back: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job; `kind` is the kind of token that its rate and its energy per token use."""

    job: str
    gpus: int
    power_w: float | None
    kind: str | None
    tokens_per_s: float | None
    joules_per_token: float | None


@dataclass(frozen=True, slots=True)
class CollectorHealth:
    """The collector's own numbers; `up_s` is the time since its start, in seconds."""

    version: str
    up_s: float
    readings: int
    late_ticks: int
    gaps: int
    dropped_rows: int
    events: Mapping[str, int]
    cpu_s: float | None
    resident_bytes: int | None
    wal_bytes: int | None
    sealed_s_ago: float | None


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that is shown at once; `time_s` is UTC by the collector's clock."""

    node: str
    time_s: float
    gpus: tuple[GpuRow, ...]
    jobs: tuple[JobRow, ...]
    health: CollectorHealth


class _Samples:
    """Samples by the name of their metric."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in families:
            for sample in family.samples:
                found = self._samples.setdefault(sample.name, [])
                found.append((sample.labels, sample.value))

    def samples(self, family: c.Family) -> list[tuple[Mapping[str, str], float]]:
        return self._samples.get(family.name, [])

    def one(self, family: c.Family) -> float | None:
        """Return the value of a metric without labels."""
        return next((value for _, value in self.samples(family)), None)

    def by(self, family: c.Family, label: str) -> dict[str, float]:
        return {labels.get(label, ""): value for labels, value in self.samples(family)}


def frame_of(families: Iterable[Metric]) -> Frame:
    """Return the frame of a collector's metrics.

    Raises:
        UserError: the metrics are not those of a collector.
    """
    metrics = _Samples(families)
    time_s = metrics.one(c.TIME)
    if time_s is None:
        raise UserError(f"these are not the metrics of a collector: {c.TIME.name} is missing")
    info = metrics.samples(c.GPU_INFO)
    return Frame(
        next((labels.get("node", "") for labels, _ in info), ""),
        time_s,
        _gpus(metrics, time_s),
        _jobs(metrics),
        _health(metrics, time_s),
    )


def _gpus(metrics: _Samples, time_s: float) -> tuple[GpuRow, ...]:
    power, limit = metrics.by(c.GPU_POWER, "device"), metrics.by(c.GPU_LIMIT, "device")
    minute, used = metrics.by(c.GPU_MINUTE, "device"), metrics.by(c.GPU_SM, "device")
    why = metrics.by(c.GPU_REASONS, "device")
    warm, read = metrics.by(c.GPU_TEMPERATURE, "device"), metrics.by(c.GPU_READ, "device")
    holders = {
        labels["device"]: labels.get("job_id", "") for labels, _ in metrics.samples(c.GPU_UP)
    }
    rows = []
    for labels, _ in metrics.samples(c.GPU_INFO):
        device = labels["device"]
        read_s = read.get(device)
        rows.append(
            GpuRow(
                index=int(labels["index"]),
                device=device,
                name=labels["name"],
                job=holders.get(device, ""),
                power_w=power.get(device),
                limit_w=limit.get(device),
                energy_last_minute_j=minute.get(device),
                utilization=used.get(device),
                temperature_c=warm.get(device),
                age_s=None if read_s is None else max(0.0, time_s - read_s),
                held_back=None if device not in why else held_back(int(why[device])),
            )
        )
    return tuple(sorted(rows, key=lambda row: row.index))


def _jobs(metrics: _Samples) -> tuple[JobRow, ...]:
    gpus, power = metrics.by(c.JOB_GPUS, "job_id"), metrics.by(c.JOB_POWER, "job_id")
    costs = {labels["job_id"]: value for labels, value in metrics.samples(c.JOB_COST)}
    rates = {
        (labels["job_id"], labels["kind"]): value for labels, value in metrics.samples(c.JOB_RATE)
    }
    rows = []
    for job, count in gpus.items():
        # The kind that J/token is divided by, as in `live/jobs.py`.
        kind = next((kind for kind in OUTPUT_KINDS if (job, kind) in rates), None)
        rate = None if kind is None else rates[job, kind]
        rows.append(JobRow(job, int(count), power.get(job), kind, rate, costs.get(job)))
    return tuple(sorted(rows, key=lambda row: row.job))


def _health(metrics: _Samples, time_s: float) -> CollectorHealth:
    sealed_s = metrics.one(c.SEALED)
    versions = metrics.by(c.BUILD, "version")
    return CollectorHealth(
        version=next(iter(versions), ""),
        up_s=max(0.0, time_s - (metrics.one(c.STARTED) or time_s)),
        readings=int(metrics.one(c.READINGS) or 0),
        late_ticks=int(metrics.one(c.LATE) or 0),
        gaps=int(metrics.one(c.GAPS) or 0),
        dropped_rows=int(metrics.one(c.DROPPED) or 0),
        events={kind: int(count) for kind, count in metrics.by(c.EVENTS, "kind").items()},
        cpu_s=metrics.one(c.CPU),
        resident_bytes=_whole(metrics.one(c.MEMORY)),
        wal_bytes=_whole(metrics.one(c.WAL_BYTES)),
        sealed_s_ago=None if sealed_s is None else max(0.0, time_s - sealed_s),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
