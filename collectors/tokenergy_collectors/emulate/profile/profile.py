"""The profile: which boards a cluster has, what runs on them when, and for how long.

In: a TOML file, shipped (`profiles/`) or the user's own. Out: a validated `Profile`. Times are
seconds since the profile's start; they are used as whole microseconds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, PrivateAttr, ValidationError, model_validator

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import Strict, first_error
from tokenergy_collectors.emulate.profile.catalogue import shipped, with_catalogue, with_sensor
from tokenergy_collectors.emulate.profile.compact import expanded
from tokenergy_collectors.emulate.profile.fault_specs import FaultSpec, check_faults
from tokenergy_collectors.emulate.profile.mig import SLICES, parse_profile
from tokenergy_collectors.emulate.workloads.inference import InferenceSpec
from tokenergy_collectors.emulate.workloads.periodic import PeriodicSpec
from tokenergy_collectors.emulate.workloads.reservation import ReservationSpec
from tokenergy_collectors.emulate.workloads.stray import StraySpec
from tokenergy_collectors.emulate.workloads.training import TrainingSpec

SHIPPED = {path.stem: path for path in sorted((Path(__file__).parent / "profiles").glob("*.toml"))}
"""Profiles that come with the package, by name."""

WorkloadSpec = Annotated[
    InferenceSpec | TrainingSpec | PeriodicSpec | ReservationSpec, Field(discriminator="type")
]


class BoardSpec(Strict):
    """A kind of board: name plate, power, response and sensors.

    `idle_spread_w` and `load_spread` make boards differ: idle power by up to that many watts and
    power under load by up to that share, either way. `unsupported` withholds NVML readings:
    `instant` (field 186), `average` (185), `usage` (nvmlDeviceGetPowerUsage), `counter` (83).

    `like` takes over the keys of a shipped board, `sensor` those of a named kind of sensor; a key
    given here wins over both. Gains and offsets are the readings' errors: each card's lies within
    the spread around the mean. The energy counter is renewed every `counter_update_us` (0: at every
    reading). A board on a module shares it with parts that draw `module_rest_w`.
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
                f"idle_w {self.idle_w:g} +- {self.idle_spread_w:g}: must lie between 0 and "
                f"limit_w = {self.limit_w:g}"
            )
        if self.counter_scope == "module" and not self.module_rest_w:
            raise ValueError("counter_scope = 'module': needs module_rest_w above 0")
        return self


class NodeSpec(Strict):
    """A host: how many boards of which kind, where it stands, and its cards' sensor errors.

    `boards` names a table of the profile, or else a shipped board. `power_gain_ppm` and
    `power_offset_mw` list one number a board, in place of those drawn for its kind; they bend the
    power reading, never true power or the energy counter. `mig` cuts boards, by their index, into
    MIG instances; jobs run on whole boards all the same.
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


class Placed(Strict):
    """Something that runs on boards for a while; `devices` maps a node to board indices."""

    id: str = Field(min_length=1)
    devices: dict[str, list[int]] = Field(min_length=1)
    start_s: float = Field(ge=0)
    end_s: float = Field(gt=0)

    @property
    def start_us(self) -> int:
        """Start, microseconds of profile time."""
        return round(self.start_s * 1e6)

    @property
    def end_us(self) -> int:
        """End, microseconds of profile time."""
        return round(self.end_s * 1e6)


class JobSpec(Placed):
    """A job of the scheduler. The first node of `devices` holds rank 0 and serves the tokens.

    With `per_node` it stands for one job on each of its nodes (see `compact`).
    """

    per_node: Literal[False] = False

    name: str | None = None
    user: str | None = None
    account: str | None = None
    workload: WorkloadSpec

    @model_validator(mode="after")
    def _servers_stay_on_one_node(self) -> JobSpec:
        if self.workload.type == "inference" and len(self.devices) > 1:
            raise ValueError(
                f"devices of {self.id!r}: an inference job runs on one node; "
                "per_node = true makes one a node"
            )
        return self


class StrayJobSpec(Placed):
    """A process on boards that no job holds."""

    workload: StraySpec


class Profile(Strict):
    """An emulated cluster and its day."""

    name: str = Field(min_length=1)
    start: AwareDatetime
    duration_s: float = Field(gt=0, le=31 * 86_400)
    seed: int = Field(ge=0)
    boards: dict[str, BoardSpec] = Field(default_factory=dict)
    nodes: dict[str, NodeSpec] = Field(min_length=1)
    jobs: list[JobSpec] = Field(default_factory=list)
    strays: list[StrayJobSpec] = Field(default_factory=list)
    faults: list[FaultSpec] = Field(default_factory=list)
    _folder: Path = PrivateAttr(default=Path())

    @property
    def start_us(self) -> int:
        """Start, UTC microseconds."""
        return round(self.start.timestamp() * 1e6)

    @property
    def duration_us(self) -> int:
        """Duration in microseconds."""
        return round(self.duration_s * 1e6)

    @property
    def folder(self) -> Path:
        """Where the profile lies; request logs may be named relative to it."""
        return self._folder

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        found = expanded(data)
        return found | {"boards": with_catalogue(found.get("boards", {}), found.get("nodes"))}

    @model_validator(mode="after")
    def _hangs_together(self) -> Profile:
        for name, node in self.nodes.items():
            if node.boards not in self.boards:
                allowed = _names(dict.fromkeys([*self.boards, *shipped()]))
                raise ValueError(f"nodes.{name}.boards = {node.boards!r}: allowed: {allowed}")
        everything: list[Placed] = [*self.jobs, *self.strays]
        ids = [placed.id for placed in everything]
        for twice in {i for i in ids if ids.count(i) > 1}:
            raise ValueError(f"id = {twice!r}: used twice; allowed: an id of its own")
        for placed in everything:
            self._check_place(placed)
        self._check_overlaps(everything)
        counts = {name: node.count for name, node in self.nodes.items()}
        check_faults(self.faults, counts, self.duration_us)
        return self

    def _check_place(self, placed: Placed) -> None:
        if not placed.start_us < placed.end_us <= self.duration_us:
            raise ValueError(
                f"{placed.id!r}: start_s = {placed.start_s:g}, end_s = {placed.end_s:g}: allowed: "
                f"start_s < end_s <= duration_s = {self.duration_s:g}"
            )
        for name, indices in placed.devices.items():
            if name not in self.nodes:
                raise ValueError(
                    f"{placed.id!r}: devices on {name!r}: allowed nodes: {_names(self.nodes)}"
                )
            count = self.nodes[name].count
            if not indices or not all(0 <= index < count for index in indices):
                raise ValueError(
                    f"{placed.id!r}: devices on {name!r} = {indices}: allowed: 0 to {count - 1}"
                )

    def _check_overlaps(self, everything: list[Placed]) -> None:
        """A board carries one thing at a time: shares of a board are not emulated."""
        held: dict[tuple[str, int], list[Placed]] = {}
        for placed in everything:
            for node, indices in placed.devices.items():
                for index in indices:
                    held.setdefault((node, index), []).append(placed)
        for (node, index), found in held.items():
            for a, b in pairwise(sorted(found, key=lambda placed: placed.start_us)):
                if b.start_us < a.end_us:
                    raise ValueError(
                        f"{a.id!r} and {b.id!r} both hold board {index} of {node!r} at "
                        f"{b.start_s:g} s: allowed: one at a time"
                    )


def load_profile(name_or_path: str | Path) -> Profile:
    """Load a profile by the name of a shipped one, or by its path.

    Raises:
        UserError: one line naming the file, the key, the value and what is allowed.
    """
    path = SHIPPED.get(str(name_or_path), Path(name_or_path))
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        names = _names(SHIPPED)
        raise UserError(f"profile {path}: {error.strerror}; expected {names} or a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"profile {path}: is not TOML: {' '.join(str(error).split())}") from None
    try:
        profile = Profile.model_validate(values)
    except ValidationError as error:
        raise UserError(f"profile {path}: {first_error(error)}") from None
    profile._folder = path.parent
    return profile


def _names(things: Iterable[str]) -> str:
    return ", ".join(things)
