"""The configuration keys of token endpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.address import refuse_credentials
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.lake.jobkey import checked_cluster
from tokenergy_collectors.sources.tokens.mapping import Mapping

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


class Tls(Strict):
    """How an https endpoint is reached."""

    ca_file: Path | None = Field(
        default=None,
        strict=False,
        description="Certificates (PEM) to trust in place of the system's.",
        examples=["/etc/tokenergy/ca.pem"],
    )
    cert_file: Path | None = Field(
        default=None,
        strict=False,
        description="The daemon's own certificate (PEM), where the server asks for one.",
        examples=["/etc/tokenergy/client.pem"],
    )
    key_file: Path | None = Field(
        default=None,
        strict=False,
        description="The key of cert_file, if it is in a file of its own.",
        examples=["/etc/tokenergy/client.key"],
    )
    verify: bool = Field(
        default=True,
        description="Whether the server's certificate must be valid. Without this, anyone on the "
        "way can invent tokens.",
    )


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
    job_id: str | None = Field(
        default=None,
        min_length=1,
        description="The job that these tokens count for. Without it: the job that holds the "
        "boards of the process that serves the page, which must be one of this host.",
        examples=["chat-70b"],
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
    role: Literal["prefill", "decode"] | None = Field(
        default=None,
        description="What the server does, if it is one of a pair that does only that: prefill "
        "(prompts) or decode. Then the energy of the boards that its job holds on this host counts "
        "for these tokens alone.",
        examples=["prefill"],
    )
    every_s: float = Field(
        default=5.0,
        ge=0.1,
        le=3600,
        description="Seconds between two scrapes. Some servers take each scrape for use and never "
        "go to sleep: see while_busy.",
    )
    while_busy: bool = Field(
        default=False,
        description="Scrape only while a board of the job works, and once afterwards: a server "
        "that takes a scrape for use can then go to sleep.",
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

    headers: dict[str, str] = Field(
        default={},
        description="Further HTTP headers of each scrape. A secret belongs into bearer_file.",
        examples=[{"X-Scope-OrgID": "team-a"}],
    )
    tls: Tls = Field(default=Tls(), description="For an https address.")
    mapping: Mapping = Field(
        default=Mapping(),
        description="Names of counters of a server that is not known, in place of all known ones: "
        "metrics as the page has them; labels in braces pick some of their series.",
    )

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() == "authorization":
                raise ValueError("headers: the key of Authorization belongs into bearer_file")
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"headers: {name!r} is not an HTTP header on one line")
        return headers

    @field_validator("cluster")
    @classmethod
    def _is_no_path(cls, cluster: str | None) -> str | None:
        return checked_cluster(cluster)

    @model_validator(mode="after")
    def _cluster_of_a_job(self) -> TokenSource:
        if self.cluster is not None and self.job_id is None:
            raise ValueError("cluster: expected only with job_id: a job that is found has its own")
        return self

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
