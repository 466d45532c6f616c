"""A server for all tests of the folder, and a lake of two hours in a folder and in the server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import late
from tests.support.s3 import Server
from tests.support.stored import StoredLake, use
from tokenergy_collectors.lake import Lake


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The lake in a folder, with segments and books."""
    lake = late.fleet(tmp_path_factory.mktemp("whole") / "lake", hours=late.HOURS[:2]).lake
    late.books(lake)
    return lake


@pytest.fixture
def make(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], StoredLake]:
    """Make lakes in the server, each with nothing in it."""
    use(server, tmp_path / "work", monkeypatch)
    numbers = itertools.count()
    return lambda: StoredLake(server, f"{tmp_path.name}-{next(numbers)}")


@pytest.fixture
def raw(make: Callable[[], StoredLake], whole: Lake) -> StoredLake:
    """The same lake in the server, with its raw files alone."""
    stored = make()
    stored.put(whole.root, *late.RAW)
    return stored
