"""Pages that exporters of an emulated node would serve: dcgm-exporter's, and an engine's.

In: a node that is entered, and its time. Out: Prometheus text. The exporter reads its boards at its
own interval, and answers scrapes from what it read last, as dcgm-exporter does.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass, field

from tokenergy_collectors.emulate.run.node import EmulatedNode

GAUGES = {
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power draw (in W)."),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("counter", "Total energy since boot (in mJ)."),
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "GPU utilization (in %)."),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", "GPU temperature (in C)."),
    "DCGM_FI_DEV_POWER_MGMT_LIMIT": ("gauge", "Power limit (in W)."),
}


@dataclass
class Exporter:
    """dcgm-exporter on an emulated node.

    Args:
        node: the node.
        every_us: how often it reads its boards.
        phase_us: when it does so first.
    """

    node: EmulatedNode
    every_us: int = 30_000_000
    phase_us: int = 0
    _read_us: int | None = None
    _lines: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def samples(self, now_us: int) -> dict[str, list[tuple[str, str]]]:
        """Labels and value of each series by metric, at a time of the profile."""
        read_us = now_us - (now_us - self.phase_us) % self.every_us
        if read_us != self._read_us:
            self._read_us = read_us
            self._lines = self._read(max(read_us, 0))
        return self._lines

    def page(self, now_us: int) -> str:
        """The page in Prometheus text format."""
        lines = []
        for metric, series in self.samples(now_us).items():
            kind, text = GAUGES[metric]
            lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]
            lines += [f"{metric}{{{labels}}} {value}" for labels, value in series]
        return "\n".join(lines) + "\n"

    def _read(self, at_us: int) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {metric: [] for metric in GAUGES}
        for board in self.node.boards:
            labels = self._labels(board.identity, at_us)
            values = (
                f"{board.power_usage_mw(at_us) / 1000:.3f}",
                str(board.energy_mj(at_us)),
                str(board.utilization(at_us)[0]),
                str(board.temp_c(at_us)),
                f"{board.identity.limit_mw / 1000:.3f}",
            )
            for metric, value in zip(GAUGES, values, strict=True):
                found[metric].append((labels, value))
        return found

    def _labels(self, identity, at_us: int) -> str:
        labels = {
            "gpu": str(identity.index),
            "UUID": identity.uuid,
            "pci_bus_id": f"00000000:{identity.pci_bus:02X}:00.0",
            "device": f"nvidia{identity.index}",
            "modelName": identity.name,
            "Hostname": self.node.node,
            "DCGM_FI_DRIVER_VERSION": "550.54.15",
        }
        start_us = self.node.start_us + at_us
        for job in self.node.allocations:
            if job["device_id"] == identity.uuid and job["start_us"] <= start_us < job["end_us"]:
                labels |= {"namespace": "ml", "pod": job["job_id"], "container": "main"}
        return ",".join(f'{name}="{value}"' for name, value in labels.items())


def engine_page(url: str) -> str | None:
    """The page of an emulated engine now; None while it does not run."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError:
        return None


def open_metrics(samples: dict[str, list[tuple[str, str, int]]]) -> str:
    """OpenMetrics text of samples (labels, value, stamp in us) by metric, for `promtool tsdb`."""
    lines = []
    for metric in sorted(samples):
        # Of unknown type, so that names need no suffix.
        lines.append(f"# TYPE {metric} unknown")
        series: dict[str, list[tuple[int, str]]] = {}
        for labels, value, ts_us in samples[metric]:
            series.setdefault(labels, []).append((ts_us, value))
        lines += [
            f"{metric}{{{labels}}} {value} {ts_us / 1e6:.3f}"
            for labels, points in sorted(series.items())
            for ts_us, value in sorted(points)
        ]
    return "\n".join([*lines, "# EOF", ""])
