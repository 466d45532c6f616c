"""The command as a user runs it: helps, one-line errors, exit codes, logs."""

import json
import logging
import os
import subprocess
import sys
import tomllib

import pytest
from typer.testing import CliRunner

from tokenergy_collectors import __version__, cli
from tokenergy_collectors.base.durations import parse_duration
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Formatter, Log
from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.daemon.supervise import NvmlLostError
from tokenergy_collectors.start import run_collector


def collect(*arguments, **options):
    command = [sys.executable, "-m", "tokenergy_collectors", *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "TOKENERGY_LAKE"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, **options
    )


@pytest.fixture
def guarded(monkeypatch, capsys):
    """Run the command in this process; return the exit code and the lines on standard error."""

    def guarded(*arguments):
        monkeypatch.setattr(sys, "argv", ["tokenergy-collect", *map(str, arguments)])
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.delenv("TOKENERGY_LAKE", raising=False)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, capsys.readouterr().err.splitlines()

    return guarded


def test_no_driver_is_one_line_and_exit_code_2(tmp_path):
    result = collect("run", "--lake", tmp_path / "lake", "--duration", "1s")
    if result.returncode == 0:
        pytest.skip("this machine has an NVIDIA driver")
    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("error: NVML cannot be started")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["options: lake"]),
        (["--lake", "s3://bucket/x"], ["not an object store"]),
        (["--lake", "{tmp}/file"], ["not a directory"]),
        (["--lake", "{tmp}/l", "--duration", "ten"], ["duration 'ten'", "90s, 2m or 1h"]),
        (["--lake", "{tmp}/l", "--duration", "0s"], ["duration '0s'"]),
        (["--lake", "{tmp}/l", "--duration", "9" * 400 + "s"], ["duration"]),
        (["--lake", "{tmp}/l", "--real-time"], ["need --emulate"]),
        (["--lake", "{tmp}/l", "--emulate", "nope"], ["nope", "demo"]),
        (["--lake", "{tmp}/l", "--emulate", "demo", "--node", "x"], ["'x'", "gpu-a, gpu-b"]),
        (["--config", "{tmp}/bad.toml"], ["bad.toml", "unknown key 'lakes' = 'x'", "allowed"]),
        (["--config", "{tmp}/none.toml"], ["none.toml", "No such file"]),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_exit_code_2(tmp_path, guarded, arguments, words):
    (tmp_path / "file").touch()
    (tmp_path / "bad.toml").write_text("lakes = 'x'\n")
    code, lines = guarded("run", *(a.format(tmp=tmp_path) for a in arguments))
    assert code == 2
    assert len(lines) == 1
    for word in ["error: ", *words]:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], ["options: lake"]),
        (["check", "--config", "{tmp}/bad.toml"], ["bad.toml", "unknown key 'lakes' = 'x'"]),
        (["check", "--lake", "{tmp}/l", "--emulate", "nope"], ["nope", "demo"]),
        (["check", "--lake", "{tmp}/l", "--emulate", "demo", "--node", "x"], ["gpu-a, gpu-b"]),
        (["config"], ["--example", "--config FILE"]),
        (["config", "--config", "{tmp}/bad.toml"], ["bad.toml", "unknown key"]),
        (["config", "--config", "{tmp}/none.toml"], ["No such file"]),
    ],
)
def test_check_and_config_refuse_in_one_line(tmp_path, guarded, arguments, words):
    (tmp_path / "bad.toml").write_text("lakes = 'x'\n")
    code, lines = guarded(*(a.format(tmp=tmp_path) for a in arguments))
    assert code == 2
    assert len(lines) == 1
    for word in ["error: ", *words]:
        assert word in lines[0]


def test_a_configuration_is_printed(tmp_path):
    runner, path = CliRunner(), tmp_path / "collect.toml"
    path.write_text("lake = 'x'\nrate_hz = 7\n")
    found = runner.invoke(cli.app, ["config", "--config", str(path), "--node", "n2"])
    assert found.exit_code == 0
    given = tomllib.loads(found.output)
    assert (given["lake"], given["node"], given["rate_hz"]) == ("x", "n2", 7.0)
    found = runner.invoke(cli.app, ["config", "--example"])
    assert "#rate_hz = 20.0" in found.output.splitlines()


@pytest.mark.parametrize("realtime_us", [7_000_000, 4_102_444_800_000_000])
def test_a_host_without_a_date_does_not_record(tmp_path, guarded, monkeypatch, realtime_us):
    monkeypatch.setattr(
        "tokenergy_collectors.base.clock.SystemClock.realtime_us", lambda clock: realtime_us
    )
    code, [line] = guarded("run", "--lake", tmp_path)
    assert code == 2
    assert "the clock of this host says" in line
    assert "2000 to 2099" in line


def test_a_check_without_a_driver_fails_and_goes_on(tmp_path):
    result = collect("check", "--lake", tmp_path / "lake")
    if result.returncode == 0:
        pytest.skip("this machine has an NVIDIA driver")
    assert (result.returncode, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith("FAIL  nvml ")] != []
    assert any(line.startswith("ok    lake ") for line in lines)
    assert not (tmp_path / "lake").exists()


def test_a_lost_nvml_is_one_line_and_exit_code_1(tmp_path, guarded, monkeypatch):
    def lost(*_, **__):
        raise NvmlLostError("NVML is lost")

    monkeypatch.setattr("tokenergy_collectors.start.run_collector", lost)
    assert guarded("run", "--lake", tmp_path) == (1, ["error: NVML is lost"])


def test_every_command_shows_an_example():
    runner = CliRunner()
    for words in (
        ["run"],
        ["check"],
        ["config"],
        ["import", "nvidia-smi"],
        ["import", "counters"],
        ["import", "jobs"],
    ):
        text = runner.invoke(cli.app, [*words, "--help"]).output
        assert "Example" in text
        assert f"tokenergy-collect {' '.join(words)}" in " ".join(text.split())
    lines = runner.invoke(cli.app, ["run", "--help"]).output.splitlines()
    examples = [line.strip() for line in lines if line.strip().startswith("tokenergy-collect ")]
    assert len(examples) == 3
    assert "tokenergy-collect run --lake ./lake --node gpu-a --emulate demo" in examples


def test_version():
    assert CliRunner().invoke(cli.app, ["--version"]).output.strip().endswith(__version__)


@pytest.mark.parametrize(
    ("text", "us"), [("90s", 90_000_000), ("2m", 120_000_000), ("1.5h", 5_400_000_000)]
)
def test_durations(text, us):
    assert parse_duration(text) == us


@pytest.mark.parametrize("text", ["", "5", "-1s", "1d", "0.0000001s", "1e3s", "nan s"])
def test_durations_that_are_none(text):
    with pytest.raises(UserError, match="duration"):
        parse_duration(text)


def test_logs_are_one_line_each(capsys):
    Log("text").warning("lost", why="a\r\n\x0bb", device="GPU-1")
    Log("json").info("start", node="n\n1", rows={"power": 1})
    text, structured = capsys.readouterr().err.splitlines()
    assert text.endswith(r' level=warning event=lost why="a\r\n\u000bb" device=GPU-1')
    told = json.loads(structured)
    assert (told["level"], told["event"], told["node"]) == ("info", "start", "n\n1")


def test_lines_of_libraries_have_the_form_of_the_log(capsys):
    Log("json")
    logging.getLogger("elsewhere").warning("%s is odd", "it")
    Log("text").info("source", success=True, last_success_us=None)
    notice, text = capsys.readouterr().err.splitlines()
    told = json.loads(notice)
    assert (told["event"], told["logger"], told["why"]) == ("notice", "elsewhere", "it is odd")
    assert text.endswith(" event=source success=true last_success_us=null")


def test_what_is_not_printable_is_escaped_and_a_line_stays_one(capsys):
    Log("text").warning("lost", why="a\x85b\u2028c\x9b31m", device="\u202e")
    [line] = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert r'why="a\u0085b\u2028c\u009b31m"' in line


def test_a_library_s_wrong_log_call_raises_nothing():
    record = logging.LogRecord("elsewhere", logging.WARNING, "", 0, "%d items", ("x",), None)
    assert json.loads(Formatter("json").format(record))["why"] == "%d items ('x',)"


def test_an_old_key_is_a_line_of_the_log_in_its_form(tmp_path, capsys):
    config = tmp_path / "collect.toml"
    config.write_text("log_format = 'json'\nwal_limit_mb = 7\n")
    run_collector(
        config, control=Control(), lake=str(tmp_path / "lake"), node="gpu-a", emulate="demo",
        duration="1s",
    )  # fmt: skip
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines[:2]] == ["config", "start"]
    assert "wal_limit_mb is now called wal_limit_mib" in lines[0]["why"]


def test_a_log_that_nobody_reads_stops_nothing(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        Log("text").info("start")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            gone.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), gone.fileno())
