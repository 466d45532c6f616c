"""Groups neighbouring registers, so that few requests read them all.

In: the registers of one device. Out: batches, each one request.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tokenergy_collectors.sources.modbus.settings import Register

MOST_WORDS = 125
"""How many registers one request may ask for: the limit of the protocol."""

MOST_GAP = 16
"""How many registers that nobody wants are read along: a request costs more than their bytes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Registers of one kind that one request reads, in the order of their addresses."""

    registers: tuple[Register, ...]

    @property
    def address(self) -> int:
        """Address of the first register to ask for."""
        return self.registers[0].address

    @property
    def count(self) -> int:
        """How many registers to ask for."""
        return self.registers[-1].end - self.address

    def halves(self) -> tuple[Batch, Batch]:
        """Return the two halves of a batch of two or more."""
        middle = len(self.registers) // 2
        return Batch(self.registers[:middle]), Batch(self.registers[middle:])


def make_batches(registers: Iterable[Register]) -> list[Batch]:
    """Return the batches that read all registers."""
    found: list[list[Register]] = []
    for one in sorted(registers, key=lambda one: (one.kind, one.address)):
        last = found[-1] if found else None
        if (
            last is not None
            and last[0].kind == one.kind
            and one.address - last[-1].end <= MOST_GAP
            and one.end - last[0].address <= MOST_WORDS
        ):
            last.append(one)
        else:
            found.append([one])
    return [Batch(tuple(batch)) for batch in found]
