"""A signal of the grid over time: carbon intensity or price, in intervals of one value each.

In: intervals with values. Out: the value at any instant, or that it is not known. A value holds
from the start of its interval until its end; time in no interval, or in one without a value, is a
hole. Values are whole billionths of the unit, so that costs are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Quantity = Literal["carbon_average", "carbon_marginal", "price"]

QUANTITIES: tuple[Quantity, ...] = ("carbon_average", "carbon_marginal", "price")
"""Average and marginal carbon intensity are different quantities; nothing here mixes them."""

CARBON: tuple[Quantity, ...] = ("carbon_average", "carbon_marginal")

CARBON_UNIT = "gCO2e/kWh"
NJ_PER_KWH = 3_600_000_000_000_000
BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal.

    Attributes:
        from_us: starts of its intervals, us UTC, ascending.
        until_us: their ends; no interval begins before the one before it ends.
        value_n: their values, billionths of the unit; None: not known.
        quantity: one of `QUANTITIES`.
        unit: what a value is of: `gCO2e/kWh`, or a currency and `/kWh`.
        name: what the reader calls it.

    Raises:
        ValueError: an interval is empty, or two overlap.
    """

    from_us: tuple[int, ...]
    until_us: tuple[int, ...]
    value_n: tuple[int | None, ...]
    quantity: Quantity
    unit: str
    name: str
    known: tuple[tuple[int, int], ...] = field(init=False)
    """Spans in which the value is known, each as long as possible."""

    def __post_init__(self) -> None:
        last_us = None
        spans: list[tuple[int, int]] = []
        for start_us, end_us, value in zip(self.from_us, self.until_us, self.value_n, strict=True):
            if start_us >= end_us:
                raise ValueError(f"{self.name}: an interval does not end after it begins")
            if last_us is not None and start_us < last_us:
                raise ValueError(f"{self.name}: two intervals overlap")
            last_us = end_us
            if value is None:
                continue
            if spans and spans[-1][1] == start_us:
                spans[-1] = (spans[-1][0], end_us)
            else:
                spans.append((start_us, end_us))
        object.__setattr__(self, "known", tuple(spans))

    @property
    def edges_us(self) -> list[int]:
        """Every start and end of an interval, ascending, each once."""
        return sorted({*self.from_us, *self.until_us})

    @property
    def amount_unit(self) -> str:
        """The unit of a value times kWh: `gCO2e`, or the currency."""
        return self.unit.removesuffix("/kWh")

    def knows(self, from_us: int, until_us: int) -> bool:
        """Return whether the value is known throughout a span."""
        return any(start <= from_us and until_us <= end for start, end in self.known)

    def arrays(
        self,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return starts, ends (us UTC) and values (in the unit) of the intervals that are known."""
        import numpy as np

        rows = [
            (start, end, value)
            for start, end, value in zip(self.from_us, self.until_us, self.value_n, strict=True)
            if value is not None
        ]
        columns: Sequence[tuple[int, ...]] = [*zip(*rows, strict=True)] or [(), (), ()]
        return (
            np.array(columns[0], dtype=np.int64),
            np.array(columns[1], dtype=np.int64),
            np.array(columns[2], dtype=np.float64) / BILLION,
        )
