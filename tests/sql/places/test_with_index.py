"""The index reads a site file with places; without meters only `place_hour` follows from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sql.places.files import BASE
from tests.support.commands import command
from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site
from tokenergy_sql.places import Place

CONSTANTS = "[site]\npue = 1.5\nhost_w = 100\n[[period]]\nfrom = 2026-01-15T09:00:00Z\npue = 1.2\n"


def built(root: Path, text: str) -> LakeBuilder:
    """Return a lake of two hours, with a site file, indexed."""
    builder = LakeBuilder(root)
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 10 * S))
    builder.power("A", level(100_000, T0 + HOUR_US, T0 + HOUR_US + 10 * S))
    builder.job("j", "A", T0, T0 + 2 * HOUR_US)
    (root / "site.toml").write_text(text)
    builder.build(load_site(None, root))
    return builder


def made_by_index(root: Path) -> dict[str, object]:
    """Return the bytes of the books by path, and the inputs and constants of each hour.

    Without `place_hour`, and without the inputs and names of tables that it adds.
    """
    books = sorted((root / "books").rglob("*.parquet"))
    found: dict[str, object] = {
        str(one.relative_to(root)): one.read_bytes()
        for one in books
        if one.relative_to(root).parts[1] != "place_hour"
    }
    inputs = json.loads((root / "revisions" / "hours.json").read_text())
    del inputs["files"], inputs["digest"]  # with the times at which files were written
    of_days = inputs["hours"]["inputs"].values()
    for hour in (one for of_day in of_days for one in of_day.values()):
        hour.pop("places", None)
        hour["made"] = ",".join(one for one in hour["made"].split(",") if one != "place_hour")
    return {**found, **inputs}


@pytest.mark.parametrize("nodes", [True, False])
def test_only_the_power_of_places_follows_from_places_without_meters(
    tmp_path: Path, nodes: bool
) -> None:
    more = BASE if nodes else BASE.partition("[[placed]]")[0]
    plain, placed = (built(tmp_path / name, CONSTANTS + text).lake for name, text in
                     (("plain", ""), ("placed", more)))  # fmt: skip
    expected = made_by_index(plain.root)
    assert len(expected) > 8
    assert made_by_index(placed.root) == expected
    # Nor is anything else changed when the tables are added to a lake that is indexed.
    (plain.root / "site.toml").write_text(CONSTANTS + more)
    site = load_site(None, plain.root)
    assert site.places.at(T0).spot(Place("rack", "r1")) is not None
    done = index(plain, site, progress=lambda _: None, catalog=False)
    hours = (T0, T0 + HOUR_US)
    assert done.causes == ({hour: ["places"] for hour in hours} if nodes else {})
    assert bool(plain.files("place_hour")) == nodes
    assert made_by_index(plain.root) == expected
    # The same test would see a change of a constant.
    (plain.root / "site.toml").write_text(CONSTANTS.replace("1.2", "1.3") + more)
    index(plain, load_site(None, plain.root), progress=lambda _: None, catalog=False)
    assert made_by_index(plain.root) != expected


def test_what_is_wrong_with_places_stops_the_index(tmp_path: Path) -> None:
    wrong = '[[rack]]\nname = "x"\nhall = "q"\n[[rack]]\nname = "y"\nhall = "q"\n'
    (tmp_path / "site.toml").write_text(CONSTANTS + wrong)
    with pytest.raises(UserError) as found:
        load_site(None, tmp_path)
    assert str(found.value) == (
        f"{tmp_path}/site.toml: rack.0 (\"x\"): no [[hall]] is called 'q'; there is none (and 1 "
        "more: see `tokenergy places`)"
    )
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    site = str(tmp_path / "site.toml")
    code, _, err = command("tokenergy", "index", "--lake", str(tmp_path / "lake"), "--site", site)
    assert code == 2
    assert str(found.value) in err


def test_an_unknown_table_is_still_refused(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("[[floor]]\nname = 1\n")
    with pytest.raises(
        UserError, match=r"unknown key 'floor'.*allowed: hall, module_type, .*, slo"
    ):
        load_site(None, tmp_path)
