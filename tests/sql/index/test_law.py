"""The law: the ledger equals the meter and the jobs equal the site, to the unit, on random fleets.

Over a thousand fleets with every fault of a record of power are booked, several hundred to a lake.
The meter is read anew from the rows that were generated (`meter.py`), and what follows from the
ledger is added up anew, in Python's integers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.lawfaults import FAULTS
from tests.support.lawfleets import Fleets, fleets
from tests.support.ledger import ask
from tests.support.long import seeds
from tests.support.meter import HOUR_US, SLOW_GAP_US, Meter, Piece, energies_nj
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.lake.writing import write_parquet
from tokenergy_sql.checks.checking import run_checks
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_transforms.aggregate import Aggregator, worklist

Row = dict[str, Any]

FLEETS = 1_050
LAKES = (
    (10 * S, Site(1_250_000, 900_000, {})),
    (60 * S, Site(None, 500_000, {})),
    (10 * S, Site(1_333_333, 123_457, {})),
    (30 * S, Site(1_100_000, None, {})),
    (60 * S, Site(1_070_001, 1, {})),
)
"""Window and site file of each lake."""


@dataclass
class Books:
    """What went into a lake and what came out."""

    lake: Lake
    site: Site
    raw: Fleets
    ledger: list[Row]
    pieces: dict[tuple[str, int], list[Piece]]
    """The segments of each device and hour: what the ledger's rows add up."""


@pytest.fixture(scope="module", params=seeds(len(LAKES), always=2))
def books(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Books:
    number = request.param
    each = FLEETS // len(LAKES)
    window_us, site = LAKES[number]
    return keep_books(
        LakeBuilder(tmp_path_factory.mktemp("law") / "lake"),
        fleets(range(number * each, (number + 1) * each)),
        window_us,
        site,
    )


def keep_books(builder: LakeBuilder, raw: Fleets, window_us: int, site: Site) -> Books:
    """Write the rows, run everything, write what comes late, and run everything again."""
    raw.write(builder)
    lake = builder.lake
    _spoil(builder)
    for late in (False, True):
        if late:
            raw.write_late(builder)
        list(Aggregator(lake, window_us, "cpu").run(worklist(lake)))
        index(lake, site, progress=lambda _: None, catalog=False)
    pieces: dict[tuple[str, int], list[Piece]] = defaultdict(list)
    for row in ask(lake, "SELECT device_id, node, start_us, end_us FROM segment"):
        pieces[row["device_id"], hour_of(row)].append((row["node"], row["start_us"], row["end_us"]))
    ledger = ask(lake, "SELECT * FROM ledger ORDER BY device_id, start_us")
    return Books(lake, site, raw, ledger, pieces)


def _spoil(builder: LakeBuilder) -> None:
    """Put beside each hour's power files an empty one, and one that is none."""
    for path in {file.parent for file in builder.lake.files("power")}:
        write_parquet(POWER.schema().empty_table(), path / "empty-0-none.parquet", POWER)
        (path / "torn-0-none.parquet").write_bytes(b"PAR1" + bytes(100))


def hour_of(row: Row) -> int:
    return int(row["start_us"] - row["start_us"] % HOUR_US)


def added(rows: list[Row], key: tuple[str, ...], value: str) -> dict[tuple[Any, ...], int | None]:
    """Add a column up; NULL where there is nothing but NULL."""
    found: dict[tuple[Any, ...], int | None] = {}
    for row in rows:
        group = tuple(row[name] for name in key)
        number = None if row[value] is None else int(row[value])
        before = found.setdefault(group, None)
        found[group] = number if before is None else before + (number or 0)
    return found


def test_every_fault_is_met() -> None:
    met = fleets(range(FLEETS)).met
    assert {fault.__name__ for fault in FAULTS} < set(met)
    assert min(met.values()) >= 20, met


def test_the_ledger_equals_the_meter(books: Books) -> None:
    """On every device and hour; and on every piece of it, which meter is read is the same one."""
    breaches = []
    totals: dict[tuple[str, int], int] = defaultdict(int)
    metered: dict[tuple[str, int], set[Piece]] = defaultdict(set)
    for row in books.ledger:
        place = row["device_id"], hour_of(row)
        assert place in books.pieces
        if row["energy_nj"] is not None:
            totals[place] += row["energy_nj"]
            metered[place].add((row["node"], row["start_us"], row["end_us"]))
    all_meters = {
        device: {node: Meter(stream) for node, stream in of_nodes.items()}
        for device, of_nodes in books.raw.streams().items()
    }
    for device, meters in all_meters.items():
        for node, meter in meters.items():
            breaches += _uncovered(device, node, meter, books.pieces)
        for (whose, hour), pieces in books.pieces.items():
            if whose == device:
                around = {
                    node: meter.read_around(hour, _margin_us(meter, hour))
                    for node, meter in meters.items()
                }
                read = energies_nj(around, pieces)
                known = _inside(metered[whose, hour])
                unlike = [piece for piece in pieces if known(piece) != (read[piece] is not None)]
                off = totals[whose, hour] - sum(nj or 0 for nj in read.values())
                if off or unlike:
                    breaches.append((len(pieces), device, hour, off, unlike[:2]))
    assert not breaches, f"{len(breaches)} device-hours of GPU-SEED-PLACE; least: {min(breaches)}"


def _inside(rows: set[Piece]) -> Callable[[Piece], bool]:
    """Return whether a piece is inside one of the times of the ledger's rows."""
    starts = sorted(rows, key=lambda row: row[1:])
    furthest: list[dict[str, int]] = []
    for node, _, end_us in starts:
        before = furthest[-1] if furthest else {}
        furthest.append({**before, node: max(end_us, before.get(node, 0))})

    def inside(piece: Piece) -> bool:
        node, start_us, end_us = piece
        at = bisect_right(starts, start_us, key=lambda row: row[1]) - 1
        return at >= 0 and furthest[at].get(node, 0) >= end_us

    return inside


def _margin_us(meter: Meter, hour: int) -> int:
    """Return how far around an hour a device's readings are read: its own gap limit."""
    return max(SLOW_GAP_US, meter.gap_limit_us(hour))


def _uncovered(
    device: str, node: str, meter: Meter, pieces: dict[tuple[str, int], list[Piece]]
) -> list[tuple[Any, ...]]:
    """Return the hours in which the ledger books less time than samples tell power of."""
    told: dict[int, int] = defaultdict(int)
    for start_us, end_us in meter.sampled_spans():
        told[start_us - start_us % HOUR_US] += end_us - start_us
    found = []
    for hour, length_us in told.items():
        own = [piece for piece in pieces.get((device, hour), ()) if piece[0] == node]
        covered = sum(meter.integral_nj(*piece[1:])[1] for piece in own)
        if covered < length_us:
            found.append((len(own), device, hour, "uncovered", length_us - covered))
    return found


def test_tokenergy_check_agrees(books: Books) -> None:
    findings = run_checks(books.lake)
    assert [(f.name, f.rows[:2]) for f in findings if f.breach] == []
    warned = {f.name: len(f.rows) for f in findings if f.rows}
    assert warned["nothing_is_quarantined"] >= 2


def test_every_row_lies_inside_its_bounds(books: Books) -> None:
    for row in books.ledger:
        energy = row["low_nj"] if row["energy_nj"] is None else row["energy_nj"]
        assert 0 <= row["low_nj"] <= energy <= row["high_nj"], row


def test_hours_add_up_to_the_ledger(books: Books) -> None:
    key = ("device_id", "node", "hour_us", "account", "job_id")
    hours = ask(books.lake, "SELECT * FROM ledger_hour")
    ledger = [{**row, "hour_us": hour_of(row)} for row in books.ledger]
    for column in ("energy_nj", "low_nj", "high_nj", "device_us", "covered_us"):
        assert added(hours, key, column) == added(ledger, key, column)
    assert len(hours) == len(added(hours, key, "device_us"))


def test_jobs_add_up_to_their_hours(books: Books) -> None:
    hours = [r for r in ask(books.lake, "SELECT * FROM ledger_hour") if r["job_id"] is not None]
    job_hours = ask(books.lake, "SELECT * FROM job_hour_index")
    jobs = ask(books.lake, "SELECT * FROM job_index")
    of = {"energy_nj": "e_gpu_nj", "low_nj": "e_gpu_low_nj", "high_nj": "e_gpu_high_nj"}
    # Claimed time that nothing metered is in no ledger: its energy is from 0 to the boards' limits.
    unseen = {(r["job_id"], r["hour_us"]) for r in job_hours if r["unseen_us"]}
    for ours, theirs in of.items():
        by_index = added(job_hours, ("job_id", "hour_us"), theirs)
        by_ledger = added(hours, ("job_id", "hour_us"), ours)
        expected = {**dict.fromkeys(by_index), **by_ledger}
        for key in unseen:
            least = expected[key] or 0
            assert ours == "energy_nj" or (by_index[key] or 0) >= least
            assert ours != "low_nj" or by_index[key] == least
        if ours == "high_nj":  # of less than a microsecond nobody saw, unseen_us says 0
            seen = expected.keys() - unseen
            assert all(0 <= (by_index[k] or 0) - (expected[k] or 0) < 2_000_000 for k in seen)
            continue
        metered = expected.keys() - unseen if ours == "low_nj" else expected.keys()
        assert {key: by_index[key] for key in metered} == {key: expected[key] for key in metered}
    # A job may claim time in hours of which nothing is recorded: they have no row.
    beyond = {r["job_id"] for r in jobs if r["unseen_us"]}
    for column in (*of.values(), "e_gpu_burdened_nj", "device_us"):
        by_job = added(jobs, ("job_id",), column)
        nothing = 0 if column == "device_us" else None
        by_hour = {**dict.fromkeys(by_job, nothing), **added(job_hours, ("job_id",), column)}
        for key, value in by_job.items():
            if key[0] in beyond and column in ("e_gpu_low_nj", "e_gpu_high_nj", "device_us"):
                assert (value or 0) >= (by_hour[key] or 0)
            else:
                assert value == by_hour[key]


def test_a_job_that_is_told_to_outlive_its_board_on_a_node(tmp_path: Path) -> None:
    """Its board moves after 100 s; nobody tells of the job's end."""
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", ts_us=T0)
    builder.power("A", level(200_000, T0, T0 + 100 * S))
    builder.job("j", "A", T0 + 10 * S, T0 + 300 * S)
    builder.device("A", node="n2", ts_us=T0 + 200 * S)
    builder.power("A", level(200_000, T0 + 200 * S, T0 + 400 * S), node="n2")
    findings = run_checks(builder.build())
    assert [(f.name, f.rows[:2]) for f in findings if f.breach] == []


# What no job bore -------------------------------------------------------------------------------


def known_by(hour_us: int, raw: Fleets) -> dict[str, Row]:
    """Return each board's row that counts in an hour: the last told by its end, or the first."""
    told: dict[str, list[Row]] = defaultdict(list)
    for of_node in raw.rows["device"].values():
        for row in of_node:
            told[row["device_id"]].append(row)
    found = {}
    for device, rows in told.items():
        rows.sort(key=lambda row: (row["ts_us"], row["node"]))
        by_then = [row for row in rows if row["ts_us"] < hour_us + HOUR_US]
        last_us = by_then[-1]["ts_us"] if by_then else 0
        same = [row for row in by_then if row["ts_us"] == last_us] or rows
        found[device] = same[0]
    return found


@dataclass
class Drawn:
    """What one job or nobody (None) drew at one site in one hour, and for how long."""

    gpu_nj: int = 0
    host_nj: int = 0
    device_us: int = 0


def watched_us(spans: set[tuple[int, int]]) -> int:
    """Return the length of the union of some times."""
    length, until = 0, 0
    for start, end in sorted(spans):
        length += max(0, end - max(start, until))
        until = max(until, end)
    return length


def sites_of(
    rows: list[Row], known: dict[str, Row], host_mw: int
) -> dict[str, dict[str | None, Drawn]]:
    """Return what each job, and nobody, drew at each site in an hour, the hosts included."""
    found: dict[str, dict[str | None, Drawn]] = defaultdict(lambda: defaultdict(Drawn))
    on_node: dict[str, Counter[str | None]] = defaultdict(Counter)
    spans: dict[str, set[tuple[int, int]]] = defaultdict(set)
    site_of_node: dict[str, str] = {}
    for row in rows:
        site, node = known[row["device_id"]]["site"] or "", row["node"]
        drawn = found[site][row["job_id"]]
        drawn.gpu_nj += row["energy_nj"] or 0
        drawn.device_us += row["device_us"]
        on_node[node][row["job_id"]] += row["device_us"]
        spans[node].add((row["start_us"], row["end_us"]))
        site_of_node[node] = min(site, site_of_node.get(node, site))
    for node, holders in on_node.items():
        whole_nj = host_mw * watched_us(spans[node])
        parts = {
            job: whole_nj * us // sum(holders.values())
            for job, us in holders.items()
            if job is not None
        }
        parts[None] = whole_nj - sum(parts.values())
        for job, part_nj in parts.items():
            found[site_of_node[node]][job].host_nj += part_nj
    return found


def by_hour(books: Books) -> dict[int, dict[str, dict[str | None, Drawn]]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    for row in books.ledger:
        rows[hour_of(row)].append(row)
    return {
        hour: sites_of(of_hour, known_by(hour, books.raw), books.site.host_mw or 0)
        for hour, of_hour in sorted(rows.items())
    }


def test_jobs_with_what_no_job_bore_add_up_to_the_site(books: Books) -> None:
    jobs = ask(books.lake, "FROM job_hour_index WHERE e_gpu_burdened_nj IS NOT NULL")
    nodes = ask(books.lake, "FROM node_hour")
    gpu_nj = added(jobs, ("hour_us",), "e_gpu_burdened_nj")
    unborne_nj = added(nodes, ("hour_us",), "unborne_gpu_nj")
    facility_nj = added(jobs, ("hour_us",), "e_facility_burdened_nj")
    unborne_facility_nj = added(nodes, ("hour_us",), "unborne_facility_nj")
    pue_ppm = books.site.pue_ppm
    for hour, sites in by_hour(books).items():
        key = (hour,)
        whole = [list(site.values()) for site in sites.values()]
        drawn_nj = sum(d.gpu_nj for site in whole for d in site)
        assert (gpu_nj.get(key) or 0) + (unborne_nj[key] or 0) == drawn_nj, hour
        if pue_ppm is None or books.site.host_mw is None:
            assert facility_nj.get(key) is unborne_facility_nj[key] is None
            continue
        billed_nj = sum(
            sum(d.gpu_nj + d.host_nj for d in site) * pue_ppm // 1_000_000 for site in whole
        )
        assert (facility_nj.get(key) or 0) + (unborne_facility_nj[key] or 0) == billed_nj, hour
    assert sum(int(row["unborne_gpu_nj"]) > 0 for row in nodes) > 20


def test_each_job_bears_its_share_of_what_no_job_bore(books: Books) -> None:
    job_hours = {(r["hour_us"], r["job_id"]): r for r in ask(books.lake, "FROM job_hour_index")}
    pue = Fraction(books.site.pue_ppm or 0, 1_000_000)
    for hour, sites in by_hour(books).items():
        share: dict[str, list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
        at: Counter[str] = Counter()
        for site in sites.values():
            capacity_us = sum(drawn.device_us for drawn in site.values())
            nobody = site.get(None, Drawn())
            for job, drawn in site.items():
                if job is not None:
                    part = Fraction(drawn.device_us, max(1, capacity_us))
                    gpu_nj = drawn.gpu_nj + nobody.gpu_nj * part
                    share[job][0] += gpu_nj
                    share[job][1] += (gpu_nj + drawn.host_nj + nobody.host_nj * part) * pue
                    at[job] += 1
        for job, (exact_nj, facility_nj) in share.items():
            row = job_hours[hour, job]
            assert abs(int(row["e_gpu_burdened_nj"]) - exact_nj) < at[job], (hour, job)
            if row["e_facility_burdened_nj"] is not None:
                assert abs(int(row["e_facility_burdened_nj"]) - facility_nj) < 4 * at[job]
