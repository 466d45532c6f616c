"""One log: what is whole is read, whatever happened to the file, and nothing else."""

import errno
import os

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.spool.wal import LogWriter, UnreadableLogError, read_log

SCHEMA = TABLES["clock"].schema()
SIZES = (1, 3, 2)


def batch(first, count):
    rows = [
        dict.fromkeys(SCHEMA.names, first + i) | {"node": f"node-{first + i}"} for i in range(count)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def write(path, sizes=SIZES, *, close=True):
    """Write batches; return the offsets at which each is whole, and the bytes."""
    writer, ends, first = LogWriter(path, "clock", SCHEMA), [], 0
    for size in sizes:
        writer.write(batch(first, size))
        ends.append(writer.size)
        first += size
    if close:
        writer.close()
    return ends, path.read_bytes()


def stamps(log):
    return log.rows["ts_us"].to_pylist()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("log") / "a.arrows")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "b.arrows"


def test_a_closed_log_is_a_plain_stream_of_arrow(tmp_path):
    path = tmp_path / "a.arrows"
    write(path)
    assert pa.ipc.open_stream(path.read_bytes()).read_all()["ts_us"].to_pylist() == [*range(6)]
    log = read_log(path, SCHEMA)
    assert (stamps(log), log.closed, log.cut_bytes) == ([*range(6)], True, 0)


def test_what_was_written_is_there_without_a_close(tmp_path):
    path = tmp_path / "a.arrows"
    write(path, close=False)
    log = read_log(path, SCHEMA)
    assert (stamps(log), log.closed, log.cut_bytes) == ([*range(6)], False, 0)


def test_cut_anywhere_the_whole_batches_are_left(written, damaged):
    ends, data = written
    for cut in range(len(data)):
        damaged.write_bytes(data[:cut])
        whole = [end for end in ends if end <= cut]
        try:
            log = read_log(damaged, SCHEMA)
        except UnreadableLogError:
            assert 0 < cut < 500, "only where not even the columns are told"
            continue
        assert stamps(log) == [*range(sum(SIZES[: len(whole)]))], cut
        assert not log.closed
        assert log.cut_bytes == cut - (whole[-1] if whole else 0)


@given(st.data())
def test_bytes_that_changed_never_make_a_row(written, damaged, data):
    """As after a loss of power: zeros or old blocks anywhere, the length right or not."""
    _, whole = written
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.binary(min_size=1, max_size=64) | st.just(bytes(512)))
    damaged.write_bytes(whole[:at] + other + whole[at + len(other) :])
    try:
        found = stamps(read_log(damaged, SCHEMA))
    except UnreadableLogError:
        return
    assert found == [*range(len(found))]


def test_every_bit_of_a_batch_counts(written, damaged):
    ends, data = written
    source = pa.BufferReader(data)
    pa.ipc.open_stream(source).read_next_batch()
    for at in range(500, ends[0]):
        damaged.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = stamps(read_log(damaged, SCHEMA))
        if at < source.tell():
            assert found == [], at
        else:  # in the mark; what no reader looks at may be anything
            assert found in ([], [0], [*range(6)]), at


@pytest.mark.parametrize(
    "junk", [b"\0" * 4096, b"junk", b"PAR1" * 100, b"\xff\xff\xff\xff\0\0\0\0"]
)
def test_what_is_no_log_is_told(tmp_path, junk):
    path = tmp_path / "a.arrows"
    path.write_bytes(junk)
    with pytest.raises(UnreadableLogError, match="not a log") as caught:
        read_log(path, SCHEMA)
    assert "\n" not in str(caught.value)


def test_a_log_of_other_columns_is_told(tmp_path):
    write(tmp_path / "a.arrows")
    with pytest.raises(UnreadableLogError, match="not those of this version"):
        read_log(tmp_path / "a.arrows", TABLES["event"].schema())


def test_an_empty_file_holds_no_rows(tmp_path):
    path = tmp_path / "a.arrows"
    path.touch()
    assert read_log(path, SCHEMA).rows.num_rows == 0


@pytest.mark.parametrize("batches", [0, 1])
def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch, batches):
    path, real = tmp_path / "a.arrows", os.pwrite
    writer = LogWriter(path, "clock", SCHEMA)
    for number in range(batches):
        writer.write(batch(number, 1))
    before = path.read_bytes()

    def half(fd, data, at):
        if len(data) > 300:
            return real(fd, data[:300], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space"):
        writer.write(batch(7, 2))
    assert path.read_bytes() == before
    assert (writer.size, writer.rows) == (len(before), batches)
    monkeypatch.setattr(os, "pwrite", real)
    writer.write(batch(8, 1))
    writer.close()
    log = read_log(path, SCHEMA)
    assert (stamps(log), log.closed) == ([*range(batches), 8], True)


def test_a_disk_too_full_for_the_end_leaves_an_interrupted_log(tmp_path, monkeypatch):
    writer = LogWriter(tmp_path / "a.arrows", "clock", SCHEMA)
    writer.write(batch(0, 1))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    writer.close()
    log = read_log(writer.path, SCHEMA)
    assert (stamps(log), log.closed, log.cut_bytes) == ([0], False, 0)
