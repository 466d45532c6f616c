"""The configuration keys of the `rapl` source."""

from __future__ import annotations

from pydantic import Field

from tokenergy_collectors.base.strict import Strict


class Rapl(Strict):
    """Where the kernel shows the meters, and the most that they can measure."""

    enabled: bool = Field(
        default=True,
        description="Whether to read the meters. A host without them, or without leave, has none.",
    )
    folder: str = Field(
        default="/sys/class/powercap",
        min_length=1,
        description="Folder with the kernel's intel-rapl:* zones.",
    )
    every_s: float = Field(
        default=1.0, ge=0.05, le=3600, description="Seconds between two readings of the meters."
    )
    most_w: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description=(
            "Watts that no package, and no part of one, exceeds. The counters begin again at 0 "
            "after some minutes: this says how soon, and tells that from a reset."
        ),
    )
    platform_most_w: int = Field(
        default=20_000, ge=1, le=1_000_000, description="The same for the platform (psys)."
    )


class RaplKeys(Strict):
    """How the CPUs' energy meters are read."""

    rapl: Rapl = Field(
        default=Rapl(),
        description=(
            "Energy of CPUs and memory by their own meters. The kernel lets only root read them "
            "until you say otherwise: see docs/host-energy.md."
        ),
    )
