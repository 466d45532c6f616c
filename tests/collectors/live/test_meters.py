"""Meters of the host and the building in the live view: ages, and counters that restart."""

import threading

from tests.support.clocks import PlannedClock
from tests.support.live import Metrics, S, text_of
from tokenergy_collectors.lake.contract import HOST, METER
from tokenergy_collectors.live.view import LiveView
from tokenergy_collectors.settings.config import Config

T0 = 1_780_000_000 * S


class Seen:
    """A view on a planned clock."""

    def __init__(self):
        self.clock = PlannedClock(T0)
        self._start_us = self.clock.monotonic_us()
        self.view = LiveView(self.clock)
        self.view.node = "n1"

    def at(self, seconds):
        self.clock.sleep_until(self._start_us + round(seconds * S), threading.Event())
        return Metrics(text_of(self.view))

    def host(self, seconds, domain="package-0", **values):
        row = HOST.make_row(ts_us=T0 + round(seconds * S), node="n1", domain=domain, **values)
        self.view.add("host", [row])

    def meter(self, seconds, value, meter="feed-a", source="modbus"):
        row = METER.make_row(
            ts_us=T0 + round(seconds * S),
            meter_id=meter,
            node="n1",
            source=source,
            value_n=round(value * 1e9),
        )
        self.view.add("meter", [row])


def test_power_is_the_mean_between_two_energy_readings():
    seen = Seen()
    seen.host(0, energy_uj=5_000_000, epoch=1, run=1)
    first = seen.at(0.1)
    assert first.one("host_power_watts", domain="package-0") is None
    assert first.one("host_energy_joules_total", domain="package-0") == 0
    seen.host(2, energy_uj=305_000_000, epoch=1, run=1)
    now = seen.at(2.1)
    assert now.one("host_power_watts", node="n1", domain="package-0") == 150
    assert now.one("host_energy_joules_total", node="n1", domain="package-0") == 300


def test_a_counter_that_begins_again_continues_and_its_power_is_unknown_once():
    for again in ({"epoch": 2, "run": 1}, {"epoch": 1, "run": 2}):
        seen = Seen()
        for seconds, shown in ((0, 5), (1, 105)):
            seen.host(seconds, energy_uj=shown * S, epoch=1, run=1)
        seen.host(2, energy_uj=400 * S, **again)
        now = seen.at(2.1)
        assert now.one("host_energy_joules_total") == 100
        assert now.one("host_power_watts") is None
        seen.host(3, energy_uj=450 * S, **again)
        now = seen.at(3.1)
        assert now.one("host_energy_joules_total") == 150
        assert now.one("host_power_watts") == 50


def test_a_fall_without_epochs_adds_nothing():
    seen = Seen()
    for seconds, shown in ((0, 50), (1, 60), (2, 3), (3, 5)):
        seen.host(seconds, domain="psu", energy_uj=shown * S)
    assert seen.at(3.1).one("host_energy_joules_total", domain="psu") == 12


def test_a_meter_that_says_watts_is_believed():
    seen = Seen()
    seen.host(0, domain="psu", power_mw=412_500)
    now = seen.at(1)
    assert now.one("host_power_watts", domain="psu") == 412.5
    assert now.one("host_energy_joules_total", domain="psu") is None


def test_stale_values_go_and_the_time_of_a_meter_stays():
    seen = Seen()
    for seconds in (0, 10):
        seen.meter(seconds, 383.5 + seconds)
        seen.host(seconds, domain="psu", power_mw=1000)
    assert seen.at(40).one("meter_reading", meter="feed-a", source="modbus", node="n1") == 393.5
    assert seen.at(40).one("host_power_watts") == 1
    late = seen.at(40.001)
    assert late.one("meter_reading") is None
    assert late.one("host_power_watts") is None
    assert late.one("meter_last_reading_timestamp_seconds", meter="feed-a") == (T0 + 10 * S) / S


def test_a_first_reading_is_shown_for_a_minute():
    seen = Seen()
    seen.meter(0, 1)
    assert seen.at(60).one("meter_reading") == 1
    assert seen.at(60.001).one("meter_reading") is None


def test_rows_that_arrive_out_of_order_change_nothing():
    seen = Seen()
    for seconds, value in ((10, 7), (20, 9), (15, 8)):
        seen.meter(seconds, value)
        seen.host(seconds, energy_uj=value * S, epoch=1, run=1)
    now = seen.at(21)
    assert now.one("meter_reading") == 9
    assert now.one("host_energy_joules_total") == 2


def test_a_reload_forgets_meters_that_had_stopped():
    seen = Seen()
    for seconds in (0, 1, 2):
        seen.meter(seconds, 1, meter="gone")
    for seconds in (0, 5, 10):
        seen.meter(seconds, 2, meter="kept")
    seen.at(12)
    seen.view.begin(
        Config(lake="/lake", node="n1"),
        [],
        seen.clock.realtime_us() - seen.clock.monotonic_us(),
        late=lambda: 0,
    )
    now = seen.at(12)
    assert now.all("meter_last_reading_timestamp_seconds", meter="gone") == []
    assert now.one("meter_reading", meter="kept") == 2
