"""The site's constants over time: those without a date leave the past alone, others correct it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.pipeline import Indexed, index
from tokenergy_sql.index.site import Constants, load_site
from tokenergy_sql.index.sitehistory import KEY
from tokenergy_sql.revisions import revisions

OLD = "[site]\npue = 1.5\nhost_w = 100.0\n"
NEW = "[site]\npue = 1.2\nhost_w = 100.0\n"
KJ = 10**12


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of 100 W that a job holds for ten seconds in each of two hours; two nodes."""
    builder = LakeBuilder(tmp_path_factory.mktemp("sound") / "lake")
    for number, node in enumerate(("n1", "n2")):
        builder.device(f"GPU-{node}", node=node, index=0)
        for hour in (T0, T0 + HOUR_US):
            builder.power(f"GPU-{node}", level(100_000, hour, hour + 10 * S, S), node=node)
            builder.job(f"j{number}", f"GPU-{node}", hour, hour + 10 * S, node=node)
    return builder.build().root


@pytest.fixture
def lake(sound: Path, tmp_path: Path) -> Lake:
    """A copy of it, without a site file."""
    return Lake(shutil.copytree(sound, tmp_path / "lake"))


def indexed(lake: Lake, text: str | None, hours: list[int] | None = None) -> Indexed:
    path = lake.root / "site.toml"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
    site = load_site(None, lake.root)
    return index(lake, site, hours, progress=lambda _: None, catalog=False)


def facility_kj(lake: Lake) -> dict[int, float | None]:
    """Return the facility energy of each hour, kJ; GPU and host draw 1 kJ each on either node."""
    rows = ask(lake, "SELECT hour_us, e_facility_nj FROM job_hour_index ORDER BY job_id, hour_us")
    found: dict[int, float | None] = {}
    for row in rows:
        before, part = found.get(row["hour_us"], 0.0), row["e_facility_nj"]
        known = before is not None and part is not None
        found[row["hour_us"]] = (before or 0) + float(part) / KJ if known else None
    return found


def test_what_was_not_declared_is_filled_in(lake: Lake) -> None:
    assert facility_kj(lake) == {T0: None, T0 + HOUR_US: None}
    done = indexed(lake, OLD)
    assert done.causes == {T0: ["site"], T0 + HOUR_US: ["site"]}
    assert done.remarks == []
    assert facility_kj(lake) == {T0: 6.0, T0 + HOUR_US: 6.0}


def test_a_change_without_a_date_leaves_indexed_hours_alone(lake: Lake) -> None:
    indexed(lake, OLD, [T0])
    done = indexed(lake, NEW)
    # The second hour had no constants yet, so it has the new ones.
    assert done.causes == {T0 + HOUR_US: ["site"]}
    assert facility_kj(lake) == {T0: 6.0, T0 + HOUR_US: 4.8}
    assert done.remarks == [
        "site: pue = 1.2 (was 1.5) has no date, so the 1 hour that was indexed before keeps the "
        "former value; to correct it too, put the new one under [[period]] with "
        "from = 2026-01-15T08:00:00Z in the site file"
    ]
    again = index(
        lake, load_site(None, lake.root), progress=lambda _: None, rebuild_all=True, catalog=False
    )
    assert again.revision is None
    assert again.remarks == done.remarks
    assert indexed(lake, None).causes == {}
    assert facility_kj(lake) == {T0: 6.0, T0 + HOUR_US: 4.8}
    assert_checks_pass(lake)


def test_a_change_with_a_date_corrects_from_there_on(lake: Lake) -> None:
    indexed(lake, OLD)
    late = "[[period]]\nfrom = 2026-01-15T09:00:00Z\npue = 1.2\n"
    done = indexed(lake, OLD + late)
    assert done.causes == {T0 + HOUR_US: ["site"]}
    assert done.remarks == []
    assert facility_kj(lake) == {T0: 6.0, T0 + HOUR_US: 4.8}
    early = "[[period]]\nfrom = 2026-01-15T10:00:00+02:00\nhost_w = 300.0\n"
    done = indexed(lake, OLD + late + early)
    assert facility_kj(lake) == {T0: 12.0, T0 + HOUR_US: 9.6}
    assert done.causes == {T0: ["site"], T0 + HOUR_US: ["site"]}
    # Without the dates the hours keep what they have.
    done = indexed(lake, OLD)
    assert done.causes == {}
    assert facility_kj(lake) == {T0: 12.0, T0 + HOUR_US: 9.6}
    assert "host_w = 100 (was 300), pue = 1.5 (was 1.2)" in done.remarks[0]
    assert "the 2 hours that were indexed before keep" in done.remarks[0]


def test_hosts_of_single_nodes(lake: Lake) -> None:
    indexed(lake, OLD)
    own = "[nodes.n2]\nhost_w = 500.0\n"
    done = indexed(lake, OLD + own)
    assert done.causes == {}
    assert "nodes.n2.host_w = 500 (was 100)" in done.remarks[0]
    dated = "[[period]]\nfrom = 2026-01-15T09:00:00Z\n[period.nodes.n2]\nhost_w = 500.0\n"
    assert indexed(lake, OLD + dated).causes == {T0 + HOUR_US: ["site"]}
    assert facility_kj(lake) == {T0: 6.0, T0 + HOUR_US: 12.0}


def test_hours_of_an_earlier_release(lake: Lake) -> None:
    """It recorded the digest of the constants alone: equal ones are kept, others are reported."""
    indexed(lake, OLD)
    found = revisions.read_recorded(lake)
    for hour_us, inputs in [*found.hours.items()]:
        found.hours[hour_us] = {kind: one for kind, one in inputs.items() if kind != KEY}
    revisions.write_recorded(lake, replace(found, constants={}))
    before = facility_kj(lake)
    assert (indexed(lake, OLD).causes, facility_kj(lake)) == ({}, before)
    assert indexed(lake, NEW).causes == {}
    assert facility_kj(lake) == before
    found = revisions.read_recorded(lake)
    for hour_us, inputs in [*found.hours.items()]:
        found.hours[hour_us] = {kind: one for kind, one in inputs.items() if kind != KEY}
    revisions.write_recorded(lake, replace(found, constants={}))
    done = indexed(lake, NEW)
    assert done.causes == {T0: ["site"], T0 + HOUR_US: ["site"]}
    assert done.remarks == [
        "site: 2 hours were indexed by an earlier release, with other constants or another "
        "calibration that it did not record; they now have those of the site file"
    ]
    assert indexed(lake, NEW).remarks == []


def test_constants_are_stored_once(lake: Lake) -> None:
    indexed(lake, OLD)
    content = json.loads((lake.root / "revisions" / "hours.json").read_text())
    assert list(content["constants"].values()) == [
        {"pue_ppm": 1_500_000, "host_mw": 100_000, "node_host_mw": {}}
    ]
    hours = [one for of_day in content["hours"]["inputs"].values() for one in of_day.values()]
    assert {inputs[KEY] for inputs in hours} == set(content["constants"])


def test_the_table_of_nodes_has_the_constants(lake: Lake) -> None:
    indexed(lake, OLD + "[nodes.n2]\nhost_w = 500.0\n")
    rows = ask(lake, "FROM node_hour ORDER BY hour_us, node")
    assert [(r["node"], r["pue_ppm"], r["host_mw"]) for r in rows] == [
        ("n1", 1_500_000, 100_000),
        ("n2", 1_500_000, 500_000),
    ] * 2
    # The boards were read in both hours, so the first one was watched to its end.
    assert [(r["watched_us"], r["capacity_us"], r["idle_us"]) for r in rows] == [
        *[(HOUR_US, HOUR_US, HOUR_US - 10 * S)] * 2,
        *[(10 * S, 10 * S, 0)] * 2,
    ]


def test_only_unknown_values_are_completed() -> None:
    older = Constants(None, 100, {"a": 5})
    newer = Constants(1_200_000, 200, {"a": 6, "b": 7})
    assert older.completed_by(newer) == Constants(1_200_000, 100, {"a": 5})
    unknown = Constants(None, None, {"a": 5})
    assert unknown.completed_by(newer) == Constants(1_200_000, 200, {"a": 5, "b": 7})


def test_a_node_by_its_other_name_and_one_that_does_not_exist(lake: Lake) -> None:
    done = indexed(
        lake, OLD + '[nodes."N2.example.org"]\nhost_w = 500.0\n[nodes.n22]\nhost_w = 1.0\n'
    )
    assert facility_kj(lake) == {T0: 12.0, T0 + HOUR_US: 12.0}
    assert done.remarks == [
        "site: nodes.n22: no device of a node of this name was recorded, so nothing has its host_w"
    ]
