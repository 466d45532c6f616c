"""A reservation: boards are allocated and nothing runs on them.

They idle like free boards: no process, no utilization, no token source.
"""

from __future__ import annotations

from typing import Literal

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.workloads.base import Workload


class ReservationSpec(Strict):
    """A reservation has no parameters."""

    type: Literal["reservation"]


class Reservation(Workload):
    """Boards that are held and idle."""

    def advance(self, until_us: int) -> None:
        """Do nothing: a timeline without segments leaves the boards at their own idle power."""

    def _extend(self) -> None:
        raise AssertionError("a reservation has no load")
