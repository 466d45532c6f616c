"""The configuration keys of the `redfish` source."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.address import refuse_credentials
from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.meters.secret import Login
from tokenergy_collectors.sources.meters.settings import refuse_twice

Value = Literal["power", "average-power", "energy", "energy-joules"]


class Reading(Strict):
    """One value of a BMC that is one meter."""

    meter: str = Field(
        min_length=1,
        description="The meter's id in the table `meter`; a name of your choice, used once.",
        examples=["gpu-01/bmc/power"],
    )
    value: Value = Field(
        default="power",
        description="What to read: power (W); average-power (W), the average of an interval that "
        "the BMC names; energy (kWh); energy-joules (J).",
    )
    chassis: str | None = Field(
        default=None,
        min_length=1,
        description="Id of the chassis that it belongs to. Without this key: the only one that has "
        "this value and lies in no other.",
        examples=["1"],
    )
    part: str | None = Field(
        default=None,
        pattern=r"^(supply|sensor):.+$",
        description="A part of the chassis in place of all of it: `supply:ID`, the input of a "
        "power supply, or `sensor:ID`, a sensor, whatever it measures.",
        examples=["supply:PSU1"],
    )
    invalid: tuple[int | float, ...] | None = Field(
        default=None,
        strict=False,
        description="Numbers that mean that there is no reading. Without this key: 65535 and "
        "4294967295, and 0 where the whole chassis is read, as one that answers draws power.",
        examples=[[65_535]],
    )

    @property
    def supply(self) -> str | None:
        """Id of the power supply; None if it is none."""
        return self._part("supply")

    @property
    def sensor(self) -> str | None:
        """Id of the sensor; None if it is none."""
        return self._part("sensor")

    def _part(self, kind: str) -> str | None:
        found, _, name = (self.part or "").partition(":")
        return name if found == kind else None

    @model_validator(mode="after")
    def _has_this_value(self) -> Reading:
        if self.supply is not None and self.value not in ("power", "energy"):
            raise ValueError(f"value: a supply has power and energy, got {self.value!r}")
        if self.sensor is not None and self.value not in ("power", "average-power"):
            raise ValueError(
                "value: leave it out for a sensor, which has one reading in its own unit, or "
                'write "average-power" for its average'
            )
        return self


class _Bmc(Strict):
    """Where a BMC is."""

    url: str = Field(
        pattern=r"^https?://",
        description="Address of the BMC, without a path.",
        examples=["https://10.0.9.21"],
    )
    node: str | None = Field(
        default=None,
        min_length=1,
        description="Node that the BMC belongs to: part of the meters' ids. Without this key: the "
        "node of the collector.",
        examples=["gpu-02"],
    )


class RedfishDevice(Login, _Bmc):
    """A BMC that speaks Redfish, and the values to read from it."""

    auth: Literal["session", "basic"] = Field(
        default="session",
        description="How to log in: once, with a session that the collector ends when it stops, or "
        "with the password in each request (for a BMC with too few sessions).",
    )
    ca_file: Path | None = Field(
        default=None,
        strict=False,
        description="Certificates (PEM) to trust in place of the system's; that of the BMC itself "
        "if it has signed its own.",
        examples=["/etc/tokenergy/bmc-ca.pem"],
    )
    tls_name: str | None = Field(
        default=None,
        min_length=1,
        description="Name in the BMC's certificate, if it is not that of the url.",
        examples=["bmc.example"],
    )
    tls_verify: bool = Field(
        default=True,
        description="Whether the BMC's certificate must be valid. Without this, anyone on the way "
        "can read the password and invent power.",
    )
    every_s: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="Seconds between readings. A BMC is slow, and most have a new value every few "
        "seconds at best.",
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Seconds that an answer may take, as a whole."
    )
    readings: tuple[Reading, ...] = Field(
        default=(),
        alias="reading",
        strict=False,
        description="One table per value to read. Without any: the power of the chassis as "
        "NODE/bmc/power, and its energy as NODE/bmc/energy if the BMC counts it.",
    )

    @property
    def host(self) -> str:
        """The BMC's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.url.startswith("https://")

    @property
    def port(self) -> int:
        """Its TCP port."""
        return urlsplit(self.url).port or (443 if self.tls else 80)

    @property
    def about(self) -> str:
        """The BMC in words: HOST:PORT."""
        return f"{self.host}:{self.port}"

    def meters(self, node: str) -> list[str]:
        """Return the ids of its meters; `node` is that of the collector."""
        return [one.meter for one in self.readings] or [
            one.meter for one in default_readings(self.node or node)
        ]

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        refuse_credentials(url, "username and password_file")
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if not parts.hostname or port == 0 or parts.path.strip("/") or parts.query:
            raise ValueError(f"{url!r}: expected https://HOST or https://HOST:PORT, without a path")
        return url

    @model_validator(mode="after")
    def _keeps_the_password(self) -> RedfishDevice:
        if self.username is not None and not self.tls and not _is_loopback(self.host):
            raise ValueError(f"{self.url}: anyone on the way reads the password; expected https://")
        return self


def default_readings(node: str) -> tuple[Reading, Reading]:
    """Return what is read of a BMC of which the configuration names no value."""
    return (
        Reading(meter=f"{node}/bmc/power"),
        Reading(meter=f"{node}/bmc/energy", value="energy"),
    )


class RedfishKeys(Strict):
    """The BMCs that are read over Redfish."""

    redfish: tuple[RedfishDevice, ...] = Field(
        default=(),
        strict=False,
        description="One table per BMC that speaks Redfish: power and energy of its server.",
    )

    @field_validator("redfish", mode="before")
    @classmethod
    def _bmcs_one_or_several(cls, tables: Any) -> Any:
        return (tables,) if isinstance(tables, dict) else tables

    @field_validator("redfish")
    @classmethod
    def _bmcs_differ(cls, devices: tuple[RedfishDevice, ...]) -> tuple[RedfishDevice, ...]:
        own = [one.about for one in devices if one.node is None and not one.readings]
        if len(own) > 1:
            raise ValueError(
                f"{own[0]} and {own[1]} have no node: expected it in all but the table of this "
                "host's own BMC"
            )
        meters = (meter for device in devices for meter in device.meters(""))
        refuse_twice(meters, (device.about for device in devices))
        return devices


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
