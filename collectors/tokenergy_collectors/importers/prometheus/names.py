"""What known exporters call their metrics and labels, as data.

In: the name of a metric. Out: what it is of a board, and in which unit.

Sources: NVIDIA/dcgm-exporter `etc/default-counters.csv` and `internal/pkg/rendermetrics`;
utkuozdemir/nvidia_gpu_exporter `internal/exporter`; kubernetes/kube-state-metrics `docs/metrics`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Meaning = Literal["power", "energy", "sm_util", "mem_util", "sm_mhz", "temp_c", "limit", "info"]
"""What a metric is of a board; `info`: only its labels say something."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric of boards.

    Attributes:
        metric: its name.
        meaning: what it is.
        factor: multiplies a value into the unit of the lake (mW, mJ, percent, MHz, degrees).
        exporter: whose metric it is.
        choice: of several metrics of one meaning, the lowest is used; the others only where it
            is missing.
        sensor: kind of a power reading, as in `power.sensor`.
    """

    metric: str
    meaning: Meaning
    factor: float
    exporter: str
    choice: int = 0
    sensor: str = "unknown"


DCGM, _SMI = "dcgm-exporter", "nvidia_gpu_exporter"

GAUGES = (
    Gauge("DCGM_FI_DEV_POWER_USAGE_INSTANT", "power", 1e3, DCGM, 0, "instant"),
    Gauge("DCGM_FI_DEV_POWER_USAGE", "power", 1e3, DCGM, 1),
    Gauge("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "energy", 1, DCGM),
    Gauge("DCGM_FI_DEV_GPU_UTIL", "sm_util", 1, DCGM),
    Gauge("DCGM_FI_DEV_MEM_COPY_UTIL", "mem_util", 1, DCGM),
    Gauge("DCGM_FI_DEV_SM_CLOCK", "sm_mhz", 1, DCGM),
    Gauge("DCGM_FI_DEV_GPU_TEMP", "temp_c", 1, DCGM),
    Gauge("DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX", "limit", 1e3, DCGM, 0),
    Gauge("DCGM_FI_DEV_POWER_MGMT_LIMIT", "limit", 1e3, DCGM, 1),
    Gauge("nvidia_smi_power_draw_instant_watts", "power", 1e3, _SMI, 2, "instant"),
    Gauge("nvidia_smi_power_draw_watts", "power", 1e3, _SMI, 3),
    Gauge("nvidia_smi_utilization_gpu_ratio", "sm_util", 100, _SMI, 1),
    Gauge("nvidia_smi_utilization_memory_ratio", "mem_util", 100, _SMI, 1),
    Gauge("nvidia_smi_clocks_current_sm_clock_hz", "sm_mhz", 1e-6, _SMI, 1),
    Gauge("nvidia_smi_temperature_gpu", "temp_c", 1, _SMI, 1),
    Gauge("nvidia_smi_enforced_power_limit_watts", "limit", 1e3, _SMI, 2),
    Gauge("nvidia_smi_power_limit_watts", "limit", 1e3, _SMI, 3),
    Gauge("nvidia_smi_gpu_info", "info", 1, _SMI),
)
"""Every known metric of boards."""

POD_START, POD_END = "kube_pod_start_time", "kube_pod_completion_time"
"""When a pod was admitted and when it ended, Unix seconds (kube-state-metrics)."""

PATTERNS = (
    "(DCGM_FI_DEV_.*|nvidia_smi_.*|kube_pod_(start|completion)_time)",
    "((ray_)?vllm|sglang|llamacpp|tgi|trtllm|lmdeploy|dynamo|tokenergy)[:_]"
    ".*(token|input_length|hits).*",
)
"""Regular expressions of the names that are looked for."""

START = "process_start_time_seconds"

LATE_S: Mapping[str, float] = {DCGM: 30.0, _SMI: 2.0}
"""How old a value may be when it is scraped, seconds, by exporter.

dcgm-exporter reads its boards every 30 s unless told otherwise (`-c`, DCGM_EXPORTER_INTERVAL) and
answers scrapes from what it read last. nvidia_gpu_exporter runs nvidia-smi at each scrape.
"""


@dataclass(frozen=True, slots=True)
class LabelNames:
    """Which labels name what; of several the first that a series has.

    Attributes:
        device: of a board; its UUID, or its index.
        node: host name.
        job: the job; of several labels all are joined with `/`.
        model: model name.
        replica: labels that tell apart copies of one series, and are left out.
    """

    device: tuple[str, ...] = ("UUID", "uuid", "gpu_uuid")
    node: tuple[str, ...] = ("node", "kubernetes_node", "nodename", "Hostname", "hostname")
    job: tuple[str, ...] = ()
    model: tuple[str, ...] = ("model_name", "model")
    replica: tuple[str, ...] = (
        "prometheus_replica", "receive_replica", "thanos_replica", "rule_replica", "__replica__"
    )  # fmt: skip


SLURM = ("hpc_job", "slurm_job_id", "SLURM_JOB_ID", "slurmjobid", "slurm_jobid")
"""Labels that hold the id of a Slurm job: dcgm-exporter's `--hpc-job-mapping-dir`, and exporters of
sites."""


@dataclass(frozen=True, slots=True)
class Names:
    """All names that an import knows: the built-in ones, and those of a mapping file."""

    gauges: tuple[Gauge, ...] = GAUGES
    labels: LabelNames = field(default_factory=LabelNames)

    def of(self, metric: str) -> Gauge | None:
        """Return what a metric is of a board; None if it is not known."""
        # A mapping's own entries come last, and win over built-in ones of the same name.
        return next((gauge for gauge in reversed(self.gauges) if gauge.metric == metric), None)

    @property
    def patterns(self) -> tuple[str, ...]:
        """Regular expressions of the names to look for."""
        known = {gauge.metric for gauge in GAUGES}
        own = sorted({gauge.metric for gauge in self.gauges} - known)
        return (*PATTERNS, *own)


def first_of(labels: Mapping[str, str], names: Iterable[str]) -> str | None:
    """Return the value of the first of some labels that a series has."""
    return next((labels[name] for name in names if labels.get(name)), None)


def host_of(labels: Mapping[str, str]) -> str | None:
    """Return the host of the address that was scraped."""
    address = labels.get("instance", "")
    host, colon, port = address.rpartition(":")
    return (host.strip("[]") if colon and port.isdigit() else address) or None
