"""A revised signal restates its own hours, and no others; average and marginal are never mixed."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.newsignals import SignalName, append_new
from tokenergy_sql import cli
from tokenergy_sql.index.pipeline import index, stale
from tokenergy_sql.index.site import load_site
from tokenergy_sql.revisions.diff import compare

HOURS = 2
SITE = "[site]\npue = 1.25\nhost_w = 400\n"
SIGNAL = '[[signal]]\ncarbon = "co2"\nkind = "average"\nprice = "eur"\n'
CO2, EUR = SignalName("co2", "carbon_average"), SignalName("eur", "price", currency="EUR")


def quarters(value, first=0, last=4 * HOURS):
    return [
        (T0 + n * HOUR_US // 4, T0 + (n + 1) * HOUR_US // 4, value(n), None)
        for n in range(first, last)
    ]


def add(lake, name, values, read_us):
    append_new(lake, name, values, "grid", "csv", read_us, {})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", node="n1", update_us=20 * S)
    builder.power("A", level(500_000, T0, T0 + HOURS * HOUR_US, 20 * S))
    builder.job("j", "A", T0, T0 + HOURS * HOUR_US)
    (builder.lake.root / "site.toml").write_text(SITE + SIGNAL)
    add(builder.lake, CO2, quarters(lambda n: 100_000 + n), T0)
    add(builder.lake, EUR, quarters(lambda n: 50_000), T0)
    builder.build(load_site(None, builder.lake.root))
    return builder.lake


def again(lake, site=SITE + SIGNAL):
    (lake.root / "site.toml").write_text(site)
    found = load_site(None, lake.root)
    waiting = stale(lake, found)
    causes = index(lake, found, progress=lambda _: None, catalog=False).causes
    assert waiting == causes  # `tokenergy stale` names what the index derives
    return causes


def names(lake, table):
    return [path.name for path in lake.files(table)]


def carbon(lake):
    rows = lake.read("job_signal_hour").to_pylist()
    return {row["hour_us"]: row["gpu_amount"] for row in rows if row["purpose"] == "carbon"}


def test_a_revised_value_restates_its_hour(lake):
    assert again(lake) == {}
    before = {table: names(lake, table) for table in ("ledger", "job_hour_index", "node_hour")}
    was = carbon(lake)
    # Read again: the same values, later. Nothing is stale, and nothing was written.
    add(lake, CO2, quarters(lambda n: 100_000 + n), T0 + 1)
    assert again(lake) == {}
    add(lake, CO2, quarters(lambda n: 200_000, 5, 6), T0 + 2)
    second = T0 + HOUR_US
    assert again(lake) == {second: ["signals"]}
    now = carbon(lake)
    assert now[T0] == was[T0]
    quarter_nj = 500_000 * HOUR_US // 4
    assert now[second] - was[second] == quarter_nj * (200_000 - 100_005) // 3_600_000_000_000
    # Nothing else follows from signals: all other books keep their bytes.
    assert {table: names(lake, table) for table in before} == before
    (moved,) = compare(lake, 1, 2).signals
    assert (moved.job_id, moved.quantity, moved.hours_us) == ("j", "carbon_average", [second])
    assert moved.amount_after > moved.amount_before
    shown = CliRunner().invoke(cli.app, ["diff", "--lake", str(lake.root)])
    assert "Carbon and cost that differ" in shown.output
    assert "0 jobs differ" in shown.output


def test_a_hole_that_comes_later(lake):
    add(lake, EUR, quarters(lambda n: None, 0, 1), T0 + 1)
    assert again(lake) == {T0: ["signals"]}
    rows = lake.read("job_signal_hour", [T0]).to_pylist()
    (price,) = (row for row in rows if row["purpose"] == "price")
    assert price["known_us"] == 3 * HOUR_US // 4
    assert price["gpu_known_nj"] * 4 == price["gpu_nj"] * 3


def test_an_entry_of_the_site_file_that_ends(lake):
    """From the second hour on another signal serves; the first hour is left alone."""
    second = "2026-01-15T09:00:00Z"
    ended = SIGNAL.replace("\nprice", f"\nuntil = {second}\nprice")
    after = f'[[signal]]\nfrom = {second}\ncarbon = "co2"\nkind = "average"\n'
    assert again(lake, SITE + ended + after) == {T0 + HOUR_US: ["signals"]}
    rows = lake.read("job_signal_hour").to_pylist()
    assert {(row["hour_us"], row["purpose"]) for row in rows} == {
        (T0, "carbon"), (T0, "price"), (T0 + HOUR_US, "carbon"),
    }  # fmt: skip
    # Within an hour, each has its part, and the parts add up to the job.
    half = "2026-01-15T08:20:00Z"
    split = SIGNAL.replace("\nprice", f"\nuntil = {half}\nprice")
    other = f'[[signal]]\nfrom = {half}\ncarbon = "other"\nkind = "average"\n'
    assert again(lake, SITE + split + other) == {T0: ["signals"], T0 + HOUR_US: ["signals"]}
    rows = [
        row for row in lake.read("job_signal_hour", [T0]).to_pylist() if row["purpose"] == "carbon"
    ]
    assert {row["signal"]: row["served_us"] for row in rows} == {
        "co2": HOUR_US // 3, "other": 2 * HOUR_US // 3,
    }  # fmt: skip
    (hour,) = lake.read("job_hour_index", [T0]).to_pylist()
    assert sum(row["gpu_nj"] for row in rows) == hour["e_gpu_nj"]
    assert sum(row["facility_nj"] for row in rows) == hour["e_facility_nj"]
    assert [row["gpu_amount"] for row in rows if row["signal"] == "other"] == [None]


def test_a_signal_that_the_lake_does_not_have_is_named(lake):
    text = SITE + SIGNAL + 'cfe = "typo"\n'
    (lake.root / "site.toml").write_text(text)
    found = index(lake, load_site(None, lake.root), progress=lambda _: None, catalog=False)
    (remark,) = found.remarks
    assert "no signal 'typo' (cfe_share)" in remark
    assert "co2 (carbon_average), eur (price)" in remark


def test_signals_that_are_taken_away_take_their_rows_away(lake):
    assert again(lake, SITE) == {T0: ["signals"], T0 + HOUR_US: ["signals"]}
    assert lake.files("job_signal_hour") == []
    done = CliRunner().invoke(cli.app, ["carbon", "--lake", str(lake.root)])
    assert (done.exit_code, "tokenergy-collect import signal" in str(done.exception)) == (1, True)


def test_average_and_marginal_are_never_added(lake):
    second = "2026-01-15T09:00:00Z"
    add(lake, SignalName("m", "carbon_marginal"), quarters(lambda n: 400_000), T0)
    ended = SIGNAL.replace("\nprice", f"\nuntil = {second}\nprice")
    after = f'[[signal]]\nfrom = {second}\ncarbon = "m"\nkind = "marginal"\n'
    again(lake, SITE + ended + after)
    runner = CliRunner()
    done = runner.invoke(cli.app, ["carbon", "--lake", str(lake.root)])
    assert "answer different questions and are never added: name one" in str(done.exception)
    sql = "SELECT sum(g) FROM carbon_by('all', 'all')"
    done = runner.invoke(cli.app, ["query", "--lake", str(lake.root), sql])
    assert "average and marginal carbon are never added" in str(done.exception)
    for kind in ("average", "marginal"):
        options = ["--lake", str(lake.root), "--kind", kind, "--format", "csv"]
        done = runner.invoke(cli.app, ["carbon", *options])
        assert done.exit_code == 0, done.output
        assert f"carbon_{kind}" in done.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('carbon = "a"', 'kind = "average"'),
        ('kind = "average"', "carbon, kind: expected both"),
        ('carbon = "a"\nkind = "both"', "kind"),
        ('contracted = "a"\ncontracted_kw = 3', "contracted, contracted_kw: expected one"),
        ("from = 2026-01-01T00:00:00Z", "expected carbon, price"),
        ('carbon = ["a", "b"]\nkind = "average"', "carbon"),
        (
            'carbon = "a"\nkind = "average"\n[[signal]]\ncarbon = "b"\nkind = "marginal"',
            "one is average and the other marginal: they answer different questions, and their "
            "emissions are never added",
        ),
        (
            'price = "a"\nuntil = 2026-03-01T00:00:00Z\n'
            '[[signal]]\nprice = "b"\nfrom = 2026-02-01T00:00:00Z',
            "price is a and b at the same time",
        ),
        ('contracted = "a"\n[[signal]]\ncontracted_kw = 3', "contracted is a and 3000000"),
    ],
)
def test_what_a_site_file_may_not_say(tmp_path, text, message):
    path = tmp_path / "site.toml"
    path.write_text(f"[[signal]]\n{text}\n")
    with pytest.raises(UserError) as caught:
        load_site(path, tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
