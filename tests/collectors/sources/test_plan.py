"""The schedule of the sources: health of each reading, problems once, edges in the future."""

import threading

import pytest

from tokenergy_collectors.base.clock import SystemClock, VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake.contract import EVENT
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Health, Plan, Reader

S = 1_000_000
T0 = 1_768_464_000 * S


class Sink:
    def __init__(self):
        self.rows = []

    def add(self, table, rows):
        self.rows += [(table, row) for row in rows]

    def events(self):
        rows = [EVENT.as_dict(row) for table, row in self.rows if table == "event"]
        return [(row["kind"], row["detail"]) for row in rows]


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def host(sink):
    return Host("n1", VirtualClock(T0), Log("text"), Output(sink))


@pytest.fixture
def plan(host):
    return Plan(Schedule(host.clock), host)


def source_lines(capsys):
    """Return event and reason of the log's lines about the reading `meter`."""
    lines = capsys.readouterr().err.splitlines()
    return [line.partition(" event=")[2] for line in lines if " source=meter" in line]


def test_health_counts_runs_and_failures_and_says_when_one_last_succeeded(host):
    results = [None, "no answer", "no answer", None]
    reader = Reader("meter", lambda: results.pop(0), host, beside=False)
    assert reader.health == Health("meter", 0, 0, 0.0, None, None)
    seen = []
    for _ in range(4):
        reader.ask()
        seen.append((reader.health.succeeded, reader.health.success_us))
        host.clock.sleep_until(host.clock.monotonic_us() + S, threading.Event())
    assert seen == [(True, T0), (False, T0), (False, T0), (True, T0 + 3 * S)]
    assert (reader.health.runs, reader.health.failures) == (4, 2)


def test_the_duration_is_that_of_the_latest_run_in_real_time(host, monkeypatch):
    real_s = iter([10.0, 10.25, 30.0, 30.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(real_s))
    results = [None, "no answer"]
    reader = Reader("meter", lambda: results.pop(0), host, beside=False)
    reader.ask()
    assert reader.health.duration_s == 0.25
    reader.ask()
    assert reader.health.duration_s == 0.5


def test_a_failure_is_logged_once_and_once_when_it_works_again(host, capsys):
    results = [None, "no answer", "no answer", "refused", None, None, "refused"]
    reader = Reader("meter", lambda: results.pop(0), host, beside=False)
    for _ in range(7):
        reader.ask()
    assert source_lines(capsys) == [
        'source_failed source=meter why="no answer"',
        "source_failed source=meter why=refused",
        "source_works source=meter",
        "source_failed source=meter why=refused",
    ]


def test_an_error_in_the_sampling_thread_is_counted_and_raised(host):
    reader = Reader("meter", lambda: 1 / 0, host, beside=False)
    with pytest.raises(ZeroDivisionError):
        reader.ask()
    assert (reader.health.succeeded, reader.health.failures) == (False, 1)


@pytest.mark.parametrize("clock", [VirtualClock(T0), SystemClock()], ids=["inline", "thread"])
def test_a_crash_beside_the_sampling_is_an_event_and_the_schedule_continues(sink, clock):
    host = Host("n1", clock, Log("text"), Output(sink))
    plan, ticks, crashed = Plan(Schedule(clock), host), [], threading.Event()

    def crash():
        crashed.set()
        raise RuntimeError("unexpected")

    reader = plan.every("meter", 10.0, crash, beside=True)
    plan.every("clock", 0.01, lambda: ticks.append(1))
    plan.schedule.run(clock.monotonic_us() + S // 10, threading.Event())
    assert crashed.wait(5)
    assert reader.finish(5)
    assert sink.events() == [("error", "meter: RuntimeError('unexpected')")]
    assert (reader.health.succeeded, reader.health.failures) == (False, 1)
    assert len(ticks) > 1


def test_readings_run_at_their_period_after_their_wait(host, plan):
    start_us, times = host.clock.monotonic_us(), []
    plan.every("meter", 2.0, lambda: times.append(host.clock.monotonic_us()), wait_s=1.0)
    plan.schedule.run(start_us + 6 * S, threading.Event())
    assert [at_us - start_us for at_us in times] == [S, 3 * S, 5 * S]
    assert [reader.health.runs for reader in plan.readers] == [3]


def test_only_paced_readings_count_as_missed(host, plan):
    def slow():
        host.clock.sleep_until(host.clock.monotonic_us() + 3 * S, threading.Event())

    plan.every("slow", 1.0, slow)
    plan.schedule.run(host.clock.monotonic_us() + S, threading.Event())
    assert plan.missed() == 0
    plan.every("paced", 1.0, slow, paced=True)
    plan.schedule.run(host.clock.monotonic_us() + S, threading.Event())
    assert plan.missed() > 0


def test_an_edge_in_the_past_or_after_the_end_is_ignored(host, plan):
    start_us, edges = host.clock.monotonic_us(), []
    plan.begin(start_us, start_us + 10 * S)
    plan.on_edge = lambda: edges.append(host.clock.monotonic_us() - start_us)
    for after_us in (-S, 0, 4 * S, 9 * S, 10 * S, 11 * S):
        plan.edge_at(start_us + after_us)
    assert plan.edges.next_us(start_us) == start_us + 4 * S
    plan.schedule.run(start_us + 20 * S, threading.Event())
    assert edges == [4 * S, 9 * S]


def test_without_an_end_every_edge_in_the_future_is_planned(host, plan):
    start_us, edges = host.clock.monotonic_us(), []
    plan.on_edge = lambda: edges.append(host.clock.monotonic_us() - start_us)
    plan.edge_at(start_us + 10**6 * S)
    plan.schedule.run(start_us + 10**6 * S, threading.Event())
    assert edges == [10**6 * S]


def test_a_reading_that_hangs_is_reported_at_the_stop_and_left_behind(sink):
    host = Host("n1", SystemClock(), Log("text"), Output(sink))
    plan = Plan(Schedule(host.clock), host)
    hangs, go = threading.Event(), threading.Event()

    def hang():
        hangs.set()
        go.wait(20)

    slow = plan.every("slow", 60.0, hang, beside=True)
    quick = plan.every("quick", 60.0, lambda: None, beside=True)
    slow.ask()
    quick.ask()
    assert hangs.wait(20)
    plan.finish(host.clock.monotonic_us())
    go.set()
    assert ("error", "slow: a reading was still running at the stop") in sink.events()
    slow.ask()  # no request is taken any more
    assert slow.finish(20)
    assert slow.health.runs == 1
