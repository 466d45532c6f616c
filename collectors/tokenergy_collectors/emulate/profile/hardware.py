"""The hardware that a profile declares: kinds of board, and nodes that hold them.

In: the tables `[boards.NAME]` and `[nodes.NAME]`. Out: validated specifications.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tokenergy_collectors.base.strict import Strict
from tokenergy_collectors.emulate.profile.catalogue import with_sensor
from tokenergy_collectors.emulate.profile.mig import SLICES, parse_profile


class BoardSpec(Strict):
    """A kind of board: name, limits, power, response and sensors.

    `idle_spread_w` and `load_spread` make boards differ: idle power by up to that many watts and
    power under load by up to that share, either way. `unsupported` lists the readings that NVML
    does not support on this board: `instant` (field 186), `average` (185), `usage`
    (nvmlDeviceGetPowerUsage), `counter` (83).

    `like` copies the keys of a shipped board, `sensor` those of a named kind of sensor; a key given
    here overrides both. Gains and offsets are the errors of the readings: each card's error is
    within the spread around the mean. The energy counter is refreshed every `counter_update_us`
    (0: at every reading). A board on a module shares it with parts that draw `module_rest_w`.
    """

    name: str = Field(min_length=1, max_length=95)
    idle_w: float = Field(gt=0)
    idle_spread_w: float = Field(0.0, ge=0)
    limit_w: float = Field(gt=0, le=4000)
    min_limit_w: float = Field(200.0, gt=0)
    load_spread: float = Field(0.0, ge=0, le=0.2)
    memory_gib: float = Field(80.0, gt=0)
    rise_us: float = Field(50_000, ge=100, le=10_000_000)
    fall_us: float = Field(80_000, ge=100, le=10_000_000)
    ripple: float = Field(0.006, ge=0, le=0.1)
    update_us: int = Field(100_000, ge=1_000, le=2_000_000)
    window_us: int = Field(25_000, ge=1_000, le=2_000_000)
    average_window_us: int = Field(1_000_000, ge=1_000, le=2_000_000)
    unsupported: list[Literal["instant", "average", "usage", "counter"]] = Field(
        default_factory=list
    )
    usage: Literal["average", "instant"] = "average"
    gain_ppm: int = Field(0, ge=-500_000, le=500_000)
    gain_spread_ppm: int = Field(0, ge=0, le=200_000)
    offset_mw: int = Field(0, ge=-100_000, le=100_000)
    offset_spread_mw: int = Field(0, ge=0, le=100_000)
    counter_update_us: int = Field(0, ge=0, le=2_000_000)
    counter_gain_ppm: int = Field(0, ge=-500_000, le=500_000)
    counter_gain_spread_ppm: int = Field(0, ge=0, le=200_000)
    counter_scope: Literal["gpu", "module"] = "gpu"
    module_rest_w: float = Field(0.0, ge=0, le=4000)
    like: str | None = None
    sensor: Literal["20 ms", "100/100", "25/100", "1 s average"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_sensor(cls, data: Any) -> Any:
        return with_sensor(data)

    @model_validator(mode="after")
    def _idle_below_limit(self) -> BoardSpec:
        low_w, high_w = self.idle_w - self.idle_spread_w, self.idle_w + self.idle_spread_w
        if not 0 < low_w <= high_w < self.limit_w:
            raise ValueError(
                f"idle_w {self.idle_w:g} +- {self.idle_spread_w:g}: expected between 0 and "
                f"limit_w = {self.limit_w:g}"
            )
        if self.counter_scope == "module" and not self.module_rest_w:
            raise ValueError("counter_scope = 'module': needs module_rest_w above 0")
        return self


class NodeSpec(Strict):
    """A host: how many boards of which kind, its location, and its cards' sensor errors.

    `boards` names a table of the profile, or else a shipped board. `power_gain_ppm` and
    `power_offset_mw` list one number a board and replace those drawn for its kind; they change the
    power reading, never true power or the energy counter. `mig` divides boards, by their index,
    into MIG instances; jobs still run on whole boards. `minors` lists the minor numbers of the
    boards' device files, which are in NVML's order unless it says otherwise.
    """

    boards: str
    count: int = Field(8, ge=1, le=64)
    site: str | None = None
    hall: str | None = None
    pod: str | None = None
    rack: str | None = None
    power_gain_ppm: list[int] = Field(default_factory=list)
    power_offset_mw: list[int] = Field(default_factory=list)
    mig: dict[str, list[str]] = Field(default_factory=dict)
    minors: list[int] = Field(default_factory=list)

    def minor_of(self, index: int) -> int:
        """Return the minor number of a board's device file."""
        return self.minors[index] if self.minors else index

    def mig_of(self, index: int) -> tuple[str, ...] | None:
        """Return the MIG profiles of a board; None where MIG is off."""
        profiles = self.mig.get(str(index))
        return None if profiles is None else tuple(profiles)

    @model_validator(mode="after")
    def _mig_fits(self) -> NodeSpec:
        for index, profiles in self.mig.items():
            if index not in map(str, range(self.count)):
                raise ValueError(f"mig.{index}: allowed: 0 to {self.count - 1}")
            try:
                slices = sum(parse_profile(profile)[0] for profile in profiles)
            except ValueError as error:
                raise ValueError(f"mig.{index}: {error}") from None
            if slices > SLICES:
                raise ValueError(f"mig.{index}: {slices} slices; allowed: {SLICES} in all")
        return self

    @model_validator(mode="after")
    def _one_a_board(self) -> NodeSpec:
        for key in ("power_gain_ppm", "power_offset_mw"):
            given = len(getattr(self, key))
            if given not in (0, self.count):
                raise ValueError(
                    f"{key}: {given} values; expected none or {self.count}, one a board"
                )
        return self

    @model_validator(mode="after")
    def _minors_differ(self) -> NodeSpec:
        wrong = len(set(self.minors)) != self.count or not all(0 <= n < 1024 for n in self.minors)
        if self.minors and wrong:
            raise ValueError(
                f"minors: {self.minors}: expected {self.count} different numbers from 0 to 1023"
            )
        return self
