"""What `tokenergy-collect check` says about meters: each register is read once, by itself.

In: the devices of the configuration. Out: findings: the value, or what to do where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.finding import Finding
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.meters.values import BILLION, NoReadingError, show_billionths
from tokenergy_collectors.sources.modbus.batches import Batch
from tokenergy_collectors.sources.modbus.device import values_in
from tokenergy_collectors.sources.modbus.link import Link, RefusedError
from tokenergy_collectors.sources.modbus.settings import ModbusDevice, Register
from tokenergy_collectors.sources.modbus.values import decode

_MOST_SILENT = 2
"""After so many registers without an answer the others of a device are not asked."""

_REMEDIES = {
    1: 'try kind = "input" or "holding", the other one',
    2: "addresses count from 0: manuals often count from 1, or write 40001 for holding register 0",
    3: "compare address and type with the meter's manual",
    10: "is device_id the unit id of the meter behind the gateway?",
    11: "is device_id the unit id of the meter behind the gateway, and is the meter on?",
}

_PLAUSIBLE = (1e-6, 1e12)


def modbus_findings(
    devices: Sequence[ModbusDevice], now_us: Callable[[], int]
) -> Iterator[Finding]:
    """Yield the findings."""
    for device in devices:
        try:
            link = Link(device.host, device.port, device.timeout_s, now_us)
        except UserError as error:
            yield Finding("FAIL", "modbus", str(error))
            return
        yield from _device(device, link)
        link.close()


def _device(device: ModbusDevice, link: Link) -> Iterator[Finding]:
    silent = 0
    for register in device.registers:
        where = f"{register.meter} at {device.about}, {register.place}"
        try:
            yield _register(register, device.device_id, link, where)
        except AwayError as error:
            yield Finding("warn", "modbus", f"{where}: {error}; {_remedy(error, device)}")
            silent += 1
            if not error.connected or silent == _MOST_SILENT:
                if register is not device.registers[-1]:
                    yield Finding("warn", "modbus", f"{device.about}: its other meters: not asked")
                return


def _register(register: Register, device_id: int, link: Link, where: str) -> Finding:
    """Return what one register says.

    Raises:
        AwayError: nobody answers.
    """
    batch = Batch((register,))
    try:
        answer = link.read(register.kind, batch.address, batch.count, device_id)
    except RefusedError as error:
        remedy = _REMEDIES.get(error.code)
        words = f"{error}; {remedy}" if remedy else str(error)
        return Finding("warn", "modbus", f"{where}: {words}")
    [outcome] = values_in(batch, answer)
    if outcome.value is None:
        return Finding("warn", "modbus", f"{where}: {outcome.why}")
    text = f"{where}: {show_billionths(outcome.value.value_n)} ({register.type})"
    other = _other_order(register, answer.words, outcome.value.value_n)
    if other is not None:
        return Finding(
            "warn", "modbus", f"{text}; the other word_order gives {other}: which is it?"
        )
    return Finding("ok", "modbus", text)


def _other_order(register: Register, words: Sequence[int], value_n: int) -> str | None:
    """Return what the other word order gives, if only that looks like a meter's value."""
    if register.words == 1:
        return None
    other: Literal["big", "little"] = "little" if register.word_order == "big" else "big"
    try:
        swapped_n = decode(words, register.type, other, register.invalid).value_n
    except NoReadingError:
        return None
    if _is_plausible(register, words, value_n) or not _is_plausible(register, words, swapped_n):
        return None
    return show_billionths(swapped_n)


def _is_plausible(register: Register, words: Sequence[int], value_n: int) -> bool:
    """Whether a value is 0 or of a size that meters show; in the wrong order few values are."""
    size = abs(value_n) / BILLION
    if register.type.startswith("float"):
        # In the wrong order many numbers are so small that no billionth is left.
        return not any(words) or _PLAUSIBLE[0] <= size <= _PLAUSIBLE[1]
    # A small whole number in the wrong order has only zeros in its lowest words.
    return not value_n or (size <= _PLAUSIBLE[1] and value_n // BILLION % 0x10000 != 0)


def _remedy(error: AwayError, device: ModbusDevice) -> str:
    if error.connected:
        return f"is {device.device_id} the unit id of the meter (device_id)?"
    return f"is Modbus TCP switched on there, at port {device.port}, and open for this host?"
