"""The configuration keys of the `openadr` source."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.strict import Strict


class Vtn(Strict):
    """An OpenADR 2.0b server (VTN) that is asked for events."""

    name: str = Field(
        min_length=1,
        description="What you call it; a name of your choice, used once.",
        examples=["utility"],
    )
    url: str = Field(
        pattern=r"^https?://[^\s@?#]+$",
        description="Its address, up to the service names.",
        examples=["https://vtn.example.org/OpenADR2/Simple/2.0b"],
    )
    ven_name: str = Field(
        min_length=1,
        description="The name under which it knows this site.",
        examples=["site-1"],
    )
    ven_id: str | None = Field(
        default=None,
        min_length=1,
        description="The id that it gave this site. Without this key: it gives one at the "
        "registration.",
        examples=["ven-0815"],
    )
    every_s: float = Field(default=30.0, ge=1, le=3600, description="Seconds between polls.")
    opt: Literal["in", "out"] = Field(
        default="out",
        description="What events are answered: `in` or `out`. TokEnergy moves nothing and caps "
        "nothing: say `in` only if somebody or something else at the site responds.",
    )
    unit: Literal["W", "kW", "MW"] | None = Field(
        default=None,
        description="Unit of requested power where the server names none. Without this key such a "
        "request is recorded as unknown.",
        examples=["kW"],
    )
    cert: Path | None = Field(
        default=None,
        strict=False,
        description="File with this site's certificate (PEM), where the server asks for one.",
        examples=["/etc/tokenergy/ven.pem"],
    )
    key: Path | None = Field(
        default=None,
        strict=False,
        description="File with its private key (PEM). Let only the collector read it.",
        examples=["/etc/tokenergy/ven.key"],
    )
    ca_file: Path | None = Field(
        default=None,
        strict=False,
        description="File with the certificates that sign the server's. Goes with cert.",
        examples=["/etc/tokenergy/vtn-ca.pem"],
    )
    vtn_fingerprint: str | None = Field(
        default=None,
        min_length=1,
        description="Fingerprint of the server's certificate, to check its signatures.",
        examples=["11:22:33:44:55:66:77:88:99:AA"],
    )

    @model_validator(mode="after")
    def _has_both_files(self) -> Vtn:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key: expected both or none")
        if self.ca_file is not None and self.cert is None:
            raise ValueError("ca_file: expected cert and key beside it")
        return self


class OpenadrKeys(Strict):
    """The OpenADR servers that are polled for events."""

    openadr: tuple[Vtn, ...] = Field(
        default=(),
        strict=False,
        description="One table per OpenADR 2.0b server (VTN) that is polled for events of demand "
        "response.",
    )

    @field_validator("openadr")
    @classmethod
    def _names_differ(cls, vtns: tuple[Vtn, ...]) -> tuple[Vtn, ...]:
        seen: set[str] = set()
        for one in vtns:
            if one.name in seen:
                raise ValueError(f"server {one.name!r} has two tables; expected one")
            seen.add(one.name)
        return vtns
