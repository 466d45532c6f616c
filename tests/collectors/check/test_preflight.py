"""`tokenergy-collect check`: what is found on emulated hosts, good and bad; nothing is written."""

import shutil
import tomllib
from collections import namedtuple
from datetime import UTC, datetime

import pynvml
import pytest
from typer.testing import CliRunner

from tests.support.emulated import SMALL, small_profile
from tokenergy_collectors import cli
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.check import command, preflight
from tokenergy_collectors.emulate.profile.profile import Profile
from tokenergy_collectors.emulate.run.node import EmulatedNode
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.clock import kernel as hostclock
from tokenergy_collectors.sources.clock import source as clock_source
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml import findings as preflight_boards
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.tokens.settings import TokenSource

NOW_US = round(datetime(2026, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def look(tmp_path):
    """Look over an emulated host as if it were a real one; return the lines by subject."""

    def look(*, now_us=NOW_US, fail=(), emulated=False, board=None, **config):
        settings = {"lake": str(tmp_path / "lake"), "node": "n1", "learn_s": 1.0} | config
        clock = VirtualClock(now_us)
        with EmulatedNode(small_profile(**(board or {})), "n1", clock) as node:
            for index in fail:
                node.fail(index, pynvml.NVML_ERROR_GPU_IS_LOST)
            declared = node.allocations if emulated else None
            host = Host(settings["node"], clock, Log("text"), emulated=emulated, declared=declared)
            found = list(preflight.preflight(Config(**settings), host))
        assert not (tmp_path / "lake").exists()
        assert all("\n" not in str(finding) for finding in found)
        return found

    return look


def of(found, subject):
    return [(finding.level, finding.text) for finding in found if finding.subject == subject]


def levels(found):
    return {finding.level for finding in found}


def test_a_good_host(look, monkeypatch):
    monkeypatch.setattr(clock_source, "clock_state", lambda: hostclock.ClockState(True, 1_500))
    found = look()
    assert levels(found) == {"ok"}
    [who, readings, period] = [text for _, text in of(found, "gpu 2")]
    assert who.startswith("NVIDIA H100 80GB HBM3, GPU-")
    assert who.endswith("limit 700 W, MIG not supported") or who.endswith("MIG off")
    for word in ("instant 8", "average 8", "usage 8", "counter ", " J;", "utilization 0 %"):
        assert word in readings
    assert "processes 0 (uses instant)" in readings
    assert "100.0 ms" in period
    assert "driver 580" in of(found, "nvml")[0][1]
    assert of(found, "clock") == [
        ("ok", "2026-06-01 00:00:00 UTC, synchronised, at most 2 ms off"),
    ]


@pytest.mark.parametrize(
    ("unsupported", "level", "words"),
    [
        (["counter"], "warn", ["does not report: counter", "(uses instant)"]),
        (["instant"], "ok", ["does not report: instant", "(uses average_1s)"]),
        (["instant", "average"], "ok", ["usage", "(uses unknown)"]),
        (["instant", "average", "usage"], "warn", ["counter", "does not report: instant"]),
    ],
)
def test_readings_that_are_missing_are_named(look, unsupported, level, words):
    found = look(board={"unsupported": unsupported})
    told = of(found, "gpu 0")[1]
    assert told[0] == level
    for word in words:
        assert word in told[1]
    assert "FAIL" not in levels(found)


def test_boards_that_tell_nothing_at_all_fail(look):
    found = look(board={"unsupported": ["instant", "average", "usage", "counter"]})
    assert of(found, "gpu")[0][0] == "FAIL"
    assert of(found, "gpu 0")[1][0] == "warn"


def test_one_lost_board_is_a_warning_and_all_lost_a_failure(look):
    found = look(fail=[1])
    assert of(found, "nvml")[1] == ("warn", "GPU 1 cannot be opened: GPU is lost")
    assert "FAIL" not in levels(found)
    found = look(fail=range(4))
    assert of(found, "nvml") == [("FAIL", "GPU 0 cannot be opened: GPU is lost")]
    assert of(found, "lake")[0][0] == "ok"


def test_periods(look):
    slow = look(board={"update_us": 20_000}, rate_hz=10.0)
    assert of(slow, "gpu 0")[2][1].endswith(
        "20.0 ms; at rate_hz = 10 the collector misses some updates"
    )
    still = look(board={"ripple": 0.0})
    assert "not learned: the reading hardly changed" in of(still, "gpu 0")[2][1]
    assert "learn_s = 0" in of(look(learn_s=0.0), "gpu 0")[2][1]


@pytest.mark.parametrize("mode", [[1, 1], [0, 0]])
def test_mig_is_told(look, monkeypatch, mode):
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", lambda handle: mode)
    level, text = of(look(), "gpu 0")[0]
    expected = (
        ("warn", "MIG on (0 instances): power is measured for the whole board only")
        if mode[0]
        else ("ok", "MIG off")
    )
    assert (level, text[text.index("MIG") :]) == expected


def test_processes_in_another_pid_namespace_are_told(look, monkeypatch):
    assert of(look(), "pids") == [("ok", "no compute process is running now")]
    monkeypatch.setattr(Board, "processes", lambda board: [1, 4_194_999])
    [(level, text)] = of(look(), "pids")
    assert level == "warn"
    assert text.startswith("1 of 2 compute processes are not visible here, such as 4194999")
    monkeypatch.setattr(Board, "processes", lambda board: [1])
    assert of(look(), "pids")[0][0] == "ok"


def test_a_lake_that_cannot_be_used_fails(look, tmp_path):
    (tmp_path / "file").touch()
    assert of(look(lake=str(tmp_path / "file")), "lake")[0][0] == "FAIL"
    assert "not an object store" in of(look(lake="s3://b/x"), "lake")[0][1]
    assert of(look(node="x" * 400), "node")[0][0] == "FAIL"
    assert of(look(), "lake") == [("ok", f"{tmp_path / 'lake'} is writable (it will be created)")]


@pytest.mark.parametrize(
    ("free", "level"), [(10**12, "ok"), (100_000_000, "warn"), (1_000_000, "FAIL")]
)
def test_free_space_is_held_against_a_day(look, monkeypatch, free, level):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2 * free, free, free))
    [(found, text)] = of(look(), "disk")
    assert found == level
    assert "4 boards at 20 Hz" in text


def test_bytes_a_day():
    least, most = preflight.bytes_a_day(Config(lake="x", node="n"), 8)
    readings = 8 * 20 * 86_400
    assert most - least == pytest.approx(2.5 * readings)
    assert 5 * readings < most < 6 * readings


JOBS = "job_id,node,device,start,end\nj,{node},0,1768464002,\n"


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        (JOBS.format(node="n1"), "ok", "1 allocation, 1 on node n1"),
        (JOBS.format(node="n2"), "warn", "1 allocation, 0 on node n1"),
        ("rubbish", "FAIL", "jobs.csv"),
        (None, "FAIL", "no such file"),
    ],
)
def test_the_job_file_is_read(look, tmp_path, text, level, words):
    path = tmp_path / "jobs.csv"
    if text is not None:
        path.write_text(text)
    [(found, told)] = of(look(jobs_file=str(path)), "jobs")
    assert found == level
    assert words in told
    assert of(look(jobs_file=str(path), emulated=True), "jobs") == []


@pytest.mark.parametrize(
    ("body", "status", "level", "words"),
    [
        ("vllm:generation_tokens_total 5\n", 200, "ok", "vLLM; generated; 1 engine; no requests"),
        ("go_gc 5\n", 200, "warn", "name its counters in [tokens.mapping]"),
        ("", 404, "warn", "TensorRT-LLM /prometheus/metrics"),
    ],
)
def test_endpoints_are_scraped_once(look, endpoint, body, status, level, words):
    endpoint.body, endpoint.status = body, status
    source = TokenSource(source_id="chat", url=endpoint.url, job_id="j")
    [(found, text)] = of(look(tokens=(source,)), "tokens")
    assert (found, text.startswith(f"chat at {endpoint.url}: ")) == (level, True)
    assert text.endswith(words)


@pytest.mark.parametrize(
    ("now_us", "state", "level", "words"),
    [
        (0, None, "FAIL", "1970-01-01"),
        (NOW_US, None, "ok", "does not report"),
        (NOW_US, hostclock.ClockState(False, 16_000_000), "warn", "not synchronised"),
    ],
)
def test_the_clock(look, monkeypatch, now_us, state, level, words):
    monkeypatch.setattr(clock_source, "clock_state", lambda: state)
    [(found, text)] = of(look(now_us=now_us), "clock")
    assert found == level
    assert words in text


def test_the_kernel_is_asked_without_any_right():
    state = hostclock.clock_state()
    assert state is None or 0 <= state.max_error_us <= 60_000_000


def test_the_command(tmp_path, monkeypatch):
    profile = tmp_path / "small.toml"
    profile.write_text(SMALL)
    words = ["check", "--lake", str(tmp_path / "lake"), "--node", "n1", "--emulate", str(profile)]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert {line[:6] for line in lines} == {"ok    ", "warn  "}
    assert not (tmp_path / "lake").exists()
    monkeypatch.setattr(preflight_boards, "_fields", lambda board: dict.fromkeys(
        ("instant", "average", "counter")
    ))  # fmt: skip
    monkeypatch.setattr(preflight_boards, "_calls", lambda board: {"usage": None})
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 1
    assert any(line.startswith("FAIL  gpu ") for line in result.output.splitlines())


@pytest.mark.parametrize("emulated", [True, False])
def test_the_command_looks_with_the_cluster_of_the_configuration(tmp_path, monkeypatch, emulated):
    profile, config = tmp_path / "small.toml", tmp_path / "collect.toml"
    profile.write_text(SMALL)
    config.write_text(f'lake = "{tmp_path / "lake"}"\nnode = "n1"\ncluster = "north"\n')
    seen = []
    monkeypatch.setattr(command, "preflight", lambda _, host: seen.append(host.cluster) or ())
    found = command.check_host(
        config, lake=None, node=None, emulate=str(profile) if emulated else None
    )
    assert list(found) == []
    assert seen == ["north"]


@pytest.mark.parametrize(
    ("board", "level", "words"),
    [
        ({"module_rest_w": 300.0}, "ok", "also measures: module; its energy counter is the gpu's"),
        (
            {"module_rest_w": 300.0, "counter_scope": "module"},
            "warn",
            "also measures: module; its energy counter is the module's",
        ),
    ],
)
def test_what_a_board_meters_besides_itself_is_told(look, board, level, words):
    found = look(board=board)
    assert of(found, "gpu 0")[3:] == [(level, words)]
    assert len(of(look(), "gpu 0")) == 3


def test_a_board_cut_up_by_mig_is_told(look, monkeypatch):
    values = tomllib.loads(SMALL)
    values["nodes"]["n1"]["mig"] = {"1": ["1g.10gb", "2g.20gb"]}
    cut = Profile.model_validate(values)
    monkeypatch.setattr("tests.collectors.check.test_preflight.small_profile", lambda: cut)
    [who, readings, _] = of(look(), "gpu 1")
    assert who[0] == "warn"
    assert who[1].endswith("MIG on (2 instances): power is measured for the whole board only")
    assert "does not report: utilization" in readings[1]


def test_the_rate_that_is_learned_is_the_one_that_is_reckoned_with(look):
    fast = look(board={"update_us": 40_000})
    assert of(fast, "gpu 0")[2][1].endswith("40.0 ms")
    [(_, disk)] = of(fast, "disk")
    assert "(4 boards at 50 Hz," in disk
