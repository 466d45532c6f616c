"""Servers that do not answer, or not in Modbus; and how long that may take."""

import sys
import threading

import pytest

from tests.collectors.sources.modbus.rig import Rig, S, device, keys_of
from tests.support.modbus import MeterServer, SilentServer
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.meters.reader import AwayError
from tokenergy_collectors.sources.modbus.link import Link
from tokenergy_collectors.sources.modbus.source import ModbusMeters

METER = ("m", 0, "uint16")


def test_a_reading_is_stamped_with_the_middle_of_its_request():
    times = iter([1_000, 1_501])
    with MeterServer({1: {0: [5, 6]}}) as server:
        link = Link("127.0.0.1", server.port, 5.0, lambda: next(times))
        assert link.read("holding", 0, 2, 1) == ([5, 6], 1_250)
        link.close()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "no answer within 0.3 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no answer within 0.3 s"),
        (b"\0\1\0\0\0\4\1\x03\x02", "no answer within 0.3 s"),  # half an answer
        (b"\0\1\0\0\0\6\1\x03\x02\0\7", "no answer within 0.3 s"),  # shorter than it says
        (b"\0\2\0\0\0\5\1\x03\x02\0\7", "no answer within 0.3 s"),  # to another request
        (b"\0\1\0\0\0\5\2\x03\x02\0\7", "no answer within 0.3 s"),  # of another device
        (b"\0\1\0\0\0\5\1\x04\x02\0\7", "an answer to another request"),
        (b"\0\1\0\0\0\7\1\x03\x04\0\7\0\7", "an answer to another request"),  # two registers
        (b"\0\1\0\0\0\3\1\x03\x09", "an answer that is not Modbus"),
        (b"\0\1\0\0\0\3\1\x55\x02", "an answer that is not Modbus"),
    ],
)
def test_what_is_no_answer_is_no_reading(answer, why, capsys):
    with SilentServer(answer) as server, Rig(device(server.port, METER, timeout_s=0.3)) as rig:
        [health] = rig.run(0)
        place = f"127.0.0.1:{server.port} device 1, holding register 0"
        assert rig.events == [("meter_lost", f"m: {why}; {place}")]
        assert (rig.rows, health.succeeded) == ([], False)
    [line] = capsys.readouterr().err.splitlines()  # pymodbus has nothing to add
    assert "event=source_failed" in line


def test_a_whole_answer_in_the_same_words_is_a_reading():
    with SilentServer(b"\0\1\0\0\0\5\1\x03\x02\0\7") as server:
        link = Link("127.0.0.1", server.port, 5.0, lambda: 0)
        assert link.read("holding", 0, 1, 1).words == [7]
        link.close()


def test_a_name_that_is_not_known():
    link = Link("meter.invalid", 502, 1.0, lambda: 0)
    with pytest.raises(AwayError, match="the name of the host is not known") as caught:
        link.read("holding", 0, 1, 1)
    assert not caught.value.connected


def test_a_server_that_never_answers_delays_no_other_source():
    ticks = threading.Semaphore(0)
    with (
        SilentServer() as server,
        Rig(device(server.port, METER, timeout_s=60.0), clock=SystemClock()) as rig,
    ):
        rig.plan.every("other", 0.01, lambda: ticks.release())
        stop = threading.Event()
        running = threading.Thread(target=rig.plan.schedule.run, args=(None, stop), daemon=True)
        running.start()
        try:
            assert server.asked.wait(30)
            while ticks.acquire(blocking=False):
                pass
            for _ in range(20):
                assert ticks.acquire(timeout=10)
        finally:
            stop.set()
        running.join()
        assert rig.plan.readers[0].health.runs == 0  # it still waits
        # The stop does not wait for the answer either, and the meter is not lost by it.
        rig.source.finish(rig.clock.monotonic_us() + 30 * S)
        assert rig.plan.readers[0].finish(30)
        assert rig.events == []


def test_without_pymodbus_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymodbus", None)
    config = keys_of(device(1, METER))
    with pytest.raises(UserError, match=r"^modbus: .*pip install 'tokenergy\[meters\]'$"):
        ModbusMeters.validate(config, emulated=False)
    ModbusMeters.validate(config, emulated=True)
    [finding] = ModbusMeters.check(config, Host("n1", SystemClock(), Log("text")))
    assert finding.level == "FAIL"
    assert "tokenergy[meters]" in finding.text
