"""`tokenergy-collect upload` and `check`, and what is wrong in a configuration."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support.emulated import SMALL
from tests.support.s3 import BUCKET
from tests.support.spooling import kill
from tests.support.uploading import files, fill
from tokenergy_collectors import cli
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.strict import load_toml
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.spool.spool import Spool
from tokenergy_collectors.upload.findings import upload_findings
from tokenergy_collectors.upload.opening import open_store
from tokenergy_collectors.upload.settings import Upload


@pytest.fixture
def lake(tmp_path):
    return fill(tmp_path / "lake")


def write(tmp_path, to, url=None, more=""):
    endpoint = f"endpoint_url = '{url}'\n" if url else ""
    path = tmp_path / "collect.toml"
    path.write_text(
        f"lake = '{tmp_path / 'lake'}'\nnode = 'n1'\n[upload]\nto = '{to}'\n{endpoint}{more}"
    )
    return path


def call(*words):
    return CliRunner().invoke(cli.app, list(map(str, words)))


def test_upload_brings_all_there_and_says_so(lake, wire, server, tmp_path):
    config = write(tmp_path, f"s3://{BUCKET}/x", wire.url)
    wire.cut()
    result = call("upload", "--config", config)
    assert result.exit_code == 1
    assert "error: event/date=2026-01-15/hour=08/n1-" in result.output
    assert "0 files (0.000 MB) verified, 6 still to upload" in result.output
    wire.mend()
    result = call("upload", "--config", config)
    assert (result.exit_code, result.output.splitlines()[-1][:8]) == (0, "6 files ")
    assert result.output.endswith("verified, 0 still to upload\n")
    server.download(tmp_path / "got", "x")
    assert files(tmp_path / "got") == files(lake.root)
    assert (
        call("upload", "--config", config).output
        == "0 files (0.000 MB) verified, 0 still to upload\n"
    )


def test_upload_seals_what_a_killed_daemon_left_but_not_under_a_living_one(lake, tmp_path):
    (tmp_path / "share").mkdir()
    config = write(tmp_path, tmp_path / "share")
    spool = Spool(lake, "n1", lambda *_: None)
    spool.add("clock", [(1_768_464_000_000_000 + i, "n1", 1, 2, 3, 1) for i in range(5)])
    spool.flush()
    assert call("upload", "--config", config).exit_code == 0
    assert len(files(tmp_path / "share")) == 6
    kill(spool)
    result = call("upload", "--config", config)
    assert "recovered: 5 rows over 0.000 s from the log" in result.output
    assert result.exit_code == 0
    assert len(files(tmp_path / "share")) == 8
    assert [r["kind"] for r in lake.read("event").to_pylist()][-1] == "recovered"


def test_upload_without_a_store_is_one_line(lake, tmp_path):
    config = tmp_path / "collect.toml"
    config.write_text(f"lake = '{lake.root}'\n")
    result = call("upload", "--config", str(config))
    assert isinstance(result.exception, UserError)
    assert "upload.to is not set" in str(result.exception)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("s3://key:secret@bucket/x", "upload.to: Value error, holds credentials"),
        ("gopher://x", "no such protocol; expected s3:// or a path"),
        ("memory://x", "memory cannot keep files"),
        ("{lake}", "is in the lake"),
        ("{lake}/copy", "is in the lake"),
        ("file://{lake}/copy", "is in the lake"),
    ],
)
def test_a_store_that_cannot_be_is_one_line(lake, tmp_path, to, words):
    path = write(tmp_path, to.format(lake=lake.root))
    with pytest.raises(UserError, match=words) as caught:
        open_store(load_toml(path, Config).upload, lake.root)
    assert "\n" not in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_without_the_driver_the_line_says_what_to_install(lake, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"s3fs is not installed; pip install 'tokenergy\[s3\]'"):
        open_store(Upload(to="s3://b/x"), lake.root)
    [finding] = upload_findings(Upload(to="s3://b/x"), lake.root)
    assert finding.level == "FAIL"


def found(to, url=None):
    upload = Upload(to=to, endpoint_url=url)
    return [(found.level, found.text) for found in upload_findings(upload, Path("/nowhere/lake"))]


def test_check_asks_the_store_and_writes_nothing(wire, server, tmp_path):
    to = f"s3://{BUCKET}/x"
    [(level, text)] = found(to, wire.url)
    assert (level, text.startswith(f"{to} answers (")) == ("ok", True)
    wire.cut()
    [(level, text)] = found(to, wire.url)
    assert level == "warn"
    assert "onnect" in text
    wire.mend()
    assert found("s3://nowhere/x", wire.url) == [("warn", "s3://nowhere/x: no bucket nowhere")]
    assert found(None) == []
    (tmp_path / "small.toml").write_text(SMALL)
    config = write(tmp_path, to, wire.url)
    result = call("check", "--config", config, "--emulate", tmp_path / "small.toml")
    assert result.exit_code == 0
    assert f"ok    upload    {to} answers (" in result.output
    assert server.names() == []
    assert not (tmp_path / "lake").exists()


def test_check_of_a_folder(tmp_path):
    share = tmp_path / "share"
    lake = tmp_path / "lake"

    def look():
        [finding] = upload_findings(Upload(to=str(share)), lake)
        return finding.level, finding.text.removeprefix(f"{share}: ")

    assert look() == ("warn", f"{share}: no such directory: is the share mounted?")
    share.mkdir()
    assert look() == ("warn", "on the lake's own disk: is the share mounted?")
    assert list(share.iterdir()) == []
