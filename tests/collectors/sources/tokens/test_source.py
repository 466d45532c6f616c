"""A token endpoint that does not answer is an event, so that its silence is not taken for zero."""

import threading

import pytest

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake.contract import EVENT, TOKENS
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.tokens.settings import TokenKeys, TokenSource
from tokenergy_collectors.sources.tokens.source import Tokens

T0 = 1_768_464_000_000_000
S = 1_000_000


class Sink:
    def __init__(self):
        self.rows = []

    def add(self, table, rows):
        self.rows += [(table, row) for row in rows]

    def of(self, table, spec):
        return [spec.as_dict(row) for name, row in self.rows if name == table]


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def step(endpoint, sink):
    """Let 5 s go by, which is one scrape."""
    host = Host("n1", VirtualClock(T0), Log("text"), Output(sink), run=7, cluster="east")
    keys = TokenKeys(tokens=[TokenSource(source_id="chat", url=endpoint.url, job_id="j")])
    schedule = Schedule(host.clock)
    plan = Plan(schedule, host)
    Tokens(keys, host).plan(plan)

    def step():
        schedule.run(host.clock.monotonic_us() + 5 * S, threading.Event())

    return step


def test_an_outage_is_two_events_however_its_reason_changes(endpoint, sink, step):
    endpoint.body = "vllm:generation_tokens_total 5\n"
    step()
    assert sink.of("event", EVENT) == []
    for status in (500, 503, 404):
        endpoint.status = status
        step()
    endpoint.status = 200
    step()
    found = [(row["kind"], row["detail"]) for row in sink.of("event", EVENT)]
    assert found == [("tokens_lost", "chat: HTTP 500"), ("tokens_found", "chat answers again")]


def test_rows_name_the_run_and_the_cluster(endpoint, sink, step):
    endpoint.body = "vllm:generation_tokens_total 5\n"
    step()
    assert {(r["run"], r["cluster"]) for r in sink.of("tokens", TOKENS)} == {(7, "east")}


UTIL = {"ts_us": 0, "device_id": "GPU-a", "sm_util": 0}


def test_a_server_is_left_asleep_while_its_board_does_nothing(endpoint, sink):
    """It is asked once more after the board has worked: then its last tokens are known."""
    host = Host("n1", VirtualClock(T0), Log("text"), Output(sink), cluster="east")
    source = TokenSource(source_id="chat", url=endpoint.url, job_id="j", while_busy=True)
    schedule = Schedule(host.clock)
    Tokens(TokenKeys(tokens=[source]), host).plan(Plan(schedule, host))
    endpoint.body = "vllm:generation_tokens_total 5\n"

    def asked():
        """Let 5 s go by; return how often the server was asked in them."""
        before = len(sink.of("tokens", TOKENS))
        schedule.run(host.clock.monotonic_us() + 5 * S, threading.Event())
        return len(sink.of("tokens", TOKENS)) - before

    def works(percent):
        host.add("state", **{**UTIL, "ts_us": host.now_us(), "sm_util": percent})

    assert [asked(), asked()] == [2, 1]  # nothing is known of its board
    job = {"job_id": "j", "cluster": "east", "device_id": "GPU-a", "start_us": T0, "end_us": None}
    host.output.allocations([job], ())
    assert asked() == 1
    works(0)
    assert [asked(), asked(), asked()] == [0, 0, 0]
    works(40)
    assert [asked(), asked()] == [1, 1]  # it goes on working, though no new gauge says so
    works(0)
    assert [asked(), asked()] == [0, 0]
    works(40)
    works(0)
    assert [asked(), asked()] == [1, 0]
    works(None)
    assert asked() == 0
    # Another job's board says nothing of this one.
    host.output.allocations([{**job, "job_id": "other"}], ())
    assert asked() == 1
