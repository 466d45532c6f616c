"""The configuration keys of the `modbus` source."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.sources.meters.settings import HOST_PATTERN, refuse_twice
from tokenergy_collectors.sources.modbus.values import RegisterType, as_type, words_of

_LAST_ADDRESS = 65_535


class Register(Strict):
    """One value of one meter, in one or more neighbouring registers."""

    meter: str = Field(
        min_length=1,
        description="The meter's id in the table `meter`; a name of your choice, used once.",
        examples=["hall-a/feed-1/energy"],
    )
    address: int = Field(
        ge=0,
        le=_LAST_ADDRESS,
        description="Address of its first register, counted from 0 as on the wire. Manuals often "
        "count from 1, or write 40001 for holding register 0 and 30001 for input register 0.",
        examples=[3203],
    )
    kind: Literal["holding", "input"] = Field(
        default="holding",
        description="Whether it is a holding register (function 3) or an input register (4).",
    )
    type: RegisterType = Field(
        description="Type of the number, as in the meter's manual.", examples=["uint64"]
    )
    word_order: Literal["big", "little"] = Field(
        default="big",
        description="Which of its registers comes first: that of the highest (big) or of the "
        "lowest (little) 16 bits.",
    )
    invalid: tuple[int | float, ...] | None = Field(
        default=None,
        strict=False,
        description="Numbers that mean that there is no reading. Without this key: all ones of "
        "unsigned types, and the smallest number of signed ones. NaN and infinity always do.",
        examples=[[65_535]],
    )

    @property
    def place(self) -> str:
        """Where it is, in words: KIND register ADDRESS."""
        return f"{self.kind} register {self.address}"

    @property
    def words(self) -> int:
        """How many registers (16 bits each) it takes."""
        return words_of(self.type)

    @property
    def end(self) -> int:
        """The address after its last register."""
        return self.address + self.words

    @model_validator(mode="after")
    def _is_inside(self) -> Register:
        if self.end > _LAST_ADDRESS + 1:
            raise ValueError(
                f"address {self.address}: {self.type} takes {self.words} registers; expected at "
                f"most {_LAST_ADDRESS + 1 - self.words}"
            )
        for number in self.invalid or ():
            if as_type(number, self.type) is None:
                raise ValueError(f"invalid: {number!r} is not a number that {self.type} can have")
        return self


class ModbusDevice(Strict):
    """A meter or a gateway that speaks Modbus TCP, and the registers to read from one device."""

    host: str = Field(
        pattern=HOST_PATTERN,
        description="Name or address of the server: of the meter, or of the gateway before it.",
        examples=["10.0.8.21"],
    )
    port: int = Field(default=502, ge=1, le=65_535, description="Its TCP port.")
    device_id: int = Field(
        default=1,
        ge=0,
        le=255,
        description="Which device answers, also called unit id or slave id: each meter behind a "
        "gateway has its own; a meter with a network port of its own mostly has 1, or 255.",
    )
    every_s: float = Field(default=10.0, ge=0.1, le=3600, description="Seconds between readings.")
    timeout_s: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="Seconds to wait for an answer. Devices behind one gateway share a "
        "connection, and the longest of their times.",
    )
    # `register` is a method of every class with a metaclass of `abc`.
    registers: tuple[Register, ...] = Field(
        alias="register",
        strict=False,
        min_length=1,
        description="One table per value to read.",
    )

    @property
    def about(self) -> str:
        """The device in words: HOST:PORT device ID."""
        return f"{self.host}:{self.port} device {self.device_id}"

    @field_validator("registers")
    @classmethod
    def _are_apart(cls, registers: tuple[Register, ...]) -> tuple[Register, ...]:
        in_order = sorted(registers, key=lambda one: (one.kind, one.address))
        for one, two in pairwise(in_order):
            if one.kind == two.kind and two.address < one.end:
                raise ValueError(
                    f"{two.meter!r} begins at address {two.address}, inside {one.meter!r}, which "
                    f"takes {one.kind} registers {one.address} to {one.end - 1}"
                )
        return registers


class ModbusKeys(Strict):
    """The meters that are read over Modbus TCP."""

    # TOML has arrays, not tuples; the items are still checked strictly.
    modbus: tuple[ModbusDevice, ...] = Field(
        default=(),
        strict=False,
        description="One table per device with facility meters that speaks Modbus TCP; needs "
        "`pip install 'tokenergy[meters]'`.",
    )

    @field_validator("modbus")
    @classmethod
    def _modbus_devices_differ(cls, devices: tuple[ModbusDevice, ...]) -> tuple[ModbusDevice, ...]:
        meters = (one.meter for device in devices for one in device.registers)
        refuse_twice(meters, (device.about for device in devices))
        return devices
