"""The configuration keys of the `nut` source."""

from __future__ import annotations

from pydantic import Field, field_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.meters.secret import Login
from tokenergy_collectors.sources.meters.settings import HOST_PATTERN, refuse_twice

_NAME = r"^[!-~]+$"

EXPECTED = "ups.load"
"""What nearly every UPS has: missed where the configuration names no variable."""

USUAL = (
    EXPECTED, "ups.realpower", "ups.power", "ups.efficiency",
    "input.realpower", "input.power", "output.realpower", "output.power", "battery.charge",
)  # fmt: skip
"""What is read where the configuration names no variable, as far as the UPS has it."""


class Variable(Strict):
    """One variable of a UPS that is one meter."""

    name: str = Field(
        pattern=_NAME,
        description="Name of the variable, as `upsc UPS@HOST` lists it.",
        examples=["output.realpower"],
    )
    meter: str = Field(
        min_length=1,
        description="The meter's id in the table `meter`; a name of your choice, used once.",
        examples=["hall-a/ups-1/output"],
    )
    invalid: tuple[int | float, ...] | None = Field(
        default=None,
        strict=False,
        description="Numbers that mean that there is no reading. Without this key: 65535 and "
        "4294967295.",
        examples=[[0]],
    )


class _Upsd(Strict):
    """Where a UPS is."""

    host: str = Field(
        pattern=HOST_PATTERN,
        description="Name or address of the host on which upsd runs.",
        examples=["10.0.8.30"],
    )
    port: int = Field(default=3493, ge=1, le=65_535, description="Its TCP port.")
    ups: str = Field(
        pattern=_NAME,
        description="Name of the UPS there: see `upsc -l HOST`.",
        examples=["ups-1"],
    )


class Ups(Login, _Upsd):
    """A UPS that an upsd serves, and the variables to read."""

    label: str | None = Field(
        default=None,
        min_length=1,
        description="What the ids of its meters begin with, where no variable is named. Without "
        "this key: the name of the UPS.",
        examples=["hall-a/ups-1"],
    )
    every_s: float = Field(default=10.0, ge=1, le=3600, description="Seconds between readings.")
    timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Seconds that an answer may take, as a whole."
    )
    # `variable` in the file, as there is one table for each.
    variables: tuple[Variable, ...] = Field(
        default=(),
        alias="variable",
        strict=False,
        description="One table per variable to read. Without any: ups.load, and power, efficiency "
        "and charge as far as the UPS has them, as LABEL/VARIABLE.",
    )

    @property
    def about(self) -> str:
        """The UPS in words, as NUT writes it: UPS@HOST:PORT."""
        return f"{self.ups}@{self.host}:{self.port}"

    @property
    def read(self) -> tuple[Variable, ...]:
        """The variables to read."""
        label = self.label or self.ups
        return self.variables or tuple(
            Variable(name=name, meter=f"{label}/{name}") for name in USUAL
        )

    @field_validator("variables")
    @classmethod
    def _differ(cls, variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
        seen: set[str] = set()
        for one in variables:
            if one.name in seen:
                raise ValueError(f"variable {one.name!r} is read twice; expected it once")
            seen.add(one.name)
        return variables


class NutKeys(Strict):
    """The UPSes that are read from Network UPS Tools."""

    nut: tuple[Ups, ...] = Field(
        default=(),
        strict=False,
        description="One table per UPS that Network UPS Tools (upsd) serves.",
    )

    @field_validator("nut")
    @classmethod
    def _upses_differ(cls, devices: tuple[Ups, ...]) -> tuple[Ups, ...]:
        meters = (one.meter for device in devices for one in device.read)
        refuse_twice(meters, (device.about for device in devices))
        return devices
