"""Files of the hooks: whole lines are events, half ones wait, others are told."""

import os
from pathlib import Path

import pytest

from tokenergy_collectors.sources.slurm.hookfile import event_files, parse_line, read_events

LINE = "tokenergy-slurm-1\tevent=prolog\ttime=1768464000.123456789\tjob=17\tgpus=0\tend"


def test_a_line_is_an_event():
    event = parse_line(LINE)
    assert (event.kind, event.wall_us) == ("prolog", 1_768_464_000_123_456)
    assert (event.job_id, event.gpus, event.restart, event.visible) == ("17", "0", 0, "")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no line of tokenergy-hook.sh"),
        (LINE.removesuffix("\tend"), "no line of tokenergy-hook.sh"),
        (LINE.replace("slurm-1", "slurm-2"), "no line of tokenergy-hook.sh"),
        (LINE.replace("prolog", "dialog"), "names no event or no job"),
        (LINE.replace("job=17", "job=17_1"), "names no event or no job"),
        (LINE.replace("job=17", "job=\u0661"), "names no event or no job"),
        (LINE.replace("time=1768464000", "time=0"), "2000 to 2099"),
        (LINE.replace("time=1768464000.123456789", "time=nan"), "2000 to 2099"),
        (LINE.replace("time=1768464000.123456789", "time=1e999999"), "2000 to 2099"),
        ("\x00\x1b[31m\xff", "'\\x00\\x1b[31m"),
    ],
)
def test_what_is_no_event_is_told(line, why):
    with pytest.raises(ValueError, match=why.replace("[", r"\[").replace("\\x", r"\\x")):
        parse_line(line)


def test_the_first_field_of_a_name_counts():
    assert parse_line(LINE.replace("\tend", "\tjob=9\tend")).job_id == "17"


def test_a_line_without_its_end_is_not_whole(tmp_path):
    path = tmp_path / "a.event"
    for cut in range(len(LINE)):
        path.write_text(LINE[:cut])
        assert read_events(path).whole is False
        assert read_events(path).events == []
    path.write_text(LINE + "\n" + LINE)
    assert (len(read_events(path).events), read_events(path).whole) == (1, False)
    path.write_text(LINE + "\n")
    assert (len(read_events(path).events), read_events(path).whole) == (1, True)


def test_garbage_costs_no_other_line_of_its_file(tmp_path):
    (tmp_path / "a.event").write_bytes(b"\xff\x00\n" + LINE.encode() + b"\n")
    found = read_events(tmp_path / "a.event")
    assert (len(found.events), len(found.bad), found.whole) == (1, 1, True)
    (tmp_path / "b.event").write_bytes(b"x" * (1 << 20) + b"x\n")
    assert "larger than 1 MiB" in read_events(tmp_path / "b.event").bad[0]


def test_links_pipes_and_folders_are_not_followed(tmp_path):
    (tmp_path / "link.event").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.event")
    (tmp_path / "folder.event").mkdir()
    (tmp_path / "other.bad").touch()
    assert event_files(tmp_path) == ["folder.event", "link.event", "pipe.event"]
    handles = len([*Path("/proc/self/fd").iterdir()])
    for name in ("link.event", "folder.event"):
        with pytest.raises(OSError, match=r"symbolic links|directory"):
            read_events(tmp_path / name)
    assert read_events(tmp_path / "pipe.event").whole is False
    assert len([*Path("/proc/self/fd").iterdir()]) == handles
