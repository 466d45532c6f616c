"""`tokenergy host-model`: what it learns from hours that are made by a known rule, and prints."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOST_HOUR
from tokenergy_sql.index.site import load_site
from tokenergy_sql.terminal.hostfit import Hours, fitted, hours_of, learned
from tokenergy_sql.terminal.hostmodel import print_host_model

Row = dict[str, Any]
BASE_W, PER_CPU, PER_GPU = 300.0, 1.1, 0.05


def row(node: str, hour: int, rng: np.random.Generator, **more: Any) -> Row:
    """An hour of a node that follows the rule, but for 5 W either way."""
    cpu_w, gpu_w = rng.uniform(100, 600), rng.uniform(500, 5_000)
    host_w = BASE_W + PER_CPU * cpu_w + PER_GPU * gpu_w + rng.uniform(-5, 5)
    nj = {"cpu_nj": cpu_w, "boards_nj": gpu_w, "host_nj": host_w}
    nj |= {"host_low_nj": host_w - 20, "host_high_nj": host_w + 20}
    found = {
        "node": node,
        "hour_us": T0 + hour * HOUR_US,
        "method": "measured",
        "watched_us": HOUR_US,
        "covered_us": HOUR_US,
        **{name: round(w * 3_600) * 10**9 for name, w in nj.items()},
        "input_us": HOUR_US,
        "cpu_us": HOUR_US,
        "index_version": "",
        "inputs_digest": "",
    }
    return {**found, **more}


def rows(nodes: int = 3, hours: int = 40, **more: Any) -> Iterator[Row]:
    rng = np.random.default_rng(1)
    for node in range(nodes):
        for hour in range(hours):
            yield row(f"n{node}", hour, rng, **more)


def lake_of(root: Path, found: list[Row]) -> Lake:
    lake = Lake(root / "lake", create=True)
    schema = HOST_HOUR.schema()
    full = [{name: one.get(name) for name in schema.names} for one in found]
    for hour_us in sorted({one["hour_us"] for one in full}):
        of_hour = [one for one in full if one["hour_us"] == hour_us]
        lake.replace(
            "host_hour", pa.Table.from_pylist(of_hour, schema=schema), hour_us, "host_hour"
        )
    return lake


def test_it_finds_the_rule_and_how_far_it_is_off() -> None:
    found = fitted(hours_of(rows()))
    model = found.model
    assert model.base_mw == pytest.approx(300_000, abs=5_000)
    assert model.cpu_ppm == pytest.approx(1_100_000, abs=15_000)
    assert model.gpu_ppm == pytest.approx(50_000, abs=1_500)
    # 5 W and a tenth; the 99th percentile of a few hours more is near the end.
    assert 4_500 < model.below_mw < 7_000
    assert 4_500 < model.above_mw < 7_000
    assert model.input_ppm == pytest.approx(1e6 * 20 / (BASE_W + 110 + 1.05 * 500), rel=0.4)
    assert 60_000 > model.cpu_least_mw > 40_000
    assert 640_000 < model.cpu_most_mw < 660_000
    assert (found.hours, found.nodes) == (120, 3)
    assert len(found.errors_mw) == 36
    assert np.abs(found.errors_mw).max() < 7_000
    assert found.inside > 0.9


def test_hours_that_were_not_measured_throughout_teach_nothing() -> None:
    good = [*rows(2, 30)]
    bad = [
        {**one, **change, "host_nj": 10**18}
        for change in (
            {"method": "declared"},
            {"covered_us": HOUR_US - 1},
            {"watched_us": 10**9, "covered_us": 10**9},
            {"cpu_nj": None},
        )
        for one in rows(1, 20)
    ]
    assert fitted(hours_of([*good, *bad])).model == fitted(hours_of(good)).model


def test_without_processors_the_model_follows_the_boards() -> None:
    found = fitted(hours_of(rows(cpu_nj=None)))
    assert (found.model.cpu_ppm, found.processors) == (0, False)
    assert found.model.gpu_ppm > 0


def test_no_coefficient_is_negative() -> None:
    """A host that draws less while its boards draw more."""
    falling = [
        {**one, "host_nj": 10**15 * 3 - one["boards_nj"] // 10, "cpu_nj": 3_600 * 10**9}
        for one in rows()
    ]
    model = fitted(hours_of(falling)).model
    assert min(model) >= 0
    assert model.gpu_ppm == 0


def test_a_node_that_differs_widens_the_bounds_only_if_nodes_are_left_out() -> None:
    """With three nodes, one is 50 W above the others: the bounds hold it."""
    other = [
        {**one, "host_nj": one["host_nj"] + 50 * 3_600 * 10**9} if one["node"] == "n2" else one
        for one in rows()
    ]
    assert learned(hours_of(other)).above_mw > 45_000


def test_too_few_hours_are_refused(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [*rows(1, 47)])
    with pytest.raises(UserError, match="47 node-hours were measured throughout: 48 needed"):
        print_host_model(lake, [], (None, None))


def test_what_it_prints_is_what_the_site_file_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = lake_of(tmp_path, [*rows()])
    print_host_model(lake, ["n{0..1}"], (T0, T0 + 30 * HOUR_US))
    text = capsys.readouterr().out
    assert text.startswith("# Learned from 60 node-hours of 2 metered nodes.\n")
    assert "#   measured less modelled, W: least " in text
    (model,) = tomllib.loads(text)["host_model"]
    assert model["nodes"] == ["n{0..1}"]
    (lake.root / "site.toml").write_text(text, "utf-8")
    declared = load_site(None, lake.root).host_models
    assert [*declared] == ["n0", "n1"]
    same = fitted(hours_of(one for one in rows(2, 40) if one["hour_us"] < T0 + 30 * HOUR_US))
    assert declared["n0"] == same.model._asdict()
    assert json.loads(json.dumps(declared)) == declared


def test_nodes_by_their_full_names_and_ranges_that_are_none(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [*rows()])
    print_host_model(lake, ["n0.example.org", "n1"], (None, None))
    with pytest.raises(UserError, match="--nodes"):
        print_host_model(lake, ["n{9..1}"], (None, None))
    with pytest.raises(UserError, match="0 node-hours"):
        print_host_model(lake, ["other"], (None, None))


def test_a_meter_without_an_accuracy_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = lake_of(tmp_path, [*rows(host_high_nj=None, host_low_nj=0)])
    print_host_model(lake, [], (None, None))
    text = capsys.readouterr().out
    assert "No accuracy is declared" in text
    assert "input_percent = 0.0" in text
    assert "nodes =" not in text


def test_hours_keep_their_order() -> None:
    hours = hours_of(rows(1, 5))
    assert isinstance(hours, Hours)
    assert hours.where(hours.hour_us > T0 + 2 * HOUR_US).hour_us.tolist() == [
        T0 + 3 * HOUR_US,
        T0 + 4 * HOUR_US,
    ]
