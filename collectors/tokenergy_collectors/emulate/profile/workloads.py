"""From what a profile declares to a workload that runs."""

from __future__ import annotations

from tokenergy_collectors.emulate.profile.profile import JobSpec, Profile, StrayJobSpec
from tokenergy_collectors.emulate.workloads.base import Workload
from tokenergy_collectors.emulate.workloads.inference import Inference, InferenceSpec
from tokenergy_collectors.emulate.workloads.periodic import Periodic, PeriodicSpec
from tokenergy_collectors.emulate.workloads.request_log import load_log
from tokenergy_collectors.emulate.workloads.reservation import Reservation, ReservationSpec
from tokenergy_collectors.emulate.workloads.stray import Stray
from tokenergy_collectors.emulate.workloads.training import Training, TrainingSpec


def build(profile: Profile, placed: JobSpec | StrayJobSpec) -> Workload:
    """Return the workload of a job or stray; every node of a job builds the same one.

    Raises:
        UserError: its request log cannot be used.
    """
    spec = placed.workload
    when = (profile.seed, placed.id, placed.start_us, placed.end_us)
    if isinstance(spec, InferenceSpec):
        return Inference(spec, load_log(spec.log, profile.folder), *when)
    if isinstance(spec, TrainingSpec):
        return Training(spec, *when)
    if isinstance(spec, PeriodicSpec):
        return Periodic(spec, *when)
    if isinstance(spec, ReservationSpec):
        return Reservation(*when)
    return Stray(spec, *when)
