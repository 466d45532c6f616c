"""`tokenergy places`, and the example of the docs: what an operator sees."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

from tests.sql.places.files import BASE, at, meter, problems_of
from tests.support.commands import command
from tokenergy_sql.index.site import load_places
from tokenergy_sql.places import ROLES, Place, Places, Reading, roles_of
from tokenergy_sql.places.meterkeys import LossKeys, MeterKeys
from tokenergy_sql.places.puemodelkeys import PueModelKeys
from tokenergy_sql.places.units import BILLION, UNITS

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "site.toml"
KWH = 3_600_000 * 10**9


@pytest.fixture(scope="module")
def example() -> Places:
    return load_places(EXAMPLE)


def test_the_example_has_what_it_says(example: Places) -> None:
    tree = example.at(at("2026-03-01T00:00:00"))
    assert len(tree.of_kind("hall")) == 3
    assert len(tree.of_kind("module")) == 12
    assert len(tree.of_kind("rack")) == 95  # one of c4 is free until a rack moves there
    meters = example.meters.at(at("2026-06-01T00:00:00"))
    assert [one.id for one in meters.counted(roles_of("facility"))] == ["diesel", "grid"]
    assert len(meters.counted(roles_of("it", 2))) == 12
    cooling = [one.id for one in meters.counted(roles_of("cooling"))]
    assert cooling == ["cdu-b", "cdu-c", "chillers", "fans-a", "towers"]


def test_the_page_has_every_unit_role_and_key() -> None:
    page = (EXAMPLE.parents[1] / "places.md").read_text("utf-8")
    keys = (MeterKeys, LossKeys, PueModelKeys)
    for name in (*UNITS, *ROLES, *(name for one in keys for name in one.model_fields)):
        known = {"start": "from", "end": "until"}.get(name, name)
        assert f"`{known}`" in page, name


def test_the_examples_of_the_page_are_right() -> None:
    page = (EXAMPLE.parents[1] / "places.md").read_text("utf-8")
    blocks = [textwrap.dedent(one) for one in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)]
    assert len(blocks) == 5
    stands, metered, moves, loss, model = blocks
    assert problems_of(stands + metered) == []
    assert problems_of(stands + metered + moves) == []
    assert problems_of(stands + metered + loss) == []
    assert problems_of("[site]\npue = 1.3\n" + stands + metered + loss + model) == []


def test_the_rack_of_the_example_moves(example: Places) -> None:
    rack, node = Place("rack", "a4-r8"), Place("node", "gpu-a4-01")

    def hall(place: Place, text: str) -> str:
        return next((p.name for p in example.at(at(text)).path(place) if p.kind == "hall"), "-")

    for place in (rack, node):
        assert hall(place, "2026-05-01T07:14:59.999999") == "a"
        assert hall(place, "2026-05-01T07:15:00") == "-"
        assert hall(place, "2026-05-01T11:45:00") == "c"
    cooling = [
        spot and spot.cooling
        for spot in (example.at(at(day)).spot(rack) for day in ("2026-04-01", "2026-06-01"))
    ]
    assert cooling == ["air", "liquid"]
    assert example.edges(at("2026-05-01"), at("2026-05-02")) == [
        at("2026-05-01T07:15:00"),
        at("2026-05-01T11:45:00"),
    ]


def test_the_meter_of_the_example_is_replaced_and_rolls_over(example: Places) -> None:
    change = at("2026-02-03T10:12:00")
    before = Reading(change - 600_000_000, 3_911_170_000 * BILLION)
    after = Reading(change + 600_000_000, 30_000 * BILLION)
    found = example.meters.advance("pdu-a2", before, after)
    assert (found.evidence, found.value) == ("replaced", 64_118 * KWH // 1000)
    later = Reading(after.ts_us + 3_600_000_000, 20_000 * BILLION)
    assert example.meters.advance("pdu-a2", after, later).evidence == "fell"
    grid = [Reading(change, 99_999_999 * BILLION), Reading(change + 60_000_000, 1 * BILLION)]
    found = example.meters.advance("grid", *grid)
    assert (found.evidence, found.value) == ("rolled_over", 2 * 800 * KWH)


def test_the_command_shows_the_tree() -> None:
    code, out, err = command("tokenergy", "places", str(EXAMPLE), "--at", "2026-06-01")
    assert (code, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "Places as of 2026-06-01T00:00:00Z"
    rack = next(line for line in lines if "rack:b1-r1 " in line)
    assert [cell.strip() for cell in rack.split("│")] == [
        "rack:b1-r1", "liquid", "132", "18", "yes", "rack-b1-r1 (rack_in)",
    ]  # fmt: skip
    assert (
        "electricity metered, alone or by all parts: 1 of 1 site, 3 of 3 halls, 12 of 12 modules, "
        "1 of 95 racks, 0 of 36 nodes"
    ) in lines
    assert "facility: diesel + grid" in lines
    assert "it (PUE category 1): no meter" in lines
    assert "declared losses: ups-a1 at module:a1" in lines
    early = command("tokenergy", "places", str(EXAMPLE), "--at", "2026-02-03T11:12+01:00")[1]
    assert "the next change: 2026-03-02T09:20:00Z" in early


def test_it_meters_beside_each_other_are_named(tmp_path: Path) -> None:
    """The PDU of a module, and a rack inside it: nobody said that one feeds the other."""
    inner = meter("rack-1", 'place = "rack:r1"')
    for feeds, told in (("", True), ('\nfeeds = ["rack-1"]', False)):
        text = BASE + meter("pdu", f'place = "module:a1"{feeds}') + "\n" + inner
        (tmp_path / "site.toml").write_text(text)
        out = command("tokenergy", "places", str(tmp_path / "site.toml"))[1]
        line = "in the IT sum, pdu counts beside rack-1, inside its place: if pdu feeds it"
        assert (line in out) == told


def test_the_command_says_what_is_not_metered(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(BASE + meter("m", 'place = "rack:r1"'))
    code, out, _ = command("tokenergy", "places", "--lake", str(tmp_path))
    assert code == 0
    assert "not metered at all: site, hall:a, module:a1, rack:r2, hall:b, rack:r9\n" in out
    assert "no accuracy_percent, so no bounds: m\n" in out


def test_json_has_the_same(tmp_path: Path) -> None:
    words = ("places", str(EXAMPLE), "--at", "2026-06-01T00:00:00Z", "--format", "json")
    code, out, err = command("tokenergy", *words)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["at"] == "2026-06-01T00:00:00Z"
    racks = [one for one in found["places"] if one["place"].startswith("rack:")]
    assert len(racks) == 95
    (rack,) = [one for one in racks if one["place"] == "rack:a4-r8"]
    assert rack["path"] == ["site", "hall:c", "module:c4", "rack:a4-r8"]
    assert (rack["cooling"], rack["rated_mw"]) == ("liquid", 132_000_000)
    assert (rack["metered"], rack["metered_by"]) == ("around", ["pdu-c4"])
    (grid,) = [one for one in found["meters"] if one["id"] == "grid"]
    assert (grid["scale"], grid["sum"], grid["accuracy_percent"]) == ("800", "facility", "0.5")
    assert found["sums"]["facility"] == ["diesel", "grid"]
    assert found["sums"]["it"]["1"] == []
    assert found["losses"][0]["points_mw"][1] == [80_000_000, 4_400_000]
    assert found["next_change"] is None


def test_the_command_prints_every_problem_and_exits_with_2(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(BASE + '[[rack]]\nname = "x"\nhall = "q"\n' + meter("m", 'place = "hall:z"'))
    code, out, err = command("tokenergy", "places", str(path))
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"error: {path}: rack.2 (\"x\"): no [[hall]] is called 'q'; there are: a, b",
        f"error: {path}: meter.0 (\"m\"): no [[hall]] is called 'z'; there are: a, b",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--at", "noon"], "--at 'noon': expected an instant of the years 2000 to 2099, such as "),
        (["--at", "1999-12-31"], "--at '1999-12-31': expected an instant of the years 2000"),
        (["--format", "xml"], "--format 'xml': expected text or json"),
    ],
)
def test_options_that_are_none(words: list[str], message: str) -> None:
    code, out, err = command("tokenergy", "places", str(EXAMPLE), *words)
    assert (code, out) == (2, "")
    assert message in err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, _, err = command("tokenergy", "places", "--lake", str(tmp_path))
    assert code == 2
    assert err == f"error: {tmp_path}/site.toml: No such file or directory\n"
