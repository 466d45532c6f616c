"""The settings of the upload of sealed files."""

from __future__ import annotations

from pydantic import Field, field_validator

from tokenergy_collectors.base.strict import Strict


class Upload(Strict):
    """Where sealed files are uploaded to, and how long they stay here."""

    to: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "Bucket and prefix, or a folder that exists, such as one on a mounted share; nothing "
            "is uploaded without. Credentials come from the environment (AWS_ACCESS_KEY_ID ...), "
            "~/.aws or the host's role, never from here."
        ),
        examples=["s3://bucket/prefix"],
    )
    endpoint_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Address of an S3-speaking server that is not Amazon's.",
        examples=["https://s3.example.org"],
    )
    every_s: float = Field(
        default=60.0, ge=0.1, le=86_400, description="Seconds between two looks for new files."
    )
    keep_local_s: float | None = Field(
        default=None,
        ge=0,
        description=(
            "Seconds that a file stays here after its hour is over, once its copy is verified; "
            "for ever where none is given."
        ),
        examples=[604_800.0],
    )
    timeout_s: float = Field(
        default=20.0,
        ge=0.1,
        le=600,
        description="Seconds without an answer after which the store counts as away.",
    )
    retry_s: float = Field(
        default=2.0,
        ge=0.1,
        le=3600,
        description="Seconds to the first try after a failure; twice that to the next one.",
    )
    retry_limit_s: float = Field(
        default=300.0, ge=0.1, le=86_400, description="Most seconds between two tries."
    )

    @field_validator("to", "endpoint_url")
    @classmethod
    def _no_credentials(cls, url: str | None) -> str | None:
        # The value is not repeated: what stands there may be a password.
        if url and "://" in url and "@" in url.split("://", 1)[1].split("/", 1)[0]:
            raise ValueError("holds credentials; expected them in the environment")
        return url
