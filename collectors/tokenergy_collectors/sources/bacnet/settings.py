"""The configuration keys of the `bacnet` source."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.meters.settings import HOST_PATTERN, refuse_twice

OBJECT_TYPES = {
    "analog-input": 0, "analog-output": 1, "analog-value": 2, "accumulator": 23,
    "pulse-converter": 24, "integer-value": 45, "large-analog-value": 46,
    "positive-integer-value": 48,
}  # fmt: skip
"""Numbers of the types of object that have a number as present value: ASHRAE 135."""

_MOST_INSTANCE = 4_194_302
_MOST_NETWORK = 65_534


class BacnetObject(Strict):
    """One value of one meter: the present value of an object."""

    meter: str = Field(
        min_length=1,
        description="The meter's id in the table `meter`; a name of your choice, used once.",
        examples=["hall-a/feed-1/power"],
    )
    object_id: str = Field(
        alias="object",
        description=f"The object: TYPE,INSTANCE. Types: {', '.join(OBJECT_TYPES)}.",
        examples=["analog-input,3"],
    )
    units: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9-]+$",
        description="The units that the device should say, by their name in BACnet; `check` "
        "compares. They are not applied: site.toml declares them.",
        examples=["kilowatts"],
    )
    invalid: tuple[int | float, ...] | None = Field(
        default=None,
        strict=False,
        description="Numbers that mean that there is no reading. Without this key: 4294967295 and "
        "18446744073709551615 (all ones) of Unsigned, the smallest Integer. NaN and infinity "
        "always do.",
        examples=[[-1]],
    )

    @property
    def place(self) -> str:
        """Where it is: TYPE,INSTANCE."""
        return self.object_id

    @property
    def number(self) -> int:
        """The object as it is on the wire: ten bits of type, 22 of instance."""
        type_, instance = self.object_id.split(",")
        return OBJECT_TYPES[type_] << 22 | int(instance)

    @field_validator("object_id")
    @classmethod
    def _is_an_object(cls, text: str) -> str:
        found = re.fullmatch(r"([a-z-]+),(0|[1-9]\d{0,6})", text, re.ASCII)
        if found is None or found[1] not in OBJECT_TYPES or int(found[2]) > _MOST_INSTANCE:
            raise ValueError(
                f"{text!r} is no object with a number, such as analog-input,3; types: "
                f"{', '.join(OBJECT_TYPES)}; instances: 0 to {_MOST_INSTANCE}"
            )
        return text


class BacnetDevice(Strict):
    """A device that speaks BACnet/IP, or one behind a router that does; and the objects to read."""

    host: str = Field(
        pattern=HOST_PATTERN,
        description="Name or IPv4 address of the device, or of the router before it.",
        examples=["10.0.8.41"],
    )
    port: int = Field(default=47_808, ge=1, le=65_535, description="Its UDP port.")
    network: int | None = Field(
        default=None,
        ge=1,
        le=_MOST_NETWORK,
        description="For a device behind a router: number of its network.",
        examples=[2001],
    )
    mac: str | None = Field(
        default=None,
        pattern=r"^([0-9a-f]{2}){1,7}$",
        description="For a device behind a router: its address there, in hexadecimal digits: on "
        "MS/TP one byte.",
        examples=["0b"],
    )
    every_s: float = Field(default=10.0, ge=0.1, le=3600, description="Seconds between readings.")
    timeout_s: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="Seconds to wait for an answer; what is not answered is asked once more.",
    )
    most_objects: int = Field(
        default=20, ge=1, le=100, description="How many objects one request asks for."
    )
    objects: tuple[BacnetObject, ...] = Field(
        alias="object", strict=False, min_length=1, description="One table per value to read."
    )

    @property
    def name(self) -> str:
        """The device in metrics and in the log: HOST:PORT, or HOST:PORT/NETWORK/MAC."""
        behind = "" if self.network is None else f"/{self.network}/{self.mac}"
        return f"{self.host}:{self.port}{behind}"

    @property
    def about(self) -> str:
        """The device in words: HOST:PORT, with its address behind a router."""
        behind = "" if self.network is None else f" network {self.network} mac {self.mac}"
        return f"{self.host}:{self.port}{behind}"

    @model_validator(mode="after")
    def _has_both(self) -> BacnetDevice:
        if (self.network is None) != (self.mac is None):
            raise ValueError("a device behind a router needs both network and mac")
        return self

    @field_validator("objects")
    @classmethod
    def _are_apart(cls, objects: tuple[BacnetObject, ...]) -> tuple[BacnetObject, ...]:
        seen: dict[str, str] = {}
        for one in objects:
            if seen.setdefault(one.object_id, one.meter) != one.meter:
                raise ValueError(
                    f"{one.meter!r} has the object of {seen[one.object_id]!r}: {one.object_id}"
                )
        return objects


class BacnetKeys(Strict):
    """The meters that are read over BACnet/IP."""

    # TOML has arrays, not tuples; the items are still checked strictly.
    bacnet: tuple[BacnetDevice, ...] = Field(
        default=(),
        strict=False,
        description="One table per device with facility meters that speaks BACnet/IP; needs "
        "`pip install 'tokenergy[meters]'`.",
    )

    @field_validator("bacnet")
    @classmethod
    def _bacnet_devices_differ(cls, devices: tuple[BacnetDevice, ...]) -> tuple[BacnetDevice, ...]:
        meters = (one.meter for device in devices for one in device.objects)
        refuse_twice(meters, (device.about for device in devices))
        return devices
