"""What --out names: files whole or not at all, links followed, FIFOs and devices written to."""

import os
import stat
import threading
from pathlib import Path

import pytest

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.output import OutputError, is_stdout, write_text, writing


def left_over(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_file_is_replaced_whole_and_keeps_its_permissions(tmp_path):
    out = tmp_path / "it's [a] \\ *.csv"
    write_text("one", out)
    out.chmod(0o604)
    before = out.stat().st_ino
    write_text("two", out)
    assert out.read_text() == "two"
    assert out.stat().st_ino != before
    assert stat.S_IMODE(out.stat().st_mode) == 0o604
    assert left_over(tmp_path) == []


def test_a_failure_leaves_what_was_there(tmp_path):
    out = tmp_path / "x"
    out.write_text("old")

    def fail():
        with writing(out) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert out.read_text() == "old"
    assert left_over(tmp_path) == []


def test_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old").write_text("old")
    for name, target in (("a", "real/old"), ("b", "real/new"), ("c", "b")):
        (tmp_path / name).symlink_to(target)
    for name, target in (("a", "old"), ("c", "new"), ("b", "new")):
        write_text(name, tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "real" / target).read_text() == name
    assert left_over(tmp_path) == left_over(tmp_path / "real") == []


def test_a_fifo_is_written_to(tmp_path):
    out, found = tmp_path / "pipe", []
    os.mkfifo(out)
    (tmp_path / "link").symlink_to(out)
    for name in ("pipe", "link"):
        reader = threading.Thread(target=lambda: found.append(out.read_text()))
        reader.start()
        write_text(name, tmp_path / name)
        reader.join(10)
        assert stat.S_ISFIFO(out.stat().st_mode)
    assert found == ["pipe", "link"]
    assert left_over(tmp_path) == []


def test_a_fifo_whose_reader_goes(tmp_path):
    out = tmp_path / "pipe"
    os.mkfifo(out)
    reader = threading.Thread(target=lambda: out.open("rb").close())
    reader.start()
    with pytest.raises(OutputError) as caught:
        write_text("x" * 1_000_000, out)
    assert caught.value.closed_pipe
    reader.join(10)


def test_devices_are_written_to():
    write_text("x", Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(UserError, match="/dev/full: cannot be written: No space left on device"):
        write_text("x", Path("/dev/full"))
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_an_open_descriptor_is_written_to_at_its_place(tmp_path):
    with (tmp_path / "log").open("w+") as log:
        log.write("before\n")
        log.flush()
        for name in (f"/dev/fd/{log.fileno()}", f"/proc/self/fd/{log.fileno()}"):
            write_text("ours\n", Path(name))
        log.seek(0)
        assert log.read() == "before\nours\nours\n"
    read, write = os.pipe()
    write_text("piped", Path(f"/dev/fd/{write}"))
    assert os.read(read, 99) == b"piped"
    os.close(read)
    with pytest.raises(OutputError) as caught:
        write_text("piped", Path(f"/dev/fd/{write}"))
    assert caught.value.closed_pipe
    os.close(write)
    with pytest.raises(UserError, match="Bad file descriptor"):
        write_text("x", Path(f"/dev/fd/{write}"))


def test_standard_output_by_its_names(tmp_path):
    (tmp_path / "out").symlink_to("/dev/stdout")
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", tmp_path / "out"):
        assert is_stdout(Path(name)), name
    for name in ("/dev/stderr", "/dev/null", "1", "/proc/1/fd/1", tmp_path / "none"):
        assert not is_stdout(Path(name)), name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".", "expected a file name in an existing folder"),
        ("none/x", "expected a file name in an existing folder"),
        ("file/x", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("to-none", "expected a file name in an existing folder"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_written_is_one_line(tmp_path, name, says):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to-none").symlink_to("none/x")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match=f"cannot be written: {says}") as caught:
        write_text("x", tmp_path / name)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
