"""A lake that the version before the published list wrote: read as it is, migrated, corrected."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.books import run
from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.published import BOOKS, FOLDER, list_path
from tokenergy_collectors.lake.version import FORMAT, format_of
from tokenergy_sql.revisions import revisions

DATA = Path(__file__).parents[2] / "data"
FIGURES = json.loads((DATA / "lake_format2.json").read_text("utf-8"))
"""`job_index` as that version printed it."""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Four hours of three nodes; the second revision corrected a job."""
    with tarfile.open(DATA / "lake_format2.tar.xz") as archive:
        archive.extractall(tmp_path / "lake", filter="data")
    return Lake(tmp_path / "lake")


def figures(lake: Lake) -> list[dict[str, Any]]:
    """Return `job_index`, but for the versions that made it, in the columns that there were."""
    code, lines = run(lake.root, "query", "--format", "json", "FROM job_index ORDER BY job_id")
    assert code == 0
    rows = json.loads("\n".join(lines))
    return [{name: row[name] for name in FIGURES[0]} | {"index_version": ""} for row in rows]


EXPECTED = [row | {"index_version": ""} for row in FIGURES]


def test_it_is_read_as_it_is(lake: Lake) -> None:
    before = {path: path.read_bytes() for path in lake.root.rglob("*.parquet")}
    assert figures(lake) == EXPECTED
    code, lines = run(lake.root, "check")
    assert code == 0, lines
    assert len(revisions.files_at(lake, 1, "job_hour_index")) == 4
    assert run(lake.root, "diff")[0] == 0
    assert {path: path.read_bytes() for path in lake.root.rglob("*.parquet")} == before
    assert not list_path(lake.root).exists()


def test_it_is_migrated_to_the_same_figures(lake: Lake) -> None:
    old = {path for table in BOOKS for path in lake.files(table)}
    code, lines = run(lake.root, "migrate")
    assert code == 0, lines
    assert format_of(lake.root) == FORMAT
    assert figures(lake) == EXPECTED
    assert run(lake.root, "check")[0] == 0
    assert not [path for path in old if path.exists()], "none that an old pattern would still find"
    assert all(path.is_relative_to(lake.root / FOLDER) for path in lake.files("ledger"))
    kept = revisions.files_at(lake, 2, "job_index")
    assert all(f"/{revisions.BEFORE}/" in str(path) for path in kept)
    assert run(lake.root, "diff", "--from", "2", "--to", "3")[0] == 0
    code, lines = run(lake.root, "diff", "--from", "1", "--to", "3")
    assert (code, "job n1" in "\n".join(lines)) == (0, True)
    code, lines = run(lake.root, "migrate")
    assert (code, "nothing to migrate" in "\n".join(lines)) == (0, True)


def test_a_correction_of_one_hour_leaves_the_others_where_they_are(lake: Lake) -> None:
    """The list then names files of both forms."""
    more = {"node": "n3", "recorded_us": T0 + 2 * 86_400 * S}
    LakeBuilder(lake.root).job("job n3", "n3 A", T0, T0 + 400 * S, **more)
    hour = ("--hour", "2026-01-15T08")
    assert run(lake.root, "index", *hour)[0] == 0
    forms = [path.is_relative_to(lake.root / FOLDER) for path in lake.files("ledger")]
    assert forms == [True, False, False, False]
    found = {row["job_id"]: row for row in figures(lake)}
    assert found["job n3"]["e_gpu_nj"] == 400 * 400 * 1_000_000_000
    assert found["job n2"]["e_gpu_nj"] == EXPECTED[1]["e_gpu_nj"]
    assert run(lake.root, "check")[0] == 0
