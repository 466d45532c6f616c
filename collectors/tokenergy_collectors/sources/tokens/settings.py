"""The settings of one token endpoint."""

from __future__ import annotations

from pydantic import Field

from tokenergy_collectors.base.strict import Strict


class TokenSource(Strict):
    """A server or training loop that serves its token counters in Prometheus text format."""

    source_id: str = Field(
        min_length=1, description="Any name of your own, not used twice.", examples=["chat"]
    )
    url: str = Field(
        pattern=r"^https?://",
        description="Where the counters are served: an address with http:// or https://.",
        examples=["http://127.0.0.1:8000/metrics"],
    )
    job_id: str = Field(
        min_length=1, description="The job that these tokens count for.", examples=["chat-70b"]
    )
    model: str | None = Field(
        default=None,
        description="The model, where the endpoint names none.",
        examples=["llama-3.1-70b"],
    )
    every_s: float = Field(default=5.0, ge=0.1, le=3600, description="Seconds between two scrapes.")
    timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="Seconds that a scrape may take."
    )
