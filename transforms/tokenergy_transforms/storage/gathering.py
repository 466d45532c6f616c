"""The loads that a study is of: groups over a span, and the parts of each.

In: the lake, a kind of group, a span, and a kind of part. Out: the load course of each group, and
which parts each has. Halls are made of the racks in them. A part belongs to a group if all of its
devices do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.inventory import Inventory, read_inventory
from tokenergy_transforms.loadprofile import coursehours
from tokenergy_transforms.loadprofile.course import LoadCourse
from tokenergy_transforms.loadprofile.groups import Group, Key
from tokenergy_transforms.loadprofile.joining import Joiner

KINDS = ("job", "node", "rack", "hall", "site")
SPLITS = ("node", "rack", "hall")

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """Which groups, from when to when, on which grid; stamps in microseconds UTC.

    Attributes:
        kind: of `KINDS`.
        group_id: the only group; None: all of the kind.
        step_us: size of a cell; None: the shortest whose changes the sensors show.
        split: kind of part, of `SPLITS`; None: no parts.
    """

    kind: str
    group_id: str | None
    from_us: int
    until_us: int
    step_us: int | None = None
    split: str | None = None


@dataclass(slots=True)
class Gathered:
    """The load of a group, and its parts; `whole` is false where parts leave devices out."""

    course: LoadCourse
    parts: list[LoadCourse] = field(default_factory=list)
    whole: bool = True


def gather(
    lake: Lake, span: Span, report: Callable[[str], None] = lambda _: None
) -> list[Gathered]:
    """Return the loads of a span, by name.

    Raises:
        UserError: there is no such kind or group, or nothing was read in the span.
    """
    check_kinds(span)
    inventory = read_inventory(lake)
    wanted = [kind for kind in (span.kind, span.split) if kind is not None]
    base = ["rack" if kind == "hall" else kind for kind in wanted]
    halls = "hall" in wanted
    names = [(span.kind, span.group_id)] if span.group_id and not (span.split or halls) else None
    keys: dict[Name, set[Key]] = {}
    hours = []
    for hour in coursehours.hours(
        lake,
        list(dict.fromkeys(base)),
        span.from_us,
        span.until_us,
        span.step_us,
        names=names,
        choose=_chooser(inventory, wanted),
        inventory=inventory,
        report=report,
    ):
        hours.append(hour)
        for name, cells in hour.groups.items():
            keys.setdefault(name, set()).update(member.key for member in cells.group.members)
    found = sorted(name for name in keys if name[0] == span.kind)
    chosen = [name for name in found if span.group_id in (None, name[1])]
    if not chosen:
        asked = f"--by {span.kind}" + (f" --group {span.group_id!r}" if span.group_id else "")
        raise UserError(f"{asked}: the lake has none with readings in this span")

    def course(name: Name) -> LoadCourse:
        joined = Joiner(*name, span.from_us, span.until_us)
        for hour in hours:
            joined.add(hour)
        return joined.course()

    gathered = []
    for name in chosen:
        parts = [p for p in sorted(keys) if p[0] == span.split and keys[p] <= keys[name]]
        covered = set().union(*(keys[part] for part in parts))
        gathered.append(Gathered(course(name), [*map(course, parts)], covered == keys[name]))
    return gathered


def check_kinds(span: Span) -> None:
    """Return if the kinds can be used together.

    Raises:
        UserError: they cannot.
    """
    if span.kind not in KINDS:
        raise UserError(f"--by {span.kind!r}: expected {', '.join(KINDS)}")
    if span.split is None:
        return
    if span.split not in SPLITS:
        raise UserError(f"--split {span.split!r}: expected {', '.join(SPLITS)}")
    if span.kind == "job" or KINDS.index(span.split) >= KINDS.index(span.kind):
        raise UserError(
            f"--split {span.split}: a {span.kind} has no such parts; split a site by hall, rack or "
            "node, a hall by rack or node, a rack by node"
        )


def _chooser(inventory: Inventory, wanted: list[str]) -> coursehours.Choose:
    """Return what picks the groups of an hour and joins racks to halls."""
    table = inventory.devices.select(["device_id", "site", "hall"]).to_pylist()
    places = {row["device_id"]: (row["site"], row["hall"]) for row in table}

    def choose(made: list[Group]) -> list[Group]:
        found = [group for group in made if group.kind in wanted]
        if "hall" not in wanted:
            return found
        halls: dict[str, Group] = {}
        for member in (m for group in made if group.kind == "rack" for m in group.members):
            site, hall = places.get(member.key[1], (None, None))
            if hall is not None:
                name = f"{site}/{hall}" if site is not None else str(hall)
                halls.setdefault(name, Group("hall", name)).members.append(member)
        return [*found, *(halls[name] for name in sorted(halls))]

    return choose
