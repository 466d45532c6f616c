"""The hooks' folder: half lines, garbage, many files, and what is removed when."""

import time
from pathlib import Path

import pytest

from tests.collectors.sources.slurm.answers import answer
from tests.collectors.sources.slurm.rig import T0_US, Rig, S


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def names(rig):
    return sorted(path.name for path in rig.folder.iterdir())


def test_a_half_written_file_is_left_until_it_is_whole(rig):
    path = rig.hook("prolog", "17", "1")
    text = path.read_text()
    path.write_text(text[:40])
    rig.run(30)
    assert (rig.jobs(), rig.told()) == ([], [])
    path.write_text(text)
    rig.run(1)
    assert [row["job_id"] for row in rig.jobs()] == ["17"]


def test_a_line_that_is_cut_off_is_told_once_and_stays(rig):
    path = rig.hook("prolog", "17", "1")
    text = path.read_text()
    path.write_text(text[:-5])
    rig.run(300)
    [told] = rig.told()
    assert "its last line is cut off" in told
    assert names(rig) == [path.name]
    path.write_text(text)
    rig.run(61)
    assert [row["job_id"] for row in rig.jobs()] == ["17"]


def test_garbage_is_told_once_and_costs_no_job(rig):
    rig.scontrol.jobs["17"] = answer()
    rig.hook("prolog", "17", "1")
    bad = rig.folder / "0000.event"
    bad.write_bytes(b"\x00\xff\x1b[31m garbage\n" * 3)
    rig.run(660)
    [told] = rig.told()
    assert told.startswith("slurm: 0000.event: '\\x00")
    assert "\x1b" not in told
    assert "and 2 further lines of it" in told
    assert [row["job_id"] for row in rig.jobs()] == ["17"]
    assert "0000.event.bad" in names(rig)  # kept, and not read again


def test_ten_thousand_files_are_read_in_pieces(rig):
    for number in range(5_000):
        rig.hook("prolog", str(number), str(number % 4), number * 1e-3, name=f"{number:05}a.event")
        rig.hook("epilog", str(number), "", number * 1e-3 + 5e-4, name=f"{number:05}b.event")
    rig.source._asker._program = ""  # 10,000 answers are not the point here
    began_s = time.perf_counter()
    rig.run(0)
    once_s = time.perf_counter() - began_s
    assert len(rig.jobs()) == 50
    rig.run(50)
    assert len(rig.jobs()) == 5_000
    assert all(row["end_us"] - row["start_us"] == 500 for row in rig.jobs())
    # One look takes a part of them, in a thread of its own.
    assert once_s < 1
    assert (rig.health["slurm"].succeeded, rig.told()) == (True, [])


def test_ten_thousand_lines_of_one_file_are_read_too(rig):
    lines = []
    for number in range(5_000):
        for event, after_s in (("prolog", 0), ("epilog", 5e-4)):
            path = rig.hook(event, str(number), str(number % 4), number * 1e-3 + after_s)
            lines.append(path.read_text())
            path.unlink()
    rig.source._asker._program = ""
    (rig.folder / "all.event").write_text("".join(lines))
    rig.run(1)
    assert len({row["job_id"] for row in rig.raw}) == 5_000


def test_files_go_when_the_lake_has_what_they_told(rig):
    rig.scontrol.jobs["17"] = answer()
    rig.hook("prolog", "17", "1")
    rig.run(70)
    assert len(names(rig)) == 1  # recorded, and not sealed yet
    rig.seal()
    rig.hook("epilog", "17", "1", 65.0)
    rig.run(60)
    assert len(names(rig)) == 2  # the end is not in the lake
    rig.seal()
    rig.run(60)
    assert names(rig) == []
    assert rig.jobs()[0]["end_s"] == 65.0


def test_files_that_told_nothing_go_after_ten_minutes(rig):
    rig.hook("prolog", "17")
    rig.run(599)
    assert len(names(rig)) == 1
    rig.run(120)
    assert names(rig) == []


def test_reading_everything_again_changes_nothing(rig):
    rig.scontrol.jobs["17"] = answer(gres="shard:1(IDX:1)")
    rig.hook("prolog", "17", "1", user="ada")
    rig.hook("epilog", "17", "1", 3.0)
    rig.run(10)
    rig.seal()
    rig.scontrol.jobs["17"] = None  # Slurm has forgotten it: its name and share stay
    rig.start(T0_US + 1_000 * S)
    rig.run(30)
    assert (rig.raw, rig.told()) == ([], [])
    rig.run(660)
    assert names(rig) == []


def test_a_folder_that_cannot_be_listed_later_is_a_failure(rig):
    rig.run(1)
    rig.folder.rmdir()
    rig.folder.touch()
    rig.run(2)
    assert rig.health["slurm"].succeeded is False
    assert rig.health["slurm"].failures > 1


def test_files_that_cannot_be_removed_are_a_failure_and_nothing_else(rig, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    rig.hook("prolog", "17")
    monkeypatch.setattr(Path, "unlink", refuse)
    rig.run(720)
    assert rig.health["slurm/files"].succeeded is False
    assert rig.health["slurm"].succeeded is True
