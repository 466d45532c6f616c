"""The daemon end to end: an emulated node, a virtual clock, and what lies in the lake after."""

import threading
import time
from itertools import pairwise

import pynvml
import pytest

from tests.support.clocks import SteppedClock
from tests.support.daemon import T0, Run, S
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, TABLES
from tokenergy_collectors.sources.tokens.settings import TokenSource

CHAT_END_US = 41_234_567
EDGES_US = (3_000_001, 5 * S, CHAT_END_US, 50 * S, 60 * S)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("lake"), roll_s=20)
    run.counts = run.run(60 * S)
    return run


def devices(run):
    return sorted(r["device_id"] for r in run.rows("device"))


def test_files_follow_the_contract(whole):
    import pyarrow.parquet as pq

    for table in ("power", "device", "state", "tokens", "jobs", "clock", "event"):
        files = whole.lake.files(table)
        assert files, table
        for path in files:
            assert pq.read_schema(path).names == TABLES[table].column_names
    assert len(whole.lake.files("power")) == 3


def test_readings_at_10_hz(whole):
    for device in devices(whole):
        stamps = [r["ts_us"] for r in whole.rows("power", device_id=device)]
        assert stamps == sorted(set(stamps))
        assert (stamps[0], stamps[-1]) == (T0, T0 + 60 * S)
        assert max(b - a for a, b in pairwise(stamps)) <= S
        grid = {T0 + t for t in range(0, 60 * S + 1, S // 10)} | {T0 + t for t in EDGES_US}
        assert set(stamps) <= grid
        assert len(stamps) > 100


def test_counters_at_edges_and_about_once_a_second(whole):
    for device in devices(whole):
        rows = whole.rows("power", device_id=device)
        counted = [r["ts_us"] - T0 for r in rows if r["energy_mj"] is not None]
        assert {0, *EDGES_US} <= set(counted)
        spacings = [b - a for a, b in pairwise(counted)]
        # A reading an edge is about to take is left to it.
        assert max(spacings) < 2 * S
        assert len([b for b in spacings if b > 1.1 * S]) <= len(EDGES_US)
        assert len(counted) < 60 + 2 * len(EDGES_US)
        energies = [r["energy_mj"] for r in rows if r["energy_mj"] is not None]
        assert energies == sorted(energies)


def test_tokens_at_edges_and_on_the_grid(whole):
    chat = whole.rows("tokens", source_id="n1/chat", kind="generated")
    stamps = [r["ts_us"] - T0 for r in chat]
    assert stamps == sorted(set(stamps))
    assert CHAT_END_US in stamps
    assert {10 * S, 15 * S, 20 * S} <= set(stamps)
    assert {r["job_id"] for r in chat} == {"chat"}
    assert {r["model"] for r in chat} == {"m-8b"}
    assert {r["since_us"] for r in chat} == {T0 + 5 * S}
    assert {r["kind"] for r in whole.rows("tokens", source_id="n1/train")} == {"trained"}
    keys = [(r["ts_us"], r["source_id"], r["kind"]) for r in whole.rows("tokens")]
    assert len(keys) == len(set(keys))


def test_devices_jobs_clocks_states_and_events(whole):
    found = whole.rows("device")
    assert [r["index"] for r in sorted(found, key=lambda r: r["index"])] == [0, 1, 2, 3]
    assert all(r["emulated"] and r["update_us"] == 100_000 for r in found)
    assert sorted(r["job_id"] for r in whole.rows("jobs")) == ["chat", "chat", "held", "train"]
    assert all(r["recorded_us"] == T0 for r in whole.rows("jobs"))
    assert [r["ts_us"] for r in whole.rows("clock")] == [T0, T0 + 60 * S]
    # The two servers end with their jobs.
    assert [r["kind"] for r in whole.rows("event")] == [
        *("start", "tokens_lost", "tokens_lost", "stop")
    ]
    assert len(whole.rows("state")) == 4 * 61
    asked = [r for r in whole.rows("state") if r["pids"] is not None]
    assert len(asked) == 4 * 13
    assert whole.counts == {"event": 1}  # the roll at the end of the run took the rest


def test_running_again_adds_no_rows(whole, tmp_path):

    counts = {table: len(whole.rows(table)) for table in ("jobs", "power", "device", "tokens")}
    again = Run(whole.lake.root, roll_s=20)
    again.run(60 * S)
    assert {table: len(whole.rows(table)) for table in counts} == counts
    later = Run(whole.lake.root, start_us=T0 + 24 * HOUR_US)
    later.run(S)
    assert len(whole.rows("jobs")) == counts["jobs"] + 4


def test_an_hour_is_split_at_its_edge_with_a_counter_there(tmp_path):
    run = Run(tmp_path, start_us=T0 + HOUR_US - 5 * S - 33_333)
    run.run(10 * S)
    assert run.lake.hours("power") == [T0, T0 + HOUR_US]
    for device in devices(run):
        rows = run.rows("power", device_id=device, ts_us=T0 + HOUR_US)
        assert [r["energy_mj"] is not None for r in rows] == [True]


def test_starting_at_the_hour_and_stopping_within_a_tick(tmp_path):
    run = Run(tmp_path)
    run.run(1)
    for device in devices(run):
        rows = run.rows("power", device_id=device)
        assert [(r["ts_us"], r["energy_mj"] is not None) for r in rows] == [
            (T0, True),
            (T0 + 1, True),
        ]
    assert [r["kind"] for r in run.rows("event")] == ["start", "stop"]


def test_the_last_reading_is_kept_without_a_counter_too(tmp_path):
    run = Run(tmp_path)
    run.run(2 * S + 1, unsupported=["counter"], update_us=2 * S)
    for device in devices(run):
        rows = run.rows("power", device_id=device)
        assert rows[-1]["ts_us"] == T0 + 2 * S + 1
        assert {(r["energy_mj"], r["epoch"]) for r in rows} == {(None, 0)}


def test_a_stop_before_the_end_reads_the_edge_once(tmp_path):
    run, stop = Run(tmp_path), threading.Event()
    run.at(2 * S + 50_000, stop.set)
    run.run(60 * S, stop=stop)
    stamps = [r["ts_us"] for r in run.rows("power", device_id=devices(run)[0])]
    assert stamps[-1] == T0 + 2 * S + 50_000
    assert len(stamps) == len(set(stamps))
    assert run.rows("power", ts_us=stamps[-1])[0]["energy_mj"] is not None


def test_faults_become_events_and_the_rest_goes_on(tmp_path):
    run = Run(tmp_path)

    def before(node):
        run.at(10 * S, lambda: node.fail(1, pynvml.NVML_ERROR_GPU_IS_LOST))
        run.at(20 * S, lambda: node.fail(1, None))
        run.at(30 * S, lambda: node.reset_counter(2))

    run.run(40 * S, before=before)
    kinds = [r["kind"] for r in run.rows("event")]
    assert kinds == ["start", "lost", "found", "counter_reset", "stop"]
    lost = run.rows("power", device_id=run.rows("event", kind="lost")[0]["device_id"])
    assert not [r for r in lost if 10 * S < r["ts_us"] - T0 < 20 * S]
    assert [r for r in lost if r["ts_us"] - T0 > 30 * S]
    assert len(run.rows("power")) > 1000


def test_a_missing_board_and_a_clock_that_steps_are_events(tmp_path):
    run = Run(tmp_path)
    run.missing.append("GPU 9 cannot be opened")
    run.at(S, lambda: run.clock.step_realtime(3600 * S))
    run.run(150 * S, sources=False)
    kinds = [(r["kind"], r["ts_us"] - T0) for r in run.rows("event")]
    assert kinds == [("start", 0), ("lost", 0), ("clock_step", S), ("stop", 150 * S)]


def test_a_lake_that_fails_for_a_while_loses_nothing(tmp_path):
    class Flaky(Lake):
        fails = 8  # six at the three rolls, two more at the end

        def append(self, table, rows, node, tag=None):
            if table == "power" and Flaky.fails:
                Flaky.fails -= 1
                raise UserError("power: cannot be written: No space left on device")
            return super().append(table, rows, node, tag)

    run = Run(tmp_path, lake=Flaky(tmp_path, create=True), roll_s=10)
    run.run(30 * S, sources=False)
    assert Flaky.fails == 0
    for device in devices(run):
        stamps = [r["ts_us"] for r in run.rows("power", device_id=device)]
        assert (stamps[0], stamps[-1]) == (T0, T0 + 30 * S)
        assert len(stamps) == len(set(stamps))


def test_a_lake_that_stays_away_is_one_line_at_the_end(tmp_path):
    class Gone(Lake):
        def append(self, *args, **more):
            raise UserError("cannot be written: No space left on device")

    with pytest.raises(UserError, match=r"No space left on device; \d+ rows wait"):
        Run(tmp_path, lake=Gone(tmp_path, create=True), roll_s=1).run(3 * S, sources=False)


def test_a_job_file_that_changes_is_taken_over(tmp_path):
    run = Run(tmp_path / "lake")
    run.jobs_file = tmp_path / "jobs.csv"
    text = "job_id,node,device_id,start,end\nj,n1,0,1768464002,1768464032\n"
    run.jobs_file.write_text(text)

    later = text.replace("1768464032", "1768464031.5")
    run.at(5 * S, lambda: run.jobs_file.write_text(later))
    run.at(15 * S, lambda: run.jobs_file.write_text("rubbish"))
    run.run(40 * S, sources=False)
    ends = sorted((r["recorded_us"] - T0, r["end_us"] - T0) for r in run.rows("jobs"))
    assert ends == [(0, 32 * S), (10 * S, 31_500_000)]
    device = min(run.rows("device"), key=lambda r: r["index"])["device_id"]
    assert run.rows("jobs")[0]["device_id"] == device
    [row] = run.rows("power", device_id=device, ts_us=T0 + 31_500_000)
    assert row["energy_mj"] is not None
    errors = run.rows("event", kind="error")
    assert len(errors) == 1
    assert "jobs" in errors[0]["detail"]


def source(url, **more):
    return TokenSource(source_id="s", url=url, job_id="j", **more)


def test_an_edge_during_a_slow_scrape_is_scraped_after_it(tmp_path, endpoint):
    """The edge of a job falls into a scrape that hangs; it must not be skipped."""
    endpoint.body = "vllm:generation_tokens_total 5\n"
    endpoint.pause = threading.Event()
    stop = threading.Event()
    run = Run(tmp_path, clock=SteppedClock(T0), tokens=(source(endpoint.url, every_s=3600.0),))

    def asked():
        assert endpoint.asked.acquire(timeout=20)

    def let_go():
        endpoint.pause.set()
        asked()

    run.at(EDGES_US[0] - 1, asked)
    run.at(EDGES_US[0] + 1, let_go)
    run.at(EDGES_US[0] + 2, stop.set)
    run.run(stop=stop, sources=False)
    stamps = sorted(r["ts_us"] for r in run.rows("tokens"))
    assert len(stamps) == 3  # at the start, after the edge, at the stop
    assert stamps[1] >= T0 + EDGES_US[0]


def test_a_stop_during_a_scrape_that_hangs(tmp_path, endpoint, monkeypatch):
    monkeypatch.setattr("tokenergy_collectors.daemon.daemon._STOP_US", 100_000)
    endpoint.pause = threading.Event()
    run = Run(tmp_path, clock=SteppedClock(T0), tokens=(source(endpoint.url, timeout_s=30.0),))
    began_s = time.monotonic()
    run.run(200_000, sources=False)
    assert time.monotonic() - began_s < 5
    assert [r["kind"] for r in run.rows("event")] == ["start", "error", "stop"]
    for device in devices(run):
        counted = [r for r in run.rows("power", device_id=device) if r["energy_mj"] is not None]
        assert len(counted) == 2  # at the start and at the end, once each


def test_a_worker_that_breaks_is_told(tmp_path, monkeypatch):
    from tokenergy_collectors.sources.tokens.endpoint import TokenEndpoint

    def broken(self):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(TokenEndpoint, "scrape", broken)
    run = Run(tmp_path, tokens=(source("http://127.0.0.1:1/", every_s=60.0),))
    run.run(S, sources=False)
    errors = run.rows("event", kind="error")
    assert "tokens/s: RuntimeError('unforeseen')" in errors[0]["detail"]
    assert run.rows("event", kind="stop")
