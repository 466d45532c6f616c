"""All of it: from the raw rows of a lake and the declared constants to the figures of its jobs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.oracle.reckon.accounts import Activity, Gauges
from tests.oracle.reckon.burden import burden
from tests.oracle.reckon.claimed import claim_spans
from tests.oracle.reckon.devices import Devices
from tests.oracle.reckon.dimensions import By, by_name, by_place
from tests.oracle.reckon.holders import Allocation, allocations, job_key
from tests.oracle.reckon.hosts import hosts
from tests.oracle.reckon.joint import joint_hours
from tests.oracle.reckon.ledger import Entry, Watched, ledger
from tests.oracle.reckon.loads import Loads, loads
from tests.oracle.reckon.meters import EnergyCounter, Sensor, plausible, steady
from tests.oracle.reckon.names import short
from tests.oracle.reckon.segments import HOUR_US
from tests.oracle.reckon.site import Site
from tests.oracle.reckon.sums import Figures, job_hours, jobs
from tests.oracle.reckon.usage import ALL_TIME_US, Key, Usage, job_spans, read_series, usage

Rows = list[dict[str, Any]]


@dataclass
class Books:
    """What the oracle finds."""

    held: list[Allocation]
    entries: list[Entry]
    used: dict[Key, Usage]
    hours: dict[tuple[str, int], Figures]
    jobs: dict[str, Figures]
    by: dict[str, By]
    loads: Loads


@dataclass
class Metered:
    """The readings of one device on one node, and who claims it there."""

    powers: list[tuple[int, int]]
    spreads: list[tuple[int, int]]
    counter: EnergyCounter
    held: list[Allocation]


def reckon(raw: dict[str, Rows], site: Site) -> Books:
    """Return the books of a lake.

    Args:
        raw: rows by table; "node" is the node that wrote them.
        site: the declared constants.
    """
    devices = Devices(raw.get("device", []))
    held = allocations(raw.get("jobs", []), devices)
    tokens = raw.get("tokens", [])
    metered = _metered(raw.get("power", []), held, devices)
    sensors = _sensors(metered, devices)
    gauges = _grouped(raw.get("state", []), "device_id")
    activity = Activity(tokens, job_spans(held))
    last: dict[str, int] = defaultdict(int)
    for row in raw.get("power", []):
        last[row["node"]] = max(last[row["node"]], row["ts_us"])
    entries: list[Entry] = []
    watched: dict[tuple[str, int], list[Watched]] = defaultdict(list)
    for (device, node, hour), sensor in sensors.items():
        one = metered[device, node]
        meters = (sensor, Sensor(one.spreads, sensor.gap_limit_us), one.counter)
        goes_on = last[node] >= hour + HOUR_US
        watched[device, hour].append(Watched(node, meters, one.held, goes_on))
    for (device, hour), nodes in watched.items():
        facts, state = devices.facts(device, hour + HOUR_US), Gauges(gauges.get(device, []))
        entries += ledger(device, hour, nodes, facts, (state, activity))
    series = read_series(tokens, held)
    used, borne = usage(series, held), hosts(entries, site)
    spans = claim_spans(held, entries, devices)
    hours = job_hours(entries, spans, used, borne, site)
    burden(entries, hours, devices, borne, site)
    joint_hours(hours, spans, entries, (series, used), site)
    found = jobs(hours, used, usage(series, held, ALL_TIME_US))
    by = _dimensions(raw, held, entries, used, found, devices)
    return Books(held, entries, used, hours, found, by, loads(sensors, held, devices))


def _grouped(rows: Rows, name: str) -> dict[str, Rows]:
    found: dict[str, Rows] = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return found


def _metered(
    power: Rows, held: list[Allocation], devices: Devices
) -> dict[tuple[str, str], Metered]:
    """Return the readings of each device that was read or is claimed, node by node."""
    readings: dict[tuple[str, str], Rows] = defaultdict(list)
    for row in power:
        readings[row["device_id"], row["node"]].append(row)
    nodes = {(device, short(node)): node for device, node in readings}
    claimed: dict[tuple[str, str], list[Allocation]] = defaultdict(list)
    for a in held:
        if a.device not in devices.rows and (a.device, short(a.node)) not in nodes:
            continue  # nothing is known of it: it is claimed, and not in the ledger
        claimed[a.device, nodes.get((a.device, short(a.node)), a.node)].append(a)
    found = {}
    for device, node in sorted({*readings, *claimed}):
        rows = readings.get((device, node), [])
        powers = [(r["ts_us"], r["power_mw"]) for r in rows if r["power_mw"] is not None]
        counts = [
            (r["ts_us"], r["energy_mj"], r["epoch"]) for r in rows if r["energy_mj"] is not None
        ]
        most_mw = devices.most_mw(device)
        counter = EnergyCounter(steady(counts, most_mw))
        claims = claimed.get((device, node), [])
        found[device, node] = Metered(*plausible(powers, most_mw), counter, claims)
    return found


def _sensors(
    metered: dict[tuple[str, str], Metered], devices: Devices
) -> dict[tuple[str, str, int], Sensor]:
    """Return the readings by device, node and hour: the gap limit may differ between hours."""
    found = {}
    for (device, node), one in metered.items():
        stamps = [t for t, _ in one.powers] + [a.start_us for a in one.held]
        stamps += [a.end_us for a in one.held if a.end_us is not None]
        for hour in range(min(stamps, default=0) // HOUR_US * HOUR_US, max(stamps, default=-1) + 1,
                          HOUR_US):  # fmt: skip
            limit = devices.gap_limit_us(device, hour + HOUR_US)
            found[device, node, hour] = Sensor(one.powers, limit)
    return found


def _dimensions(
    raw: dict[str, Rows],
    held: list[Allocation],
    entries: list[Entry],
    used: dict[Key, Usage],
    found: dict[str, Figures],
    devices: Devices,
) -> dict[str, By]:
    """Return the sums by each dimension."""
    users: dict[str, str | None] = {}
    for row in raw.get("jobs", []):
        if any(a.job == job_key(row) for a in held):
            users[job_key(row)] = row["user"]
    models: dict[str, set[str]] = defaultdict(set)
    for job, _, model, _ in used:
        if model is not None:
            models[job].add(model)
    names: dict[str, str | None] = {job: "+".join(sorted(of)) for job, of in models.items()}
    by = {part: by_place(entries, found, devices, part) for part in ("node", "rack", "site")}
    return {**by, "user": by_name(found, users), "model": by_name(found, names)}
