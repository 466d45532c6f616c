"""What a profile runs on its boards: jobs of the scheduler, and processes that no job holds.

In: the tables `[[jobs]]` and `[[strays]]`. Out: validated specifications. Times are seconds since
the profile's start; they are used as whole microseconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.workloads.inference import InferenceSpec
from tokenergy_collectors.emulate.workloads.periodic import PeriodicSpec
from tokenergy_collectors.emulate.workloads.reservation import ReservationSpec
from tokenergy_collectors.emulate.workloads.stray import StraySpec
from tokenergy_collectors.emulate.workloads.training import TrainingSpec

WorkloadSpec = Annotated[
    InferenceSpec | TrainingSpec | PeriodicSpec | ReservationSpec, Field(discriminator="type")
]


class Placed(Strict):
    """Something that runs on boards for a while; `devices` maps a node to board indices."""

    id: str = Field(min_length=1)
    devices: dict[str, list[int]] = Field(min_length=1)
    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)

    @property
    def start_us(self) -> int:
        """Start, microseconds of profile time."""
        return round(self.start_s * 1e6)

    @property
    def end_us(self) -> int:
        """End, microseconds of profile time."""
        return round(self.end_s * 1e6)


class JobSpec(Placed):
    """A job of the scheduler. The first node of `devices` holds rank 0 and serves the tokens.

    With `per_node` it means one job on each of its nodes (see `compact`).
    """

    # `compact` has written out true before validation: any other value is an error.
    per_node: Literal[False] = False

    name: str | None = None
    user: str | None = None
    account: str | None = None
    workload: WorkloadSpec

    @model_validator(mode="after")
    def _servers_stay_on_one_node(self) -> JobSpec:
        if self.workload.type == "inference" and len(self.devices) > 1:
            raise ValueError(
                f"devices of {self.id!r}: an inference job runs on one node; "
                "per_node = true makes one job a node"
            )
        return self


class StrayJobSpec(Placed):
    """A process on boards that no job holds."""

    workload: StraySpec
