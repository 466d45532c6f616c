"""Finds where a BMC has a value, in the trees of old and new BMCs.

In: which value is wanted. Out: its place: the numbers that are read from then on. Of several places
of a chassis the first one that has a reading counts: EnvironmentMetrics, the sum of what the power
supplies take (PowerSubsystem), a sensor (Sensors), the Power resource of old BMCs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tokenergy_collectors.sources.meters.values import ALL_ONES, MeterValue, NoReadingError
from tokenergy_collectors.sources.redfish.link import ROOT, RefusedError, link_of
from tokenergy_collectors.sources.redfish.reads import Reads
from tokenergy_collectors.sources.redfish.settings import Reading
from tokenergy_collectors.sources.redfish.values import Member, take

_MOST_SENSORS = 32
"""So many sensors with power in their names are looked at: each one costs a request."""

_ENVIRONMENT = {"power": "PowerWatts", "energy": "EnergykWh", "energy-joules": "EnergyJoules"}
_SUPPLY = {"power": "InputPowerWatts", "energy": "EnergykWh"}


_Way = Callable[[Reading, str, Mapping[str, Any], Reads], Iterator["Place"]]


class NotFoundError(Exception):
    """The BMC has no place of a value; the message says what it has instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is read.

    Attributes:
        words: the place in words.
        chassis: id of its chassis.
        member: the number; None if it is a sum.
        supplies: path of the power supplies whose input it is the sum of.
    """

    words: str
    chassis: str
    member: Member | None = None
    supplies: str = ""


def invalid_of(reading: Reading) -> Sequence[int | float]:
    """Return the numbers that mean no reading."""
    if reading.invalid is not None:
        return reading.invalid
    is_part = reading.supply is not None or reading.sensor is not None
    return ALL_ONES if is_part else (*ALL_ONES, 0)


def read_place(place: Place, reading: Reading, reads: Reads) -> tuple[MeterValue, int]:
    """Return what a place says, and when (us UTC).

    Raises:
        AwayError: the BMC does not answer.
        RefusedError: it does not give a resource.
        NoReadingError: one of the numbers is no reading.
    """
    invalid = invalid_of(reading)
    if place.member is not None:
        found = reads.get(place.member.path)
        value, ts_us = take(found.body, place.member, invalid), found.ts_us
    else:
        value, ts_us = _sum(_inputs(place.supplies, reads), reads)
        if not value.value_n and 0 in invalid:
            raise NoReadingError("reads 0, which means no reading")
    if value.value_n < 0 and reading.sensor is None:
        raise NoReadingError("reads less than 0, which nothing consumes")
    return value, ts_us


def _sum(members: Sequence[Member], reads: Reads) -> tuple[MeterValue, int]:
    """Return the sum of some numbers, and the middle of the times at which they were read."""
    total_n, stamps = 0, []
    for member in members:
        found = reads.get(member.path)
        try:
            # Any of them may be 0: a power supply in standby.
            total_n += take(found.body, member, ALL_ONES).value_n
        except NoReadingError as error:
            raise NoReadingError(f"{member.path}: {error}") from None
        stamps.append(found.ts_us)
    return MeterValue(total_n), (min(stamps) + max(stamps)) // 2


def find_place(reading: Reading, reads: Reads) -> Place:
    """Return where a value is read: the first place that has a reading, or else the first place.

    Raises:
        AwayError: the BMC does not answer.
        NotFoundError: there is none, or several chassis have one.
    """
    try:
        every = _chassis(reading, reads)
    except RefusedError as error:
        raise NotFoundError(str(error)) from None
    found = [
        place
        for name, chassis in every
        if (place := _best(_candidates(reading, name, chassis, reads), reading, reads))
    ]
    if not found:
        raise NotFoundError(reads.refusal() or f"the BMC has no {_wanted(reading)}")
    if len(found) > 1:
        names = ", ".join(place.chassis for place in found)
        raise NotFoundError(f"several chassis have one: {names}; name it in `chassis`")
    return found[0]


def _wanted(reading: Reading) -> str:
    if reading.sensor is not None:
        return f"sensor {reading.sensor}"
    value = reading.value.replace("-", " ")
    return f"{value} of supply {reading.supply}" if reading.supply is not None else value


def _best(places: Iterable[Place], reading: Reading, reads: Reads) -> Place | None:
    first = None
    for place in places:
        first = first or place
        try:
            read_place(place, reading, reads)
        except (NoReadingError, RefusedError):
            continue
        return place
    return first


def _chassis(reading: Reading, reads: Reads) -> list[tuple[str, Mapping[str, Any]]]:
    """Return id and body of the chassis in which to look."""
    root = reads.get(ROOT).body
    found = reads.follow(root, "Chassis")
    if found is None:
        raise NotFoundError("the BMC has no chassis")
    every = {path: reads.get(path).body for path in reads.paths(found[1])}
    ids = {path: str(body.get("Id", _last(path))) for path, body in every.items()}
    if reading.chassis is not None:
        named = [(ids[path], body) for path, body in every.items() if ids[path] == reading.chassis]
        if not named:
            raise NotFoundError(f"no chassis {reading.chassis!r}; it has {', '.join(ids.values())}")
        return named
    return [
        (ids[path], body)
        for path, body in every.items()
        if link_of(body.get("Links"), "ContainedBy") not in every
    ]


def _last(path: str) -> str:
    """Return the last part of a path: what is behind it has that id."""
    return path.rstrip("/").rpartition("/")[2]


def _candidates(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    """Yield the places of a value in a chassis, the best ones first."""
    if reading.supply is not None:
        ways: tuple[_Way, ...] = (_of_supply, _of_old_supply)
    elif reading.sensor is not None:
        ways = (_of_sensor,)
    else:
        ways = _WAYS[reading.value]
    for way in ways:
        # What a BMC refuses to give in one way it may give in another.
        with suppress(RefusedError):
            yield from way(reading, name, chassis, reads)


def _of_environment(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    member = _ENVIRONMENT[reading.value]
    found = reads.follow(chassis, "EnvironmentMetrics")
    if found is not None and member in found[1]:
        words = f"chassis {name}, EnvironmentMetrics {member}"
        yield Place(words, name, Member(found[0], (member, "Reading")))


def _power_supplies(chassis: Mapping[str, Any], reads: Reads) -> str | None:
    """Return the path of the power supplies of a chassis; None if it has none."""
    subsystem = reads.follow(chassis, "PowerSubsystem")
    found = subsystem and reads.follow(subsystem[1], "PowerSupplies")
    return found[0] if found else None


def _metrics(supplies: str, reads: Reads) -> Iterator[tuple[str, str | None]]:
    """Yield the id of each power supply that is there, and the path of its metrics."""
    for path in reads.paths(reads.get(supplies).body):
        supply = reads.get(path).body
        status = supply.get("Status")
        if not isinstance(status, Mapping) or status.get("State") != "Absent":
            yield str(supply.get("Id", _last(path))), link_of(supply, "Metrics")


def _inputs(supplies: str, reads: Reads) -> list[Member]:
    """Return what each power supply takes: looked up each time, as they come and go.

    Raises:
        NoReadingError: one of them does not say it: the sum of the others would be too low.
    """
    found = []
    for supply, path in _metrics(supplies, reads):
        if path is None:
            raise NoReadingError(f"power supply {supply} has no metrics")
        found.append(Member(path, (_SUPPLY["power"], "Reading")))
    if not found:
        raise NoReadingError("no power supply is there")
    return found


def _sum_of_supplies(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    path = _power_supplies(chassis, reads)
    with suppress(NoReadingError):
        if path is not None and all(
            _SUPPLY["power"] in reads.get(one.path).body for one in _inputs(path, reads)
        ):
            words = f"chassis {name}, sum of InputPowerWatts of its power supplies"
            yield Place(words, name, supplies=path)


def _of_supply(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    member, supplies = _SUPPLY[reading.value], _power_supplies(chassis, reads)
    for supply, path in _metrics(supplies, reads) if supplies is not None else ():
        if supply == reading.supply and path is not None and member in reads.get(path).body:
            words = f"chassis {name}, power supply {supply} {member}"
            yield Place(words, name, Member(path, (member, "Reading")))


def _of_old_supply(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    found = reads.follow(chassis, "Power") if reading.value == "power" else None
    listed = found[1].get("PowerSupplies") if found is not None else None
    for at, one in enumerate(listed if isinstance(listed, list) else ()):
        if (
            found is not None
            and isinstance(one, Mapping)
            and reading.supply in (one.get("MemberId"), one.get("Name"))
            and "PowerInputWatts" in one
        ):
            member = Member(found[0], ("PowerSupplies", at, "PowerInputWatts"))
            yield Place(f"chassis {name}, Power {member.name}", name, member)


def _sensors(chassis: Mapping[str, Any], reads: Reads) -> list[str]:
    found = reads.follow(chassis, "Sensors")
    return list(reads.paths(found[1])) if found is not None else []


def _of_sensor(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    keys, interval = (
        (("AverageReading",), "AveragingInterval")
        if reading.value == "average-power"
        else (("Reading",), None)
    )
    for path in _sensors(chassis, reads):
        # By its path: there may be hundreds, and to look into each one takes minutes.
        if _last(path) == reading.sensor:
            words = f"chassis {name}, sensor {reading.sensor} {keys[0]}"
            yield Place(words, name, Member(path, keys, interval))


def _power_sensor(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    """Yield the sensor of all power of the chassis, if it is clear which one that is."""
    paths = [path for path in _sensors(chassis, reads) if "power" in _last(path).lower()]
    if len(paths) > _MOST_SENSORS:
        return
    found = [
        (path, body.get("PhysicalContext"))
        for path in paths
        if (body := reads.get(path).body).get("ReadingType") == "Power"
        and body.get("ReadingUnits", "W") == "W"
    ]
    whole = [path for path, context in found if context == "Chassis"]
    total = [path for path, _ in found if "total" in _last(path).lower()]
    for some in (whole, total, [path for path, _ in found]):
        if len(some) == 1:
            words = f"chassis {name}, sensor {_last(some[0])} Reading"
            yield Place(words, name, Member(some[0], ("Reading",)))
            return


def _of_old_power(
    reading: Reading, name: str, chassis: Mapping[str, Any], reads: Reads
) -> Iterator[Place]:
    found = reads.follow(chassis, "Power")
    controls = found[1].get("PowerControl") if found is not None else None
    if found is None or not isinstance(controls, list) or not controls:
        return
    # The first one is that of the whole chassis: others are its processors or memory.
    first = controls[0] if isinstance(controls[0], Mapping) else {}
    members = []
    if reading.value == "power" and "PowerConsumedWatts" in first:
        members.append(Member(found[0], ("PowerControl", 0, "PowerConsumedWatts")))
    metrics = first.get("PowerMetrics")
    if isinstance(metrics, Mapping) and "AverageConsumedWatts" in metrics:
        keys = ("PowerControl", 0, "PowerMetrics", "AverageConsumedWatts")
        members.append(Member(found[0], keys, "IntervalInMin"))
    for member in members:
        yield Place(f"chassis {name}, Power {member.name}", name, member)


_WAYS: dict[str, tuple[_Way, ...]] = {
    "power": (_of_environment, _sum_of_supplies, _power_sensor, _of_old_power),
    "average-power": (_of_old_power,),
    "energy": (_of_environment,),
    "energy-joules": (_of_environment,),
}
