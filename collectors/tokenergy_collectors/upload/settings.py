"""The settings of the upload of sealed files."""

from __future__ import annotations

from pydantic import Field, field_validator

from tokenergy_collectors.base.address import refuse_credentials
from tokenergy_collectors.base.strict import Strict


class Upload(Strict):
    """Where sealed files are uploaded to, and how long they stay on this host."""

    to: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "Bucket and prefix, or an existing folder, such as one on a mounted share. Without"
            " this key nothing is uploaded. Credentials come from the environment "
            "(AWS_ACCESS_KEY_ID ...), ~/.aws or the host's role, never from this file."
        ),
        examples=["s3://bucket/prefix"],
    )
    endpoint_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Address of an S3-compatible server that is not Amazon's.",
        examples=["https://s3.example.org"],
    )
    every_s: float = Field(
        default=60.0, ge=0.1, le=86_400, description="Seconds between two checks for new files."
    )
    keep_local_s: float | None = Field(
        default=None,
        ge=0,
        description=(
            "Seconds that a file stays on this host after the end of its hour, once its copy is "
            "verified. Without this key it stays forever."
        ),
        examples=[604_800.0],
    )
    timeout_s: float = Field(
        default=20.0,
        ge=0.1,
        le=600,
        description="Seconds without an answer after which the store counts as unreachable.",
    )
    retry_s: float = Field(
        default=2.0,
        ge=0.1,
        le=3600,
        description="Seconds to the first try after a failure; each further wait is twice as long.",
    )
    retry_limit_s: float = Field(
        default=300.0, ge=0.1, le=86_400, description="Longest wait between two tries, in seconds."
    )

    @field_validator("to", "endpoint_url")
    @classmethod
    def _no_credentials(cls, url: str | None) -> str | None:
        return None if url is None else refuse_credentials(url, "them in the environment")
