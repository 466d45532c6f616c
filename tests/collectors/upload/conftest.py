from contextlib import suppress

import pytest

from tests.support.s3 import BUCKET, Server, Wire, set_environment


@pytest.fixture(scope="session")
def s3_server():
    server = Server().start()
    yield server
    server.kill()


@pytest.fixture
def server(s3_server, monkeypatch):
    """A server with an empty bucket."""
    set_environment(monkeypatch)
    fs = s3_server.fs()
    with suppress(FileNotFoundError):
        for name in fs.find(BUCKET):
            fs.call_s3("delete_object", Bucket=BUCKET, Key=name.removeprefix(f"{BUCKET}/"))
    return s3_server


@pytest.fixture
def wire(server):
    wire = Wire(server.port)
    yield wire
    wire.cut()
