"""The configuration keys of the `slurm` source."""

from __future__ import annotations

from pydantic import Field, field_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.slurm.boardnames import device_files


class Slurm(Strict):
    """Where the hooks write, and how the rest of a job is found out."""

    spool: str | None = Field(
        default=None,
        description="Folder into which the hooks write. Without this key no Slurm jobs are read.",
        examples=["/var/spool/tokenergy-slurm"],
    )
    every_s: float = Field(
        default=0.5, ge=0.1, le=60, description="Seconds between two looks into the folder."
    )
    scontrol: str = Field(
        default="scontrol",
        description=(
            'Program that is asked once about each job for its name and share; "" asks nothing: '
            "then jobs have no name, and a shard counts as a whole board."
        ),
    )
    device_files: str | None = Field(
        default=None,
        description=(
            "The boards in the order of gres.conf, as its File= lists them, if that is not the "
            "ascending order of all boards' device files."
        ),
        examples=["/dev/nvidia[0-3]"],
    )
    shards_per_board: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Shards of each board; by default scontrol is asked.",
        examples=[4],
    )
    grace_s: float = Field(
        default=60.0,
        ge=1.0,
        le=86_400,
        description="Seconds without any process of a job after which its epilog counts as lost.",
    )

    @field_validator("device_files")
    @classmethod
    def _listed(cls, text: str | None) -> str | None:
        if text is not None:
            device_files(text)
        return text


class SlurmKeys(Strict):
    """Where the jobs of Slurm are told."""

    slurm: Slurm = Field(
        default=Slurm(),
        description=(
            "Jobs of Slurm, as its prolog and epilog tell them: see docs/slurm.md. Name the "
            "cluster in `cluster`, so that its job ids are not those of another one."
        ),
    )
