"""The configuration keys of the `signals` source."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.meters.secret import read_secret

Provider = Literal["electricitymaps", "watttime", "entsoe"]

QUANTITIES: dict[str, tuple[str, ...]] = {
    "electricitymaps": ("carbon_average", "price"),
    "watttime": ("carbon_marginal",),
    "entsoe": ("price",),
}
"""What each provider is asked for."""

PACKAGES = {"electricitymaps": "electricitymaps", "watttime": "watttime", "entsoe": "entsoe-py"}
"""The Python client of each provider."""


class SignalSource(Strict):
    """One signal that a provider is asked for."""

    name: str = Field(
        min_length=1,
        description="Name of the signal in the table `signal`; a name of your choice, used once.",
        examples=["caiso-north"],
    )
    provider: Provider = Field(
        description="electricitymaps (carbon_average, price), watttime (carbon_marginal) or entsoe "
        "(price).",
        examples=["watttime"],
    )
    quantity: str = Field(
        description="What to ask for: carbon_average, carbon_marginal or price.",
        examples=["carbon_marginal"],
    )
    zone: str = Field(
        min_length=1,
        description="Zone or region as the provider names it: DE, CAISO_NORTH, DE_LU.",
        examples=["CAISO_NORTH"],
    )
    username: str | None = Field(
        default=None,
        min_length=1,
        description="User of WattTime; the others have none.",
        examples=["monitor"],
    )
    token_file: Path | None = Field(
        default=None,
        strict=False,
        description="File with the token (of WattTime: the password) in its only line. Let only "
        "the collector read it.",
        examples=["/etc/tokenergy/watttime.password"],
    )
    token_env: str | None = Field(
        default=None,
        min_length=1,
        description="Environment variable that holds it, where there is no token_file.",
        examples=["WATTTIME_TOKEN"],
    )
    currency: str = Field(
        default="EUR",
        pattern=r"^[A-Z]{3}$",
        description="Currency of ENTSO-E's prices of this zone: its client does not tell it.",
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Address of the service, where it is not the provider's own: of a proxy.",
        examples=["https://proxy.example/v3"],
    )
    every_s: float = Field(
        default=300.0, ge=30, le=86_400, description="Seconds between two questions."
    )
    timeout_s: float = Field(
        default=30.0, gt=0, le=300, description="Seconds that an answer may take."
    )

    @property
    def about(self) -> str:
        """The signal in words."""
        return f"{self.name}: {self.quantity} of {self.zone} from {self.provider}"

    def token(self) -> str:
        """Return the token as it is now.

        Raises:
            SecretError: there is none.
        """
        return read_secret("token", self.token_file, self.token_env)

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_token(cls, data: Any) -> Any:
        # The error for an unknown key would show its value.
        for key in ("token", "password", "api_key"):
            if isinstance(data, dict) and key in data:
                raise ValueError(
                    f"a {key} does not belong here: name a file in token_file, or an environment "
                    "variable in token_env"
                )
        return data

    @model_validator(mode="after")
    def _fits(self) -> SignalSource:
        known = QUANTITIES[self.provider]
        if self.quantity not in known:
            raise ValueError(f"{self.provider} is asked for {' or '.join(known)}")
        if self.token_file is None and self.token_env is None:
            raise ValueError("expected token_file or token_env")
        if (self.username is not None) != (self.provider == "watttime"):
            raise ValueError("username: WattTime needs one, and only WattTime")
        return self


class SignalKeys(Strict):
    """The signals that providers are asked for."""

    signal_source: tuple[SignalSource, ...] = Field(
        default=(),
        strict=False,
        description="One table per signal of the grid that a provider is asked for over the "
        "internet: see docs/signals.md.",
    )

    @field_validator("signal_source")
    @classmethod
    def _differ(cls, sources: tuple[SignalSource, ...]) -> tuple[SignalSource, ...]:
        names = [one.name for one in sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"signal {name!r} is asked for twice; expected names that differ")
        return sources
