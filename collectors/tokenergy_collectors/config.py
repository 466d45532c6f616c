"""The daemon's configuration: a TOML file, checked key by key.

In: a file. Out: a `Config`; an unknown key or a bad value is one line that names it.
"""

from __future__ import annotations

import socket
from typing import Literal

from pydantic import Field, field_validator

from tokenergy_collectors.strict import Strict


class TokenSource(Strict):
    """A server or training loop that serves its token counters in Prometheus text format."""

    source_id: str = Field(min_length=1)
    url: str = Field(pattern=r"^https?://")
    job_id: str = Field(min_length=1)
    model: str | None = None
    every_s: float = Field(default=5.0, ge=0.1, le=3600)
    timeout_s: float = Field(default=2.0, gt=0, le=60)


class Place(Strict):
    """Where the node stands."""

    site: str | None = None
    hall: str | None = None
    pod: str | None = None
    rack: str | None = None


class Config(Strict):
    """Everything the daemon can be told."""

    lake: str = Field(min_length=1)
    node: str = Field(default_factory=socket.gethostname, min_length=1)
    rate_hz: float = Field(default=20.0, ge=0.1, le=50)
    counter_every_s: float = Field(default=1.0, ge=1.0, le=60)
    state_every_s: float = Field(default=1.0, ge=1.0, le=60)
    processes_every_s: float = Field(default=5.0, ge=3.0, le=300)
    roll_s: float = Field(default=300.0, ge=1, le=3600)
    log_format: Literal["text", "json"] = "text"
    jobs_file: str | None = None
    place: Place = Place()
    # TOML has arrays, not tuples; what stands in them is checked as strictly as the rest.
    tokens: tuple[TokenSource, ...] = Field(default=(), strict=False)

    @field_validator("tokens")
    @classmethod
    def _sources_differ(cls, tokens: tuple[TokenSource, ...]) -> tuple[TokenSource, ...]:
        ids = [source.source_id for source in tokens]
        for source_id in ids:
            if ids.count(source_id) > 1:
                raise ValueError(f"source_id {source_id!r} is used twice; expected different ones")
        return tokens
