"""A bucket is swapped by one writer, and a store that is away for a moment stops nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.s3 import BUCKET, Server, Wire, set_environment
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.objects.bucket import Bucket, ChangedError, Object

Make = Callable[..., Bucket]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def make(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Make:
    """Open the objects below a prefix of the test's own, by the server's address or another."""
    set_environment(monkeypatch)

    def opened(address: str = server.url, patience_s: float = 30.0) -> Bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        return Bucket(f"s3://{BUCKET}/{tmp_path.name}", patience_s)

    return opened


def test_objects_are_listed_read_and_removed(make: Make, tmp_path: Path) -> None:
    bucket = make()
    names = ["power/date=1/hour=00/a b.parquet", "power/date=2/hour=00/ü.parquet", "lake.json"]
    for number, name in enumerate(names):
        bucket.put(name, b"x" * number)
    assert bucket.level("") == (["power"], ["lake.json"])
    assert bucket.level("power/") == (["date=1", "date=2"], [])
    found = bucket.below("power/date=2/")
    assert [(one.name, one.size) for one in found] == [(names[1], 1)]
    assert found[0] == Object(names[1], 1, found[0].etag, found[0].modified_ns)
    bucket.fetch(names[1], tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"x"
    bucket.remove([*names, "was never there"])
    assert bucket.level("") == ([], [])
    assert bucket.read("lake.json") is None
    with pytest.raises(FileNotFoundError):
        bucket.fetch("lake.json", tmp_path / "nothing")


def test_more_than_a_page_is_listed_whole(make: Make) -> None:
    bucket = make()
    with ThreadPoolExecutor(8) as pool:
        deque = list(pool.map(lambda n: bucket.put(f"t/{n:04d}", b""), range(1_050)))
    assert len(deque) == 1_050
    assert [one.name for one in bucket.below("t/")] == [f"t/{n:04d}" for n in range(1_050)]
    bucket.remove([one.name for one in bucket.below("t/")])
    assert bucket.below("t/") == []


def test_of_writers_that_read_the_same_one_wins(make: Make) -> None:
    bucket = make()
    etag = bucket.swap("list", b"0", None)
    start = threading.Barrier(6)

    def swap(number: int) -> bool:
        start.wait()
        try:
            bucket.swap("list", f"{number}".encode(), etag)
        except ChangedError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        won = [number for number, done in enumerate(pool.map(swap, range(1, 7)), 1) if done]
    assert len(won) == 1
    found = bucket.read("list")
    assert found is not None
    assert found[0] == f"{won[0]}".encode()


def test_a_first_list_is_put_by_one(make: Make) -> None:
    bucket = make()
    etag = bucket.swap("list", b"mine", None)
    with pytest.raises(ChangedError):
        bucket.swap("list", b"theirs", None)
    # The answer to the first try was lost: it is found to have been done.
    assert bucket.swap("list", b"mine", None) == etag


def test_a_store_that_is_away_for_a_moment_is_asked_again(make: Make, server: Server) -> None:
    wire = Wire(server.port)
    bucket = make(wire.url)
    bucket.put("here", b"1")
    wire.cut()
    back = threading.Timer(1.0, wire.mend)
    back.start()
    try:
        assert bucket.read("here") == (b"1", bucket.below("here")[0].etag)
    finally:
        back.join()
        wire.cut()


def test_a_store_that_stays_away_is_one_line(make: Make, server: Server) -> None:
    wire = Wire(server.port)
    bucket = make(wire.url, 0.5)
    wire.cut()
    with pytest.raises(UserError, match=f"lake {bucket.url}: does not answer: ") as failed:
        bucket.read("list")
    assert isinstance(failed.value.__cause__, ConnectionError)


def test_what_a_store_refuses_is_not_asked_again(
    make: Make, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    with pytest.raises(UserError, match="there is no bucket elsewhere"):
        Bucket("s3://elsewhere/lake").below("")
    with pytest.raises(UserError, match="expected s3://"):
        Bucket("gs://bucket/lake")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(UserError, match="credentials"):
        Bucket(f"s3://{BUCKET}/lake").below("")
