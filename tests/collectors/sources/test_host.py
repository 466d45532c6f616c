"""Where rows go: to the spool and to listeners; readings and allocations to listeners only."""

from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.lake.contract import EVENT
from tokenergy_collectors.sources.host import Host, Output, PowerReading

T0 = 1_768_464_000_000_000
READING = PowerReading("GPU-a", T0, 100_000, None)


class Spool:
    def __init__(self):
        self.calls = []

    def add(self, table, rows):
        self.calls.append((table, list(rows)))


class Listener(Spool):
    def readings(self, readings):
        self.calls.append(("readings", list(readings)))

    def allocations(self, rows, spread):
        self.calls.append(("allocations", list(rows), spread))


def test_rows_go_to_the_spool_and_to_every_listener_even_from_a_generator():
    spool, listeners = Spool(), [Listener(), Listener()]
    output = Output(spool)
    for listener in listeners:
        output.listen(listener)
    output.add("power", (row for row in [(1,), (2,)]))
    assert [one.calls for one in (spool, *listeners)] == [[("power", [(1,), (2,)])]] * 3


def test_readings_and_allocations_go_to_listeners_only():
    spool, listener = Spool(), Listener()
    output = Output(spool)
    output.listen(listener)
    output.readings([READING])
    output.allocations([{"job_id": "j"}], {"j"})
    assert spool.calls == []
    assert listener.calls == [
        ("readings", [READING]),
        ("allocations", [{"job_id": "j"}], {"j"}),
    ]


def test_allocations_of_one_source_do_not_replace_those_of_another():
    listener = Listener()
    output = Output()
    output.listen(listener)
    output.allocations([{"job_id": "a"}], {"a"})
    output.allocations([{"job_id": "17"}], {"17"}, source="slurm")
    output.allocations([{"job_id": "b"}], ())
    assert listener.calls[1:] == [
        ("allocations", [{"job_id": "a"}, {"job_id": "17"}], {"a", "17"}),
        ("allocations", [{"job_id": "b"}, {"job_id": "17"}], {"17"}),
    ]


def test_a_sink_gets_what_comes_after_it_was_added():
    spool, listener = Spool(), Listener()
    output = Output()
    output.add("power", [(1,)])
    output.record(spool)
    output.add("power", [(2,)])
    output.listen(listener)
    output.add("power", [(3,)])
    assert spool.calls == [("power", [(2,)]), ("power", [(3,)])]
    assert listener.calls == [("power", [(3,)])]


def test_a_warning_is_an_event_and_a_line_of_the_log(capsys):
    spool = Spool()
    host = Host("n1", VirtualClock(T0), Log("text"), Output(spool))
    host.warn("lost", "GPU-a", "GPU is lost")
    [(table, [row])] = spool.calls
    assert (table, EVENT.as_dict(row)) == (
        "event",
        {
            "ts_us": T0,
            "node": "n1",
            "device_id": "GPU-a",
            "kind": "lost",
            "detail": "GPU is lost",
        },
    )
    line = capsys.readouterr().err
    assert "level=warning event=lost device=GPU-a" in line
    assert 'why="GPU is lost"' in line
