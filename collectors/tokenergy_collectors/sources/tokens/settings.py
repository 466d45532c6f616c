"""The configuration keys of token endpoints."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from tokenergy_collectors.base.address import refuse_credentials
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.lake.jobkey import checked_cluster


class TokenSource(Strict):
    """A server or training loop that serves its token counters in Prometheus text format."""

    source_id: str = Field(
        min_length=1,
        description="A name of your choice; each endpoint needs its own.",
        examples=["chat"],
    )
    url: str = Field(
        pattern=r"^https?://",
        description="Address of the metrics page, with http:// or https://.",
        examples=["http://127.0.0.1:8000/metrics"],
    )
    job_id: str = Field(
        min_length=1, description="The job that these tokens count for.", examples=["chat-70b"]
    )
    cluster: str | None = Field(
        default=None,
        description="The cluster that the job's id belongs to, if it is not the collector's.",
        examples=["east"],
    )
    model: str | None = Field(
        default=None,
        description="Name of the model, if the endpoint does not report it.",
        examples=["llama-3.1-70b"],
    )
    every_s: float = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="Seconds between two scrapes. Some servers take each scrape for use and never "
        "go to sleep: see docs/collecting.md.",
    )
    timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="Seconds that a scrape may take."
    )
    bearer_file: Path | None = Field(
        default=None,
        strict=False,
        description="File that holds the key for the header `Authorization: Bearer`, where the "
        "page asks for one; read at each scrape.",
        examples=["/etc/tokenergy/chat.key"],
    )

    @field_validator("cluster")
    @classmethod
    def _is_no_path(cls, cluster: str | None) -> str | None:
        return checked_cluster(cluster)

    @field_validator("url")
    @classmethod
    def _no_credentials(cls, url: str) -> str:
        return refuse_credentials(
            url, "an address without them: others may read the configuration file"
        )


class TokenKeys(Strict):
    """The token endpoints."""

    # TOML has arrays, not tuples; the items are still checked strictly.
    tokens: tuple[TokenSource, ...] = Field(
        default=(),
        strict=False,
        description="One table per token endpoint, which serves Prometheus text over HTTP.",
    )

    @field_validator("tokens")
    @classmethod
    def _sources_differ(cls, tokens: tuple[TokenSource, ...]) -> tuple[TokenSource, ...]:
        ids = [source.source_id for source in tokens]
        for source_id in ids:
            if ids.count(source_id) > 1:
                raise ValueError(
                    f"source_id {source_id!r} is used twice; expected a different one for each"
                )
        return tokens
