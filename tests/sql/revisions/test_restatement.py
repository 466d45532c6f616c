"""History restated: only hours whose inputs changed are derived anew, and what was is kept."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake, published
from tokenergy_sql.cli import app
from tokenergy_sql.index.pipeline import Indexed, index
from tokenergy_sql.index.site import Site
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.diff import compare
from tokenergy_sql.revisions.recorder import Recorder
from tokenergy_transforms.aggregate import aggregate, worklist

DAY_US = 24 * HOUR_US
NO_SITE = Site(None, None, {})
HOURS = 4


def _filled(root: Path, hours: int) -> LakeBuilder:
    """Two boards over some hours; one job in the first two of them, one in all; aggregated."""
    builder = LakeBuilder(root)
    end_us = T0 + hours * HOUR_US
    for number, name in enumerate("AB"):
        builder.device(name, index=number)
        builder.power(name, level(200_000 + 1_000 * number, T0, end_us, S))
    builder.job("short", "A", T0 + 60 * S, T0 + 2 * HOUR_US - 60 * S)
    builder.job("long", "B", T0 + 60 * S, end_us - 60 * S)
    for job in ("short", "long"):
        builder.tokens(job, [(T0 + k * 600 * S, 1_000 * k) for k in range(6 * hours)])
    _aggregate(builder.lake)
    return builder


@pytest.fixture(scope="module")
def aggregated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _filled(tmp_path_factory.mktemp("aggregated") / "lake", HOURS).lake.root


@pytest.fixture(scope="module")
def indexed(aggregated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same lake after the first run of the index."""
    root = shutil.copytree(aggregated, tmp_path_factory.mktemp("indexed") / "lake")
    _index(Lake(root))
    return root


@pytest.fixture
def builder(indexed: Path, tmp_path: Path) -> LakeBuilder:
    """A copy of the indexed lake, to be corrected."""
    return LakeBuilder(shutil.copytree(indexed, tmp_path / "lake"))


@pytest.fixture(scope="module")
def restated(
    indexed: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[dict[str, int]]]:
    """A lake whose first job was corrected twice, and the jobs' energies at each revision."""
    builder = LakeBuilder(shutil.copytree(indexed, tmp_path_factory.mktemp("restated") / "lake"))
    states = [_energies(builder.lake.files("job_hour_index"))]
    for number, end_us in enumerate((T0 + 1800 * S, T0 + 6600 * S)):
        builder.job("short", "A", T0 + 60 * S, end_us, recorded_us=T0 + DAY_US + number)
        _aggregate(builder.lake)
        _index(builder.lake)
        states.append(_energies(builder.lake.files("job_hour_index")))
    return builder.lake.root, states


def _aggregate(lake: Lake) -> None:
    for hour, node in worklist(lake):
        aggregate(lake, hour, node, 10 * S, "cpu")


def _index(lake: Lake, site: Site = NO_SITE) -> Indexed:
    return index(lake, site, progress=lambda _: None, catalog=False)


def _digests(lake: Lake, tables: tuple[str, ...] = revisions.REVISED_TABLES) -> dict[str, str]:
    paths = [path for table in tables for path in lake.files(table)]
    return {
        path.relative_to(lake.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def _energies(paths: list[Path]) -> dict[str, int]:
    import pyarrow.parquet as pq

    found: dict[str, int] = {}
    for path in paths:
        rows = pq.ParquetFile(path).read(columns=["job_id", "e_gpu_nj"]).to_pylist()
        for row in rows:
            found[row["job_id"]] = found.get(row["job_id"], 0) + int(row["e_gpu_nj"] or 0)
    return found


def test_running_twice_changes_nothing(aggregated: Path, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(aggregated, tmp_path / "lake"))
    first = _index(lake)
    assert set(first.causes) == {T0 + k * HOUR_US for k in range(HOURS)}
    assert all(causes == ["new"] for causes in first.causes.values())
    before = {p: p.stat().st_mtime_ns for p in lake.files("ledger")}
    again = _index(lake)
    assert (again.causes, again.revision) == ({}, None)
    assert {p: p.stat().st_mtime_ns for p in lake.files("ledger")} == before
    assert [m.number for m in revisions.manifests(lake)] == [1]


def test_a_corrected_job_restates_the_hours_it_touches_alone(builder: LakeBuilder) -> None:
    lake = builder.lake
    before = _digests(lake)
    # Three days later: the job had ended ten minutes earlier, in the second hour.
    ended = T0 + 2 * HOUR_US - 660 * S
    builder.job("short", "A", T0 + 60 * S, ended, recorded_us=T0 + 3 * DAY_US)
    _aggregate(lake)
    done = _index(lake)
    touched = T0 + HOUR_US
    assert set(done.causes) == {touched}
    assert done.causes[touched] == ["jobs", "segments", "tokens"]
    after = _digests(lake)
    changed = {path for path in after if after[path] != before.get(path)}
    assert {path for path in changed if "/job_index/" not in path} <= {
        path for path in after if "hour=09" in path
    }
    assert any(path.startswith("books/ledger/") for path in changed)
    found = compare(lake, 1, 2)
    # The other job bears a part of what nobody holds any more, which is no figure of its own.
    assert [job.job_id for job in found.moved] == ["short"]
    moved = found.moved[0]
    assert moved.hours_us == [touched]
    assert "jobs" in moved.causes
    assert moved.j_before == pytest.approx(200 * (2 * 3600 - 120))
    assert moved.j_after == pytest.approx(200 * (2 * 3600 - 120 - 600))
    assert len(found.untouched) == HOURS - 1
    assert found.touched == [touched]


def test_earlier_states_can_be_put_together_again(
    restated: tuple[Path, list[dict[str, int]]],
) -> None:
    lake, states = Lake(restated[0]), restated[1]
    assert len({state["short"] for state in states}) == 3
    for number, state in enumerate(states, start=1):
        assert _energies(revisions.files_at(lake, number, "job_hour_index")) == state
    assert revisions.files_at(lake, 0, "job_hour_index") == []
    with pytest.raises(UserError, match="revision 4: expected 0 to 3"):
        revisions.files_at(lake, 4, "job_hour_index")


def test_dropped_revisions_are_told(
    restated: tuple[Path, list[dict[str, int]]], tmp_path: Path
) -> None:
    lake = Lake(shutil.copytree(restated[0], tmp_path / "lake"))
    assert revisions.drop_before(lake, 1) > 0
    assert _energies(revisions.files_at(lake, 2, "job_hour_index"))["short"]
    with pytest.raises(UserError, match="revision 2 replaced have been dropped"):
        revisions.files_at(lake, 1, "job_hour_index")


def test_the_cause_is_named(builder: LakeBuilder) -> None:
    lake = builder.lake
    done = _index(lake, Site(1_250_000, 500_000, {}))
    assert all(causes == ["site"] for causes in done.causes.values())
    assert len(done.causes) == HOURS
    builder.tokens("short", [(T0 + 700 * S, 5_000)], source_id="late")
    builder.tokens("short", [(T0 + 1_900 * S, 9_000)], source_id="late")
    done = _index(lake, Site(1_250_000, 500_000, {}))
    assert done.causes[T0] == ["tokens"]
    assert T0 + 3 * HOUR_US not in done.causes
    moved = {job.job_id: job for job in compare(lake, 2, 3).moved}
    assert set(moved) == {"short"}
    assert (moved["short"].tokens_after or 0) - (moved["short"].tokens_before or 0) == 4_000


def test_a_device_heard_of_again_restates_nothing(builder: LakeBuilder) -> None:
    lake = builder.lake
    builder.device("A", index=0, ts_us=T0 + 2 * DAY_US)
    assert _index(lake).causes == {}
    builder.device("A", index=0, ts_us=T0 + 3 * DAY_US, name="another board", counter_us=5_000)
    assert _index(lake).causes == {}


def test_a_job_that_goes_on_restates_nothing(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A")
    builder.power("A", level(200_000, T0, T0 + 2 * HOUR_US, S))
    builder.job("j", "A", T0, None)
    _aggregate(builder.lake)
    _index(builder.lake)
    ended_us = T0 + 2 * HOUR_US - 60 * S
    builder.job("j", "A", T0, ended_us, recorded_us=T0 + DAY_US)
    _aggregate(builder.lake)
    assert set(_index(builder.lake).causes) == {T0 + HOUR_US}


def test_what_has_gone_is_derived_again(builder: LakeBuilder) -> None:
    """Each hour that lacks a table, whichever it is, and no other hour."""
    lake = builder.lake
    before = _digests(lake)
    for gone in ({0: "ledger", 2: "token_usage"}, {1: "job_hour_index", 3: "job_efficiency"}):
        for number, table in gone.items():
            lake.files(table, [T0 + number * HOUR_US])[0].unlink()
        assert _index(lake).causes == {T0 + number * HOUR_US: ["gone"] for number in gone}
        assert _digests(lake) == before


def test_a_run_that_is_cut_short_is_taken_up(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = builder.lake
    first = _energies(lake.files("job_hour_index"))
    builder.job("long", "B", T0 + 60 * S, T0 + 9_000 * S, recorded_us=T0 + DAY_US)
    _aggregate(lake)
    real, calls = Recorder.write, []

    def killed(self: Recorder, *args: Any) -> None:
        calls.append(args)
        if args[2] != calls[0][2]:  # in the second of two hours
            raise KeyboardInterrupt
        real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            _index(lake)
    assert _energies(lake.files("job_hour_index")) == first
    assert len(_index(lake).causes) == 1, "the first hour is derived already"
    assert [m.number for m in revisions.manifests(lake)] == [1, 2]
    assert len(revisions.manifests(lake)[-1].hours) == 2
    assert _energies(revisions.files_at(lake, 1, "job_hour_index")) == first
    anew = shutil.copytree(lake.root, lake.root.parent / "anew")
    shutil.rmtree(anew / published.FOLDER)
    shutil.rmtree(anew / revisions.FOLDER)
    _index(Lake(anew))
    assert _digests(Lake(anew)) == _digests(lake)


def test_what_a_killed_writer_left_is_removed(builder: LakeBuilder) -> None:
    lake = builder.lake
    left = lake.files("ledger", [T0])[0].with_name(".ledger.12345.tmp")
    left.write_bytes(b"half a file")
    builder.job("short", "A", T0 + 60 * S, T0 + 600 * S, recorded_us=T0 + DAY_US)
    _aggregate(lake)
    _index(lake)
    assert not left.exists()


def test_commands(tmp_path: Path) -> None:
    builder = _filled(tmp_path / "lake", 2)
    lake, run = builder.lake, CliRunner()
    root = str(lake.root)
    result = run.invoke(app, ["index", "--lake", root])
    assert "2 jobs; 2 of 2 hours derived (new 2); revision 1" in result.output
    result = run.invoke(app, ["index", "--lake", root])
    assert "2 jobs; nothing has changed in 2 hours" in result.output
    result = run.invoke(app, ["index", "--lake", root, "--all"])
    assert "2 of 2 hours derived (requested 2); the same as before" in result.output
    builder.job("short", "A", T0 + 60 * S, T0 + HOUR_US + 3000 * S, recorded_us=T0 + DAY_US)
    _aggregate(lake)
    run.invoke(app, ["index", "--lake", root])
    result = run.invoke(app, ["diff", "--lake", root])
    assert "Revision 1 to 2: 1 job differs" in result.output
    assert "short" in result.output
    assert "jobs" in result.output
    assert "1 differ, 1 are the same" in result.output
    assert "Revisions" in run.invoke(app, ["revisions", "--lake", root]).output
