"""The explanation of a job: its numbers lead from the ledger's rows to the index."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.cli import app
from tokenergy_sql.explain.explain import explanation, print_explanation
from tokenergy_sql.explain.formulas import formulas
from tokenergy_sql.explain.text import print_text
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site

SITE = "[site]\npue = 1.237\nhost_w = 917.3\n[nodes.n2]\nhost_w = 1100.0\n"
START, END = T0 + HOUR_US - 300 * S, T0 + HOUR_US + 400 * S


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A job on boards of two nodes across an hour's edge, one without a counter and with a gap."""
    builder = LakeBuilder(tmp_path_factory.mktemp("raw") / "lake")
    for number, (name, node) in enumerate((("A", "n1"), ("B", "n2"), ("C", "n2"))):
        builder.device(name, node=node, index=number)
        readings = level(300_007 + number, START - 60 * S, END + 60 * S)
        if name == "B":
            readings = [r for r in readings if not START + 50 * S < r[0] < START + 90 * S]
        counters = {t: (t - T0) // S * 300_000 for t, _ in readings[::10]} if name == "A" else {}
        builder.power(name, readings, counters=counters, node=node)
    builder.job("job/1", "A", START, END, user="u", scheduler="slurm")
    builder.job("job/1", "B", START, END, node="n2", share_ppm=700_000)
    builder.tokens("job/1", [(t, (t - START) // S * 13) for t in range(START, END, 5 * S)])
    builder.tokens("job/1", [(START, 0), (END, 4_000)], kind="prompt_computed")
    builder.job("unbooked", "Z", START, END)
    (builder.lake.root / "site.toml").write_text(SITE)
    return builder.lake


@pytest.fixture(scope="module")
def lake(raw: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The same lake, indexed: nobody who takes it changes it."""
    root = shutil.copytree(raw.root, tmp_path_factory.mktemp("built") / "lake")
    return LakeBuilder(root).build(load_site(None, root))


def document(lake: Lake, job_id: str = "job/1") -> dict[str, Any]:
    shown = CliRunner().invoke(
        app, ["explain", job_id, "--lake", str(lake.root), "--format", "json"]
    )
    assert shown.exit_code == 0, shown.output
    found: dict[str, Any] = json.loads(shown.output)
    return found


def disagreements(formulas: list[dict[str, Any]]) -> list[str]:
    """Return the names of the formulas whose value is not that of the index."""
    return [row["name"] for row in formulas if not row["agrees"]]


def test_an_hours_edge_between_two_readings(tmp_path: Path) -> None:
    """The index bounds tokens from the job's own edges: closer than its hours are, and said so."""
    edge = T0 + HOUR_US
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(500_000, edge - 150 * S, edge + 150 * S, S))
    builder.job("j", "A", edge - 100 * S, edge + 100 * S)
    stamps = range(edge - 137 * S, edge + 141 * S, 7 * S)
    builder.tokens("j", [(ts, 13 * ((ts - edge) // S + 200)) for ts in stamps])
    found = document(builder.build(), "j")
    (usage,) = found["token_usage"]
    assert usage["low"] < found["index"]["n_low"]
    assert found["index"]["n_high"] < usage["high"]
    assert disagreements(found["formulas"]) == []
    texts = {row["name"]: row["formula"] for row in found["formulas"]}
    for name in ("n_low", "n_joint_low"):
        assert texts[name].endswith(f"the bounds of its hours add up to {usage['low']}")
    # A bound that its hours rule out is no such bound.
    for wrong in (usage["low"] - 1, usage["tokens"] + 1):
        found["index"]["n_low"] = wrong
        assert disagreements(formulas(found)) == ["n_low"]


def test_the_index_follows_from_the_parts_shown(lake: Lake) -> None:
    """Computed here from the parts alone, by arithmetic that shares nothing with the program."""
    shown = document(lake)
    (job,) = ask(lake, "SELECT * FROM job_index WHERE job_id = 'job/1'")
    ledger = shown["ledger"]
    energy = sum(row["energy_nj"] for row in ledger if row["energy_nj"] is not None)
    low, high = (sum(row[name] for row in ledger) for name in ("low_nj", "high_nj"))
    (tokens,) = (row for row in shown["token_usage"] if row["kind"] == "generated")
    assert job["te_gpu_out"] == pytest.approx(energy / 1e9 / tokens["tokens"], rel=1e-12)
    assert job["te_gpu_low"] == pytest.approx(low / 1e9 / tokens["high"], rel=1e-12)
    assert job["te_gpu_high"] == pytest.approx(high / 1e9 / tokens["low"], rel=1e-12)

    by_hour: dict[int, int] = {}
    for row in shown["hosts"]:
        host_nj = row["host_mw"] * row["watched_us"] * row["device_us"] // row["capacity_us"]
        assert host_nj == row["e_host_nj"]
        by_hour[row["hour_us"]] = by_hour.get(row["hour_us"], 0) + host_nj
    assert {hour["hour_us"] for hour in shown["hours"]} == set(by_hour) == {T0, T0 + HOUR_US}
    assert sum(hour["e_gpu_nj"] for hour in shown["hours"]) == energy
    facility = sum(
        (hour["e_gpu_nj"] + by_hour[hour["hour_us"]]) * shown["site"]["pue_ppm"] // 10**6
        for hour in shown["hours"]
    )
    assert job["tokenergy"] == pytest.approx(facility / 1e9 / tokens["tokens"], rel=1e-12)
    assert {row["host_mw"] for row in shown["hosts"]} == {917_300, 1_100_000}


def test_every_formula_agrees_with_the_index(lake: Lake) -> None:
    shown = document(lake)
    assert disagreements(shown["formulas"]) == []
    by_name = {row["name"]: row for row in shown["formulas"]}
    for name in ("te_gpu_out", "te_gpu_low", "te_gpu_high", "tokenergy", "te_low", "te_high"):
        row = by_name[name]
        energy, billion, divisor = row["formula"].split(" / ")
        inputs = row["inputs"]
        assert row["value"] == inputs[energy] / float(billion) / inputs[divisor]
        assert inputs[energy] == by_name[energy]["value"]
    assert by_name["te_low"]["value"] < by_name["tokenergy"]["value"] < by_name["te_high"]["value"]


def test_rows_and_files_are_those_of_the_lake(lake: Lake) -> None:
    shown = document(lake)
    names = ("job_files", "power_files", "token_files", "segment_files", "ledger_files")
    for name in names:
        assert shown[name]
        for row in shown[name]:
            assert (lake.root / row["file"]).is_file()
    power = [
        row
        for row in ask(lake, "SELECT ts_us FROM power WHERE device_id IN ('A', 'B')")
        if START <= row["ts_us"] <= END
    ]
    assert sum(row["rows"] for row in shown["power_files"]) == len(power)
    segments = [
        row
        for row in ask(lake, "SELECT * FROM segment WHERE device_id IN ('A', 'B')")
        if START <= row["start_us"] < row["end_us"] <= END
    ]
    assert sum(row["rows"] for row in shown["segment_files"]) == len(segments)
    energy = sum(row["energy_nj"] for row in segments)
    assert sum(row["energy_nj"] for row in shown["segment_files"]) == energy
    (booked,) = ask(lake, "SELECT count(*) AS n FROM ledger WHERE job_id = 'job/1'")
    assert sum(row["rows"] for row in shown["ledger"]) == booked["n"]
    assert sum(row["rows"] for row in shown["ledger_files"]) == booked["n"]
    assert sum(row["rows"] for row in shown["job_files"]) == 2
    assert {(r["device_id"], r["scheduler"], r["share_ppm"]) for r in shown["allocations"]} == {
        ("A", "slurm", 1_000_000),
        ("B", None, 700_000),
    }
    (counter,) = (row for row in shown["counters"] if row["kind"] == "generated")
    assert (counter["first_us"], counter["readings"]) == (START, 140)
    assert set(shown["reasons"]) == {"gap", "shared_estimate"}
    assert set(shown["methods"]) == {"counter", "samples", "missing"}


def test_revisions_show_when_and_why(lake: Lake, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(lake.root, tmp_path / "lake"))
    first = document(lake)
    assert [(h["revision"], h["causes"]) for h in first["hours"]] == [(1, ["new"]), (1, ["new"])]
    (lake.root / "site.toml").write_text(
        SITE + "[[period]]\nfrom = 2026-01-15T08:00:00Z\npue = 1.4\n"
    )
    index(lake, load_site(None, lake.root), [T0], progress=lambda _: None)
    second = document(lake)
    assert [(h["revision"], h["causes"]) for h in second["hours"]] == [(2, ["site"]), (1, ["new"])]
    # The later hour still has the old PUE, and the explanation computes it with that.
    assert [h["pue_ppm"] for h in second["hours"]] == [1_400_000, 1_237_000]
    assert second["site"]["pue_ppm"] is None
    assert disagreements(second["formulas"]) == []


def test_text_has_the_same_numbers(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    shown = document(lake)
    print_explanation(lake.root, "job/1", "text")
    text = capsys.readouterr().out
    for row in shown["formulas"]:
        if isinstance(row["value"], int):
            assert f"= {row['value']:,}" in text
    ratios = [row for row in shown["formulas"] if " / 1e9 / " in row["formula"]]
    assert len(ratios) == 6
    for row in ratios:
        energy_nj, tokens = row["inputs"].values()
        assert (
            f"   {row['name']} = {row['formula']}\n     = {energy_nj:,} / 1e9 / {tokens:,}" in text
        )
    for title in ("1. Alloc", "2. Read", "3. Seg", "4. Led", "5. Tok", "6. Bou", "7. The", "8. Ho"):
        assert title in text
    assert "DIFFERS" not in text
    shown["formulas"][0]["agrees"] = False
    print_text(shown)
    assert "DIFFERS" in capsys.readouterr().out


def test_text_says_which_phases_are_unknown_and_no_formula_twice(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = explanation(lake, "unbooked")
    shown["index"] |= {"workload": "inference", "phase_reasons": "few_windows"}
    print_text(shown)
    lines = capsys.readouterr().out.splitlines()
    said = lines.index("   prefill and decode: J per token not known, because")
    assert lines[said + 1].startswith("     few_windows: ")
    formulas = {row["formula"] for row in shown["formulas"]}
    assert any("unseen time" in text for text in formulas)
    assert not formulas & {line.strip().removeprefix("= ") for line in lines}


def test_many_devices_are_added_up(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    shown = document(lake)
    one = shown["ledger"][0]
    shown["ledger"] = [{**one, "device_id": f"D{k}"} for k in range(30)]
    print_text(shown)
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("30 devices"))
    assert f"{30 * one['energy_nj']:,}" in line


def test_a_job_that_was_never_metered(lake: Lake) -> None:
    shown = document(lake, "unbooked")
    assert shown["ledger"] == shown["power_files"] == []
    # claimed in hours of which others have readings: the time counts, and its energy is not known
    assert {hour["e_gpu_nj"] for hour in shown["hours"]} == {None}
    assert shown["index"]["unseen_us"] == shown["index"]["device_us"] > 0
    assert disagreements(shown["formulas"]) == []
    assert {"no_energy", "no_tokens"} <= set(shown["reasons"])
    run = CliRunner().invoke(app, ["explain", "unbooked", "--lake", str(lake.root)])
    assert run.exit_code == 0
    assert "e_gpu_nj = sum of ledger.energy_nj of the job\n     = not known" in run.output


def test_unknown_jobs_and_formats_get_one_line(raw: Lake, tmp_path: Path) -> None:
    lake = raw
    with pytest.raises(UserError, match=r"job 'job/1': is not indexed; run `tokenergy index`"):
        explanation(lake, "job/1")
    with pytest.raises(UserError, match=r"job 'job/2': not in the lake .*; did you mean job/1\?"):
        explanation(lake, "job/2")
    with pytest.raises(UserError, match="--format 'xml': expected text or json"):
        print_explanation(lake.root, "job/1", "xml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no jobs"):
        print_explanation(tmp_path / "empty", "x'; --", "text")
