"""One job's token endpoint: the server, and how a collector's configuration would name it.

In: a job of the profile, and a function that reads its counters. Out: a running server and its
`EmulatedSource`; nothing for a reservation, which counts no tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tokenergy_collectors.emulate.profile.jobs import JobSpec
from tokenergy_collectors.emulate.run.metrics_server import MetricsServer, Snapshot
from tokenergy_collectors.emulate.workloads.inference import InferenceSpec
from tokenergy_collectors.emulate.workloads.reservation import ReservationSpec


@dataclass(frozen=True, slots=True)
class EmulatedSource:
    """A token endpoint.

    Attributes:
        source_id: names the endpoint: NODE/JOB.
        url: where it answers.
        job_id: the job it counts for.
        model: model name.
    """

    source_id: str
    url: str
    job_id: str
    model: str


def serve_job(
    job: JobSpec, node: str, read: Callable[[], Snapshot | None]
) -> tuple[MetricsServer, EmulatedSource] | None:
    """Serve a job's tokens from now on; the caller closes the server.

    Raises:
        UserError: the job's port is taken, or may not be used.
    """
    spec = job.workload
    if isinstance(spec, ReservationSpec):
        return None
    labels = {"model_name": spec.model}
    if isinstance(spec, InferenceSpec):
        labels["engine"] = "0"  # as vLLM labels the first engine of a server
    server = MetricsServer(read, labels, spec.port)
    return server, EmulatedSource(f"{node}/{job.id}", server.url, job.id, spec.model)
