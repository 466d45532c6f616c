"""The configuration keys of the `snmp` source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.meters.secret import read_secret
from tokenergy_collectors.sources.meters.settings import HOST_PATTERN, refuse_twice
from tokenergy_collectors.sources.snmp.values import RANGES, ObjectType

_OID = re.compile(r"\.?([012](?:\.(?:0|[1-9]\d{0,9}))+)", re.ASCII)
_MOST_ARC = 2**32 - 1
_MOST_ARCS = 128
_LEAST_KEY = 8
"""How long a passphrase of v3 must be: RFC 3414, section 11.2."""


class Oid(Strict):
    """One value of one meter: an object of the agent."""

    meter: str = Field(
        min_length=1,
        description="The meter's id in the table `meter`; a name of your choice, used once.",
        examples=["hall-a/pdu-3/energy"],
    )
    oid: str = Field(
        description="The object with its instance, in numbers; a single value ends in .0.",
        examples=["1.3.6.1.2.1.33.1.4.4.1.4.1"],
    )
    type: ObjectType = Field(
        description="Its type, as in the manual or MIB; INTEGER is Integer32, Unsigned32 is "
        "Gauge32, and OctetString is a text that holds a decimal number.",
        examples=["Integer32"],
    )
    invalid: tuple[int | float, ...] | None = Field(
        default=None,
        strict=False,
        description="Numbers that mean that there is no reading. Without this key: all ones of "
        "unsigned types, and the smallest Integer32.",
        examples=[[0]],
    )

    @property
    def place(self) -> str:
        """Where it is, in words: OID NUMBERS."""
        return f"OID {self.oid}"

    @field_validator("oid")
    @classmethod
    def _has_numbers(cls, oid: str) -> str:
        found = _OID.fullmatch(oid)
        arcs = [int(arc) for arc in found[1].split(".")] if found else []
        if found is None or max(arcs) > _MOST_ARC or len(arcs) > _MOST_ARCS:
            raise ValueError(f"{oid!r} is no OID in numbers, such as 1.3.6.1.2.1.33.1.4.4.1.4.1")
        # In the encoding the first two share a byte.
        if arcs[0] < 2 and arcs[1] > 39:
            raise ValueError(f"{oid!r} is no OID: after {arcs[0]} comes at most 39")
        return found[1]

    @model_validator(mode="after")
    def _can_be_invalid(self) -> Oid:
        if self.type in RANGES:
            least, most = RANGES[self.type]
            for number in self.invalid or ():
                if isinstance(number, float) or not least <= number <= most:
                    raise ValueError(
                        f"invalid: {number!r} is not a number that {self.type} can have"
                    )
        return self


class SnmpDevice(Strict):
    """An SNMP agent: a rack PDU, a UPS, a feed's meter; and the objects to read."""

    host: str = Field(
        pattern=HOST_PATTERN, description="Name or address of the device.", examples=["10.0.8.31"]
    )
    port: int = Field(default=161, ge=1, le=65_535, description="Its UDP port.")
    version: Literal["2c", "3"] = Field(
        default="2c",
        description="Version of SNMP. 2c has no secrets: its community can be read on the wire.",
    )
    community_file: Path | None = Field(
        default=None,
        strict=False,
        description="For 2c: file with the community that may read, in its only line.",
        examples=["/etc/tokenergy/pdu.community"],
    )
    community_env: str | None = Field(
        default=None,
        min_length=1,
        description="Environment variable that holds it, where there is no community_file.",
        examples=["PDU_COMMUNITY"],
    )
    user: str | None = Field(
        default=None,
        min_length=1,
        description="For 3: user to read as. One that may only read is enough.",
        examples=["monitor"],
    )
    auth: Literal["none", "md5", "sha", "sha224", "sha256", "sha384", "sha512"] = Field(
        default="none", description="For 3: how the user's messages are authenticated."
    )
    auth_key_file: Path | None = Field(
        default=None,
        strict=False,
        description="File with the user's passphrase for `auth`, in its only line.",
        examples=["/etc/tokenergy/pdu.auth"],
    )
    auth_key_env: str | None = Field(
        default=None,
        min_length=1,
        description="Environment variable that holds it, where there is no auth_key_file.",
        examples=["PDU_AUTH_KEY"],
    )
    priv: Literal["none", "des", "aes", "aes192", "aes256"] = Field(
        default="none", description="For 3: how the messages are encrypted; needs `auth`."
    )
    priv_key_file: Path | None = Field(
        default=None,
        strict=False,
        description="File with the user's passphrase for `priv`, in its only line.",
        examples=["/etc/tokenergy/pdu.priv"],
    )
    priv_key_env: str | None = Field(
        default=None,
        min_length=1,
        description="Environment variable that holds it, where there is no priv_key_file.",
        examples=["PDU_PRIV_KEY"],
    )
    context: str = Field(
        default="", description="For 3: context, where one agent speaks for several devices."
    )
    every_s: float = Field(default=10.0, ge=0.1, le=3600, description="Seconds between readings.")
    timeout_s: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="Seconds to wait for an answer; what is not answered is asked once more.",
    )
    most_oids: int = Field(
        default=20,
        ge=1,
        le=100,
        description="How many objects one request asks for; fewer where their answer would be "
        "longer than 1,200 bytes.",
    )
    oids: tuple[Oid, ...] = Field(
        alias="oid", strict=False, min_length=1, description="One table per value to read."
    )

    @property
    def about(self) -> str:
        """The device in words: HOST:PORT, with its context."""
        return f"{self.host}:{self.port}{f' context {self.context}' if self.context else ''}"

    @model_validator(mode="before")
    @classmethod
    def _refuse_secrets(cls, data: Any) -> Any:
        # The error for an unknown key would show its value.
        for key in ("community", "auth_key", "priv_key"):
            if isinstance(data, dict) and key in data:
                raise ValueError(
                    f"a {key} does not belong here: name a file in {key}_file, or an environment "
                    f"variable in {key}_env"
                )
        return data

    @field_validator("oids")
    @classmethod
    def _are_apart(cls, oids: tuple[Oid, ...]) -> tuple[Oid, ...]:
        seen: dict[str, str] = {}
        for one in oids:
            if seen.setdefault(one.oid, one.meter) != one.meter:
                raise ValueError(f"{one.meter!r} has the OID of {seen[one.oid]!r}: {one.oid}")
        return oids

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> SnmpDevice:
        if self.version == "2c":
            if self.community_file is None and self.community_env is None:
                raise ValueError("version 2c needs community_file or community_env")
            return self
        if self.user is None:
            raise ValueError("version 3 needs a user")
        if self.priv != "none" and self.auth == "none":
            raise ValueError("priv needs auth: SNMP has no encryption without it")
        for key in ("auth", "priv"):
            chosen = getattr(self, key) != "none"
            given = [
                name
                for name in (f"{key}_key_file", f"{key}_key_env")
                if getattr(self, name) is not None
            ]
            if chosen and not given:
                raise ValueError(f"{key} needs {key}_key_file or {key}_key_env")
            if given and not chosen:
                raise ValueError(f"{given[0]} needs {key}, which names its method")
        return self

    def community(self) -> str:
        """Return the community as it is now; raise `SecretError` if there is none."""
        return read_secret("community", self.community_file, self.community_env)

    def auth_key(self) -> str | None:
        """Return the passphrase for `auth`; raise `SecretError` if there is none."""
        if self.auth == "none":
            return None
        return read_secret("auth_key", self.auth_key_file, self.auth_key_env, _LEAST_KEY)

    def priv_key(self) -> str | None:
        """Return the passphrase for `priv`; raise `SecretError` if there is none."""
        if self.priv == "none":
            return None
        return read_secret("priv_key", self.priv_key_file, self.priv_key_env, _LEAST_KEY)


class SnmpKeys(Strict):
    """The meters that are read over SNMP."""

    # TOML has arrays, not tuples; the items are still checked strictly.
    snmp: tuple[SnmpDevice, ...] = Field(
        default=(),
        strict=False,
        description="One table per device with facility meters that speaks SNMP; needs "
        "`pip install 'tokenergy[meters]'`.",
    )

    @field_validator("snmp")
    @classmethod
    def _snmp_devices_differ(cls, devices: tuple[SnmpDevice, ...]) -> tuple[SnmpDevice, ...]:
        meters = (one.meter for device in devices for one in device.oids)
        refuse_twice(meters, (device.about for device in devices))
        return devices
