"""The configuration keys of the `reports` source."""

from __future__ import annotations

from pydantic import Field

from tokenergy_collectors.base.strict import Strict


class Reports(Strict):
    """A socket on which programs of this host report the tokens that they count."""

    socket: str | None = Field(
        default=None,
        pattern=r"^/.{1,106}$",
        description="Path of the socket. Without this key no reports are taken.",
        examples=["/run/tokenergy/tokens.sock"],
    )
    every_s: float = Field(
        default=5.0, ge=0.5, le=3600, description="Seconds between two rows of one count."
    )
    users: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Users whose programs may report; all of them by default. The kernel says who "
        "sent a report.",
        examples=[["alice", "slurm"]],
    )


class ReportKeys(Strict):
    """Where reports are taken."""

    reports: Reports = Field(
        default=Reports(),
        description="Tokens that training loops and other programs report: see docs/training.md.",
    )
