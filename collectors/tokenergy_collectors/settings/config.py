"""The daemon's configuration: a TOML file, checked key by key.

In: a file. Out: a `Config`; an unknown key or a bad value is one line that names it. Every key says
here what it means; `tokenergy-collect config --example` prints that. Units end the names: `_s`
seconds, `_hz` a second.
"""

from __future__ import annotations

import socket
from typing import Literal

from pydantic import Field, field_validator

from tokenergy_collectors.base.address import parse_listen
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.nvml.settings import Place
from tokenergy_collectors.sources.tokens.settings import TokenSource
from tokenergy_collectors.upload.settings import Upload


class Metrics(Strict):
    """What this collector tells about itself, in Prometheus text format, if it is asked to."""

    listen: str | None = Field(
        default=None,
        description=(
            "Serve metrics here: a loopback address, or unix: and the path of a socket. Nothing is "
            "served without it."
        ),
        examples=["127.0.0.1:9465"],
    )
    stale_s: float = Field(
        default=2.0,
        ge=0.5,
        le=600,
        description=(
            "Seconds after which a power reading is not shown any more; never under three of the "
            "board's update periods."
        ),
    )

    @field_validator("listen")
    @classmethod
    def _only_this_host(cls, listen: str | None) -> str | None:
        if listen is not None:
            parse_listen(listen)
        return listen


class Disk(Strict):
    """Limits on what this node's files take on the local disk; none where none is given."""

    limit_mb: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description=(
            "Megabytes that this node's sealed files and logs may hold. Beyond it uploaded files "
            "go first; then the oldest gauges, then the oldest readings are given up."
        ),
        examples=[20_000],
    )
    keep_days: float | None = Field(
        default=None,
        gt=0,
        le=36_500,
        description=(
            "Days after being sealed that readings, gauges and tokens are removed, uploaded or not."
        ),
        examples=[30.0],
    )


class Config(Strict):
    """Everything the daemon can be told."""

    lake: str = Field(
        min_length=1, description="Folder to write to.", examples=["/var/lib/tokenergy/lake"]
    )
    node: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        description="Name of this host in the tables; the host name where none is given.",
        examples=["gpu-01"],
    )
    rate_hz: float | None = Field(
        default=None,
        ge=0.1,
        le=50,
        description=(
            'Power readings a second. "auto", as without this key: two in the shortest update '
            "period that was learned at start, 10 to 50; 20 where none was."
        ),
        examples=[20.0],
    )
    counter_every_s: float = Field(
        default=1.0,
        ge=1.0,
        le=60,
        description=(
            "Seconds between two readings of the energy counter; more often, some boards "
            "are reported to under-count."
        ),
    )
    state_every_s: float = Field(
        default=1.0,
        ge=1.0,
        le=60,
        description=(
            "Seconds between two readings of utilization, clock, temperature and clock "
            "event reasons."
        ),
    )
    processes_every_s: float = Field(
        default=5.0,
        ge=3.5,
        le=300,
        description="Seconds between two process lists; they take a lock in the driver.",
    )
    roll_s: float = Field(
        default=300.0,
        ge=1,
        le=3600,
        description="Seconds after which what was read is sealed into files.",
    )
    learn_s: float = Field(
        default=1.5,
        ge=0,
        le=10,
        description=(
            "Seconds at start in which each board's power reading is watched to learn how often "
            "it changes; up to twice that where it hardly does. 0: not at all."
        ),
    )
    wal_flush_s: float = Field(
        default=0.5,
        ge=0.1,
        le=60,
        description="Seconds after which what was read is in the log: what a SIGKILL may cost.",
    )
    wal_fsync_s: float = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="Seconds after which the log is forced to disk: what a power cut may cost.",
    )
    wal_limit_mb: int = Field(
        default=1024,
        ge=1,
        le=1_000_000,
        description="Megabytes that logs may hold while the lake cannot be written.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Form of the log on standard error, one line an event."
    )
    jobs_file: str | None = Field(
        default=None,
        description="Declared allocations, CSV; read again when it changes.",
        examples=["/etc/tokenergy/jobs.csv"],
    )
    place: Place = Field(default=Place(), description="Where the node stands.")
    metrics: Metrics = Field(default=Metrics(), description="What is served, and where.")
    upload: Upload = Field(default=Upload(), description="Where sealed files are uploaded to.")
    disk: Disk = Field(default=Disk(), description="Limits on the local disk.")
    # TOML has arrays, not tuples; what stands in them is checked as strictly as the rest.
    tokens: tuple[TokenSource, ...] = Field(
        default=(),
        strict=False,
        description="One table a token endpoint: Prometheus text over HTTP.",
    )

    @field_validator("rate_hz", mode="before")
    @classmethod
    def _auto_is_none(cls, rate_hz: object) -> object:
        return None if rate_hz == "auto" else rate_hz

    @field_validator("tokens")
    @classmethod
    def _sources_differ(cls, tokens: tuple[TokenSource, ...]) -> tuple[TokenSource, ...]:
        ids = [source.source_id for source in tokens]
        for source_id in ids:
            if ids.count(source_id) > 1:
                raise ValueError(f"source_id {source_id!r} is used twice; expected different ones")
        return tokens
