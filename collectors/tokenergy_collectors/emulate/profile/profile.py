"""The profile: which boards a cluster has, what runs on them when, and for how long.

In: a TOML file, shipped (`profiles/`) or the user's own. Out: a validated `Profile`. Times are
seconds since the profile's start; they are used as whole microseconds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import (
    AwareDatetime,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.instants import is_instant
from tokenergy_collectors.base.strict import Strict, first_error
from tokenergy_collectors.emulate.profile.catalogue import shipped, with_catalogue
from tokenergy_collectors.emulate.profile.compact import expanded
from tokenergy_collectors.emulate.profile.fault_specs import FaultSpec, check_faults
from tokenergy_collectors.emulate.profile.hardware import BoardSpec, NodeSpec
from tokenergy_collectors.emulate.profile.jobs import JobSpec, Placed, StrayJobSpec

SHIPPED = {path.stem: path for path in sorted((Path(__file__).parent / "profiles").glob("*.toml"))}
"""Profiles that come with the package, by name."""


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

    def require_node(self, node: str) -> None:
        """Refuse a name that no node of the profile has.

        Raises:
            UserError: it is not one; the message lists those that are.
        """
        if node not in self.nodes:
            raise UserError(
                f"node {node!r}: not in the profile {self.name!r}; its nodes: {_listed(self.nodes)}"
            )

    @property
    def folder(self) -> Path:
        """Folder of the profile; request logs may be named relative to it."""
        return self._folder

    @field_validator("start")
    @classmethod
    def _within_the_years(cls, start: datetime) -> datetime:
        # The day of a profile lasts up to a month: it may not end after the last year either.
        ends = [start.timestamp(), start.timestamp() + 31 * 86_400]
        if not all(is_instant(round(end_s * 1e6)) for end_s in ends):
            raise ValueError(f"{start.isoformat()}: allowed: the years 2000 to 2099")
        return start

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # Ranges first: the catalogue looks up the boards of every node.
        found = expanded(data)
        return found | {"boards": with_catalogue(found.get("boards", {}), found.get("nodes"))}

    @model_validator(mode="after")
    def _consistent(self) -> Profile:
        for name, node in self.nodes.items():
            if node.boards not in self.boards:
                allowed = _names(dict.fromkeys([*self.boards, *shipped()]))
                raise ValueError(f"nodes.{name}.boards = {node.boards!r}: allowed: {allowed}")
        everything: list[Placed] = [*self.jobs, *self.strays]
        ids = [placed.id for placed in everything]
        for twice in {i for i in ids if ids.count(i) > 1}:
            raise ValueError(f"id = {twice!r}: used twice; expected a unique id")
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
        """Check that a board carries one thing at a time: sharing a board is not emulated."""
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


def _listed(names: Iterable[str], most: int = 8) -> str:
    """Return names separated by commas; of many only the first, and how many there are."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


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
        raise UserError(
            f"profile {path}: is not valid TOML: {' '.join(str(error).split())}"
        ) from None
    try:
        profile = Profile.model_validate(values)
    except ValidationError as error:
        raise UserError(f"profile {path}: {first_error(error)}") from None
    profile._folder = path.parent
    return profile


def _names(things: Iterable[str]) -> str:
    return ", ".join(things)
