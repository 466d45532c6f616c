"""Runs are numbered, and a later run has a larger number whatever the clock says."""

from pathlib import Path

from tokenergy_collectors.spool.folder import FOLDER, LogFolder

MINUTE_US = 60_000_000
YEAR_2000_S = 946_684_800
NOW_US = 1_768_464_000_000_000


def run(root: Path, realtime_us: int) -> int:
    folder = LogFolder(root, "n1")
    try:
        return folder.next_run(realtime_us)
    finally:
        folder.close()


def test_a_run_at_the_same_time_and_one_before_it_have_larger_numbers(tmp_path: Path) -> None:
    first = run(tmp_path, NOW_US)
    again = run(tmp_path, NOW_US)
    back = run(tmp_path, NOW_US - 1000 * MINUTE_US)
    assert first < again < back


def test_numbers_grow_where_the_folder_was_lost(tmp_path: Path) -> None:
    first = run(tmp_path, NOW_US)
    (tmp_path / FOLDER / "n1" / "run").unlink()
    assert run(tmp_path, NOW_US + MINUTE_US) > first


def test_a_damaged_number_is_no_reason_to_stop(tmp_path: Path) -> None:
    first = run(tmp_path, NOW_US)
    (tmp_path / FOLDER / "n1" / "run").write_text("what")
    assert run(tmp_path, NOW_US + MINUTE_US) > first


def test_a_folder_that_takes_no_file_is_no_reason_to_stop(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path, "n1")
    (tmp_path / FOLDER / "n1" / "run.new").mkdir()
    assert folder.next_run(NOW_US) == NOW_US // 1_000_000 - YEAR_2000_S
    folder.close()


def test_the_same_time_run_again_is_the_same_run(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path, "n1")
    assert len({folder.next_run(NOW_US, replay=True) for _ in range(3)}) == 1
    assert folder.next_run(NOW_US + 30_000_000, replay=True) > folder.next_run(NOW_US, replay=True)
    folder.close()
