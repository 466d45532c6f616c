"""Whose power is added up: the jobs, nodes, racks and sites of one hour.

In: the lake's inventory, and which devices have readings in the hour.
Out: groups, each with its members: a device, from when to when, and with which share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake.contract import HOUR_US, WHOLE_PPM
from tokenergy_transforms.loadprofile.bandwidth import Pace
from tokenergy_transforms.loadprofile.holders import Hold, tenures

if TYPE_CHECKING:
    from tokenergy_transforms.inventory import Inventory

KINDS = ("job", "node", "rack", "site")

Key = tuple[str, str]
"""A device as it was read: (node, device_id)."""

DeviceRow = dict[str, Any]
"""A row of `device`, by column."""


@dataclass(frozen=True, slots=True)
class Member:
    """A share (ppm) of a device in [start_us, end_us); pace is None where it has no readings.

    held_us is how long it was held, as far as is known: if its node has no later readings, an
    allocation without an end lasts until the last reading of its device, or else of its job. The
    share is `estimated` if a MIG instance's share of its board was not recorded.
    """

    key: Key
    start_us: int
    end_us: int
    held_us: int
    share_ppm: int
    pace: Pace | None
    emulated: bool
    estimated: bool = False


@dataclass(slots=True)
class Group:
    """The members of one job, node, rack or site."""

    kind: str
    group_id: str
    members: list[Member] = field(default_factory=list)

    @property
    def metered(self) -> list[Member]:
        """The members that have readings."""
        return [member for member in self.members if member.pace is not None]

    @property
    def nodes(self) -> set[str]:
        """The nodes that have readings of its members."""
        return {member.key[0] for member in self.metered}

    def held(self) -> list[tuple[int, int]]:
        """Return the union of its members' times: disjoint, ascending, not touching."""
        found: list[tuple[int, int]] = []
        for start_us, end_us in sorted((m.start_us, m.end_us) for m in self.members):
            if found and start_us <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], end_us))
            else:
                found.append((start_us, end_us))
        return found


def parse_kinds(text: str) -> list[str]:
    """Return the kinds of group named in a list such as `job,rack`, in their usual order.

    Raises:
        UserError: a kind does not exist, or none is named.
    """
    named = [name.strip() for name in text.split(",")]
    for name in named:
        if name not in KINDS:
            raise UserError(f"--by {name!r}: expected {', '.join(KINDS)}, joined by commas")
    return [kind for kind in KINDS if kind in named]


def in_force(inventory: Inventory, hour_us: int) -> dict[str, DeviceRow]:
    """Return the `device` row of each board that was valid in an hour, or else its first.

    Its `update_us` is the last one recorded by then, or else the first: the same period that the
    gap limit of the integration uses.
    """
    found: dict[str, DeviceRow] = {}
    learned: dict[str, int] = {}
    order = sorted(
        inventory.devices.to_pylist(), key=lambda row: (row["ts_us"], row["update_us"] or 0)
    )
    for row in order:
        name, by_then = row["device_id"], row["ts_us"] < hour_us + HOUR_US
        if by_then or name not in found:
            found[name] = row
        if row["update_us"] is not None and (by_then or name not in learned):
            learned[name] = row["update_us"]
    return {name: {**row, "update_us": learned.get(name)} for name, row in found.items()}


def groups(
    inventory: Inventory,
    rows: Mapping[str, DeviceRow],
    hour_us: int,
    kinds: Sequence[str],
    paces: Mapping[Key, Pace],
) -> list[Group]:
    """Return the groups of an hour in which something was read, sorted by kind and id.

    Args:
        inventory: devices and allocations.
        rows: the valid `device` rows, see `in_force`.
        hour_us: start of the hour.
        kinds: which of `KINDS`.
        paces: how each device was read in the hour, by node and device.
    """
    found: dict[tuple[str, str], Group] = {}
    if "job" in kinds:
        _jobs(found, inventory, rows, hour_us, paces)
    places: dict[str, Callable[[str, DeviceRow], str | None]] = {
        "node": lambda node, row: node,
        "rack": lambda node, row: _place(row, "rack"),
        "site": lambda node, row: _place(row, "site"),
    }
    for key in sorted(paces):
        row = rows.get(key[1], {})
        member = Member(
            key,
            hour_us,
            hour_us + HOUR_US,
            HOUR_US,
            WHOLE_PPM,
            paces[key],
            bool(row.get("emulated")),
        )
        for kind, place in places.items():
            name = place(key[0], row) if kind in kinds else None
            if name is not None:
                _add(found, kind, name, member)
    return [found[name] for name in sorted(found)]


def _add(found: dict[tuple[str, str], Group], kind: str, name: str, member: Member) -> None:
    found.setdefault((kind, name), Group(kind, name)).members.append(member)


def _jobs(
    found: dict[tuple[str, str], Group],
    inventory: Inventory,
    rows: Mapping[str, DeviceRow],
    hour_us: int,
    paces: Mapping[Key, Pace],
) -> None:
    holds: dict[Key, list[Hold]] = {}
    for key, hold in _holds(inventory, hour_us, paces):
        holds.setdefault(key, []).append(hold)
    for key, of_device in holds.items():
        emulated = bool(rows.get(key[1], {}).get("emulated"))
        for one in tenures(of_device):
            span = (one.start_us, one.end_us, one.until_us - one.start_us)
            member = Member(key, *span, one.share_ppm, paces.get(key), emulated, one.estimated)
            _add(found, "job", one.job_id, member)
    # A job without an end, on nodes without later readings, has no known time in this hour.
    for name in [n for n, group in found.items() if not any(m.held_us for m in group.members)]:
        del found[name]


def _holds(
    inventory: Inventory, hour_us: int, paces: Mapping[Key, Pace]
) -> Iterator[tuple[Key, Hold]]:
    """Yield the allocations of an hour, also of devices that nobody has seen: they are claimed."""
    last_us: dict[str, int] = {}
    for row in inventory.allocations:
        if (pace := paces.get((row["node"], row["device_id"]))) is not None:
            last_us[row["job_id"]] = max(last_us.get(row["job_id"], 0), pace.last_us)
    for row in inventory.allocations:
        key = (row["node"], row["device_id"])
        start_us = max(row["start_us"], hour_us)
        end_us = min(row["end_us"] or hour_us + HOUR_US, hour_us + HOUR_US)
        if start_us >= end_us:
            continue
        until_us = end_us
        if row["end_us"] is None and inventory.last_hours.get(key[0], 0) <= hour_us:
            # What is running was held as far as anything is known of its device, or of its job.
            pace = paces.get(key)
            until_us = pace.last_us if pace else last_us.get(row["job_id"], 0)
        yield (
            key,
            Hold(
                row["job_id"],
                row["mig_id"],
                row["share_ppm"],
                start_us,
                end_us,
                until_us,
                row["share_estimated"],
            ),
        )


def _place(row: DeviceRow, level: str) -> str | None:
    """Return the name of a device's site, or of its rack with its place: SITE/HALL/POD/RACK.

    Racks of one name in two halls are two racks.
    """
    if row.get(level) is None:
        return None
    levels = ("site", "hall", "pod", "rack") if level == "rack" else (level,)
    parts = [str(row[name]) for name in levels if row.get(name) is not None]
    return "/".join(parts) if len(parts) == 1 else "/".join(p.replace("/", "%2F") for p in parts)
