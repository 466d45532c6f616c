"""Faults that a profile puts on a schedule: what goes wrong, on which boards, when, for how long.

In: the tables `[[faults]]` of a profile. Out: validated specifications; `nvml/faulting.py` applies
them. Times are seconds of profile time, used as whole microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from tokenergy_collectors.base.strict import Strict

ReadingName = Literal[
    "instant",
    "average",
    "usage",
    "counter",
    "utilization",
    "clock",
    "temperature",
    "reasons",
    "processes",
]
"""Readings by name: power (field 186, 185, nvmlDeviceGetPowerUsage), counter (83), gauges."""


class _Fault(Strict):
    """What every fault has: where, and from when on."""

    node: str
    at_s: float = Field(ge=0)

    @property
    def at_us(self) -> int:
        """When it begins, microseconds of profile time."""
        return round(self.at_s * 1e6)


class _Lasting(_Fault):
    """A fault with an end."""

    for_s: float = Field(gt=0)

    @property
    def end_us(self) -> int:
        """When it ends, microseconds of profile time."""
        return round((self.at_s + self.for_s) * 1e6)


class _OnBoards(_Lasting):
    """A fault of one board (`device`) or of several (`devices`)."""

    device: int | None = Field(None, ge=0)
    devices: list[int] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_two(self) -> _OnBoards:
        if (self.device is None) == (self.devices is None):
            raise ValueError(
                f"device = {self.device}, devices = {self.devices}: allowed: one of the two"
            )
        return self

    @property
    def boards(self) -> list[int]:
        """Indices of the boards, each once, ascending."""
        return sorted(set(self.devices or ())) if self.device is None else [self.device]


class LostSpec(_OnBoards):
    """Calls return GPU_IS_LOST; then the board is back under its UUID, its counter not reset."""

    kind: Literal["lost"]


class DriverReloadSpec(_Lasting):
    """The driver is unloaded and loaded again.

    Meanwhile every call returns UNINITIALIZED, and nvmlInit DRIVER_NOT_LOADED. Afterwards nvmlInit
    must be called, earlier handles are invalid, and energy counters start at zero.
    """

    kind: Literal["driver_reload"]


class NotSupportedSpec(_OnBoards):
    """Some readings return NOT_SUPPORTED."""

    kind: Literal["not_supported"]
    readings: list[ReadingName] = Field(min_length=1)


class StaleSpec(_OnBoards):
    """The power reading freezes at its last value; with `counter` the counter freezes too.

    True power goes on, and the counter counts internally: afterwards it shows its full count.
    """

    kind: Literal["stale"]
    counter: bool = False


class SlowSpec(_OnBoards):
    """Every call on the board takes `call_ms`."""

    kind: Literal["slow"]
    call_ms: float = Field(gt=0, le=10_000)

    @property
    def call_us(self) -> int:
        """What a call takes, microseconds."""
        return round(self.call_ms * 1e3)


class UndercountSpec(_OnBoards):
    """A counter read again within `faster_than_s` has lost a share of the energy in between.

    The energy stays lost when the fault ends.
    """

    kind: Literal["undercount"]
    faster_than_s: float = Field(gt=0)
    share: float = Field(0.2, gt=0, le=1)

    @property
    def faster_than_us(self) -> int:
        """Readings closer than this lose energy, microseconds."""
        return round(self.faster_than_s * 1e6)


class ClockJumpSpec(_Fault):
    """The host's wall clock is set: ahead, or back if `by_s` is negative. Monotonic time goes on.

    Attributes:
        by_s: by how much; not 0.
    """

    kind: Literal["clock_jump"]
    by_s: float = Field(ge=-31 * 86_400, le=31 * 86_400)

    @model_validator(mode="after")
    def _jumps(self) -> ClockJumpSpec:
        if not self.by_us:
            raise ValueError(f"by_s = {self.by_s:g}: allowed: any jump but 0")
        return self

    @property
    def by_us(self) -> int:
        """By how much, microseconds."""
        return round(self.by_s * 1e6)


FaultSpec = Annotated[
    LostSpec
    | DriverReloadSpec
    | NotSupportedSpec
    | StaleSpec
    | SlowSpec
    | UndercountSpec
    | ClockJumpSpec,
    Field(discriminator="kind"),
]


def check_faults(faults: Sequence[FaultSpec], boards: Mapping[str, int], duration_us: int) -> None:
    """Check faults against the cluster: the number of boards by node.

    Raises:
        ValueError: a fault names an unknown node or board, begins too late, or overlaps another of
            its kind on a board.
    """
    held: dict[tuple[str, str, int], list[_Lasting]] = {}
    for fault in faults:
        if fault.node not in boards:
            raise ValueError(
                f"fault {fault.kind!r}: node = {fault.node!r}: allowed: {', '.join(boards)}"
            )
        if fault.at_us >= duration_us:
            raise ValueError(
                f"fault {fault.kind!r}: at_s = {fault.at_s:g}: allowed: "
                f"less than duration_s = {duration_us / 1e6:g}"
            )
        count = boards[fault.node]
        # A fault of the whole node is compared with others of its kind as if it were on board 0.
        for index in fault.boards if isinstance(fault, _OnBoards) else [0]:
            if index >= count:
                raise ValueError(
                    f"fault {fault.kind!r}: device = {index} on {fault.node!r}: "
                    f"allowed: 0 to {count - 1}"
                )
            if isinstance(fault, _Lasting):
                held.setdefault((fault.kind, fault.node, index), []).append(fault)
    for (kind, node, index), found in held.items():
        for a, b in pairwise(sorted(found, key=lambda fault: fault.at_us)):
            if b.at_us < a.end_us:
                raise ValueError(
                    f"fault {kind!r} twice on board {index} of {node!r} at {b.at_s:g} s: "
                    "allowed: one at a time"
                )
