"""The index made again: the same bytes of the same inputs, and what corrected inputs say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tests.support.serving import serving
from tokenergy_sql.index import hour as hourly
from tokenergy_sql.index.site import Constants, Site

SITE = Site(pue_ppm=1_250_000, host_mw=1_000_000, node_host_mw={})


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    return LakeBuilder(tmp_path / "lake")


def files_of(builder: LakeBuilder) -> dict[str, bytes]:
    root = builder.lake.root
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
    }


def test_running_again_changes_no_byte(builder: LakeBuilder) -> None:
    serving(builder)
    builder.build(SITE)
    before = files_of(builder)
    builder.build(SITE)
    assert files_of(builder) == before


def test_a_corrected_job_list_restates_the_past(builder: LakeBuilder) -> None:
    serving(builder)
    builder.build(SITE)
    builder.job("j", "j A", T0 + 10 * S, T0 + 30 * S, recorded_us=T0 + 1, node="j")
    (job,) = ask(builder.build(SITE), "SELECT e_gpu_j FROM job_index")
    assert job["e_gpu_j"] == 4_000


def test_digest_follows_inputs_and_site(builder: LakeBuilder) -> None:
    serving(builder)
    sql = "SELECT inputs_digest FROM job_index"
    first = ask(builder.build(SITE), sql)
    corrected = replace(SITE, periods=((T0, Constants(1_300_000, None, {})),))
    back = replace(SITE, periods=((T0, Constants(1_250_000, None, {})),))
    assert ask(builder.build(corrected), sql) != first
    assert ask(builder.build(back), sql) == first
    builder.power("j A", level(200_000, T0 + 101 * S, T0 + 102 * S), node="j")
    assert ask(builder.build(SITE), sql) != first


def test_what_has_lost_its_reason_goes(builder: LakeBuilder) -> None:
    serving(builder)
    builder.tokens("other", [(T0 + 5 * HOUR_US, 0), (T0 + 5 * HOUR_US + S, 9)], source_id="o")
    lake = builder.build(SITE)
    assert len(lake.hours("job_hour_index")) == 2
    for path in lake.files("tokens", [T0 + 5 * HOUR_US]):
        path.unlink()
    builder.build(SITE)
    assert lake.hours("job_hour_index") == [T0]
    assert [r["job_id"] for r in ask(lake, "SELECT job_id FROM job_index")] == ["j"]


def test_the_models_of_an_hour_get_the_tokens_of_that_hour_alone(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[set[int]] = []
    store_rows = hourly.store_rows

    def noted(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
        if name == "token_usage":
            stored.append(set(rows["hour_us"].to_pylist()))
        store_rows(con, name, rows)

    monkeypatch.setattr(hourly, "store_rows", noted)
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 3 * HOUR_US, 10 * S))
    builder.job("j", "A", T0, T0 + 3 * HOUR_US)
    builder.tokens("j", [(T0, 0), (T0 + 3 * HOUR_US, 3_000)])
    lake = builder.build()
    assert stored == [{T0}, {T0 + HOUR_US}, {T0 + 2 * HOUR_US}]
    workloads = ask(lake, "SELECT DISTINCT workload, n_generated FROM job_index")
    assert workloads == [{"workload": "inference", "n_generated": 3_000}]
