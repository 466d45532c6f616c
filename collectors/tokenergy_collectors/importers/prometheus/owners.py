"""Which job a series belongs to, by its labels.

In: the labels of a series. Out: the job's id, or None. First what the user says (a mapping file,
`--job-label`), then labels of Slurm jobs, then pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenergy_collectors.importers.prometheus.mapping import Owner
from tokenergy_collectors.importers.prometheus.names import SLURM, first_of

EXPORTERS = ("dcgm-exporter", "gpu-exporter", "gpu_exporter", "dcgm_exporter")
"""Parts of the names of pods and containers that serve the pages of boards."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as labels name it.

    Attributes:
        job_id: its id.
        scheduler: `slurm`, `kubernetes` or `prometheus`.
        pod: its namespace and pod, if it is one.
    """

    job_id: str
    scheduler: str
    pod: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Owners:
    """The rules by which labels name jobs.

    Args:
        labels: what `--job-label` names; all of them together name a job.
        told: the jobs of a mapping file.
    """

    labels: Sequence[str] = ()
    told: Sequence[Owner] = ()

    def of(self, labels: Mapping[str, str], *, of_board: bool = False) -> Job | None:
        """Return the job of a series.

        Args:
            labels: all its labels.
            of_board: it is of an exporter's page, whose own pod is not that of the job.
        """
        if owner := self.owner(labels):
            return Job(owner.job_id, "prometheus")
        if self.labels:
            values = [labels.get(name, "") for name in self.labels]
            return Job("/".join(values), "prometheus") if all(values) else None
        # hpc_job may be "0" or empty where no job runs.
        slurm = first_of(labels, SLURM)
        if slurm and slurm != "0":
            return Job(slurm, "slurm")
        return _pod(labels, of_board)

    def owner(self, labels: Mapping[str, str]) -> Owner | None:
        """Return the entry of the mapping file that a series fits."""
        for owner in self.told:
            if all(labels.get(name) == value for name, value in owner.labels.items()):
                return owner
        return None


def _pod(labels: Mapping[str, str], of_board: bool) -> Job | None:
    """Return the pod of a series.

    Prometheus renames a page's own label to `exported_pod` where it adds one of that name itself:
    on the page of an exporter `pod` is then the exporter's pod.
    """
    for prefix in ("exported_", "") if of_board else ("",):
        namespace, pod = labels.get(f"{prefix}namespace"), labels.get(f"{prefix}pod")
        if not pod:
            pod = labels.get(f"{prefix}pod_name")  # dcgm-exporter before 2.0
        if not pod:
            continue
        served = f"{pod} {labels.get('container', '')}"
        if of_board and not prefix and any(word in served for word in EXPORTERS):
            return None
        name = f"{namespace}/{pod}" if namespace else pod
        return Job(name, "kubernetes", (namespace or "", pod))
    return None
