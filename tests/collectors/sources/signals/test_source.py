"""Signals asked of a local server that answers as the providers document it.

The providers' own Python clients ask; nobody tried them against the services themselves.
"""

import json
import logging
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.collectors.sources.signals.answers import (
    CARBON,
    LOGIN,
    MOER,
    NO_MORE,
    PRICES,
    day_ahead,
    text,
)
from tests.support.long import pairs
from tokenergy_collectors.base.clock import VirtualClock
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.base.schedule import Schedule
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.sources.host import Host, Output
from tokenergy_collectors.sources.plan import Plan
from tokenergy_collectors.sources.signals.settings import SignalKeys
from tokenergy_collectors.sources.signals.source import Signals

# The clients and what they import warn of their own future.
pytestmark = pytest.mark.filterwarnings("ignore")

T0_US = 1_768_464_000_000_000  # 2026-01-15T08:00:00Z
S = 1_000_000
SECRET = "secret-42-abc"  # noqa: S105


def us(moment):
    return round(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * S


class Service:
    """Answers by path: a status and a text; keeps what was asked."""

    def __init__(self):
        self.answers, self.asked = {}, []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urlsplit(self.path)
                service.asked.append((parts.path, parse_qs(parts.query), dict(self.headers)))
                status, body = service.answers.get(parts.path, (404, "{}"))
                if parse_qs(parts.query).get("offset", ["0"]) != ["0"]:
                    status, body = 200, NO_MORE  # ENTSO-E's clients ask until there is no more
                self.send_response(status)
                kind = "text/xml" if body.startswith("<") else "application/json"
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def service():
    found = Service()
    yield found
    found.close()


class Rig:
    """The source on a virtual clock, and what it records."""

    def __init__(self, keys, lake=None):
        self.rows, self.events = [], []
        self.clock = VirtualClock(T0_US)
        self.host = Host("n1", self.clock, Log("text"), Output(self), lake=lake)
        self.source = Signals(keys, self.host)
        self.plan = Plan(Schedule(self.clock), self.host)
        self.plan.begin(self.clock.monotonic_us(), None)
        self.source.plan(self.plan)

    def add(self, table, rows):
        found = [TABLES[table].as_dict(row) for row in rows]
        if table == "event":
            self.events += [(row["kind"], row["detail"]) for row in found]
        else:
            assert table == "signal"
            self.rows += found

    def run(self, seconds):
        self.plan.schedule.run(self.clock.monotonic_us() + seconds * S, threading.Event())
        return [reader.health for reader in self.plan.readers]


def keys(monkeypatch, service, **more):
    monkeypatch.setenv("SIGNAL_TOKEN", SECRET)
    one = {"name": "s", "token_env": "SIGNAL_TOKEN", "url": service.url, "every_s": 60, **more}
    return SignalKeys.model_validate({"signal_source": [one]})


EM = {"provider": "electricitymaps", "quantity": "carbon_average", "zone": "DE"}
WT = {
    "provider": "watttime", "quantity": "carbon_marginal", "zone": "CAISO_NORTH",
    "username": "ann",
}  # fmt: skip
ENTSOE = {"provider": "entsoe", "quantity": "price", "zone": "DE_LU"}


def told(rig):
    return [
        (row["ts_us"], row["until_us"], row["value"], row["status"], row["lifecycle"])
        for row in rig.rows
    ]


def test_electricity_maps(service, monkeypatch):
    service.answers["/carbon-intensity/history"] = (200, text(CARBON))
    rig = Rig(keys(monkeypatch, service, **EM))
    [health] = rig.run(0)
    assert (health.source, health.succeeded) == ("signals/s", True)
    hour = 3600 * S
    five = us("2026-01-15T05:00:00")
    assert told(rig) == [
        (five, five + hour, 302_000, "actual", True),
        (five + hour, five + 2 * hour, 310_500, "actual", True),
        (five + 2 * hour, five + 3 * hour, 287_000, "estimated", True),
    ]
    common = {"signal": "s", "quantity": "carbon_average", "zone": "DE", "node": "n1"}
    more = {"source": "electricitymaps", "read_us": T0_US, "currency": None}
    assert all({**common, **more}.items() <= row.items() for row in rig.rows)
    (path, query, headers) = service.asked[0]
    assert (path, query["zoneKey"]) == ("/carbon-intensity/history", ["DE"])
    assert headers["auth-token"] == SECRET

    # The same again is no row; a corrected value is a revision.
    rig.rows.clear()
    rig.run(60)
    assert rig.rows == []
    corrected = json.loads(text(CARBON))
    corrected["history"][2] |= {"carbonIntensity": 290, "isEstimated": False}
    service.answers["/carbon-intensity/history"] = (200, text(corrected))
    rig.run(60)
    assert [(row["value"], row["status"]) for row in rig.rows] == [(290_000, "actual")]


def test_electricity_maps_prices(service, monkeypatch):
    service.answers["/price-day-ahead/history"] = (200, text(PRICES))
    rig = Rig(keys(monkeypatch, service, **{**EM, "quantity": "price"}))
    rig.run(0)
    assert [(row["value"], row["currency"]) for row in rig.rows] == [
        (-3_250, "EUR"), (84_100, "EUR"),
    ]  # fmt: skip


def test_watttime(service, monkeypatch):
    service.answers["/login"] = (200, text(LOGIN))
    service.answers["/v3/historical"] = (200, text(MOER))
    rig = Rig(keys(monkeypatch, service, **WT))
    assert rig.run(0)[0].succeeded
    seven = us("2026-01-15T07:00:00")
    assert told(rig) == [
        (seven, seven + 300 * S, 453_592, None, None),
        (seven + 300 * S, seven + 600 * S, 394_852, None, None),
    ]
    (login, _, headers), (_, query, bearer) = service.asked
    assert (login, headers["Authorization"][:6]) == ("/login", "Basic ")
    assert bearer["Authorization"] == "Bearer a-jwt"
    assert (query["region"], query["signal_type"]) == (["CAISO_NORTH"], ["co2_moer"])
    # Its own login would have put them there, for every program that this one starts.
    import os

    assert not {"WATTTIME_USER", "WATTTIME_PASSWORD"} & {*os.environ}


@pytest.mark.parametrize(("resolution", "minutes"), [("PT15M", 15), ("PT60M", 60)])
def test_entsoe(service, monkeypatch, resolution, minutes):
    prices = [100 + n / 4 for n in range(24 * 60 // minutes)]
    prices[3] = -12.5
    service.answers["/"] = (200, day_ahead(prices, resolution))
    rig = Rig(keys(monkeypatch, service, **ENTSOE))
    [health] = rig.run(0)
    assert health.succeeded, rig.events
    start = us("2026-01-14T23:00:00")
    step = minutes * 60 * S
    assert [row["ts_us"] for row in rig.rows] == [start + n * step for n in range(len(prices))]
    assert all(row["until_us"] - row["ts_us"] == step for row in rig.rows)
    assert [row["value"] for row in rig.rows] == [round(price * 1000) for price in prices]
    assert {row["currency"] for row in rig.rows} == {"EUR"}
    (_, query, _) = service.asked[0]
    assert query["documentType"] == ["A44"]
    assert query["securityToken"] == [SECRET]


@pytest.mark.parametrize(
    ("about", "answer"),
    pairs(
        [EM, WT, ENTSOE],
        [
            (401, "{}", "refuses the token"),
            (503, "{}", "HTTP 503"),
            (200, "<html>", ""),
            (200, "{}", ""),
        ],
    ),
)
def test_an_outage_is_a_hole_and_one_event(service, monkeypatch, caplog, capfd, about, answer):
    status, body, why = answer
    paths = ("/carbon-intensity/history", "/login", "/v3/historical", "/")
    service.answers = dict.fromkeys(paths, (status, body))
    rig = Rig(keys(monkeypatch, service, **about))
    with caplog.at_level(logging.DEBUG):
        [health] = rig.run(0)
    assert (health.succeeded, rig.rows) == (False, [])
    [(kind, detail)] = rig.events
    assert kind == "signal_lost"
    assert why in detail
    asked = len(service.asked)
    rig.run(60)
    assert len(rig.events) == 1
    assert len(service.asked) > asked
    # The third question waits for twice as long, and so on.
    asked = len(service.asked)
    rig.run(60)
    assert len(service.asked) == asked
    out = capfd.readouterr()
    logged = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert SECRET not in f"{detail} {logged} {out.out} {out.err}"

    service.answers = {
        "/carbon-intensity/history": (200, text(CARBON)),
        "/login": (200, text(LOGIN)),
        "/v3/historical": (200, text(MOER)),
        "/": (200, day_ahead([1.0] * 24, "PT60M")),
    }
    rig.run(3600)
    assert [kind for kind, _ in rig.events] == ["signal_lost", "signal_found"]
    assert rig.rows


def test_nobody_answers(service, monkeypatch):
    rig = Rig(keys(monkeypatch, service, **{**EM, "url": "http://127.0.0.1:1"}))
    [health] = rig.run(0)
    assert not health.succeeded
    assert "gives no answer" in rig.events[0][1]


def test_a_run_that_begins_again_repeats_nothing(service, monkeypatch, tmp_path):
    service.answers["/carbon-intensity/history"] = (200, text(CARBON))
    lake = Lake(tmp_path, create=True)
    first = Rig(keys(monkeypatch, service, **EM), lake)
    first.run(0)
    import pyarrow as pa

    lake.append("signal", pa.Table.from_pylist(first.rows, TABLES["signal"].schema()), "n1")
    again = Rig(keys(monkeypatch, service, **EM), lake)
    again.run(0)
    assert again.rows == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"token": "x"}, "a token does not belong here"),
        ({"quantity": "carbon_marginal"}, "electricitymaps is asked for carbon_average or price"),
        ({"token_env": None}, "expected token_file or token_env"),
        ({"username": "ann"}, "only WattTime"),
        ({"every_s": 1}, "30"),
    ],
)
def test_settings_that_cannot_be(monkeypatch, service, more, message):
    with pytest.raises(ValueError, match=message) as caught:
        keys(monkeypatch, service, **{**EM, **more})
    assert SECRET not in str(caught.value)


def test_no_token(service, monkeypatch):
    found = keys(monkeypatch, service, **EM)
    monkeypatch.delenv("SIGNAL_TOKEN")
    rig = Rig(found)
    rig.run(0)
    assert rig.events == [
        ("signal_lost", "s: carbon_average of DE from electricitymaps token_env: the environment "
         "has no SIGNAL_TOKEN"),
    ]  # fmt: skip
    assert service.asked == []


def test_check(service, monkeypatch):
    service.answers["/carbon-intensity/history"] = (200, text(CARBON))
    found = keys(monkeypatch, service, **EM)
    rig = Rig(found)
    [finding] = Signals.check(found, rig.host)
    assert (finding.level, "3 values of the last day" in finding.text) == ("ok", True)
    service.answers.clear()
    [finding] = Signals.check(found, rig.host)
    assert (finding.level, "HTTP 404" in finding.text) == ("warn", True)


def test_a_client_that_is_not_installed(service, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "electricitymaps", None)
    with pytest.raises(UserError, match=r"pip install '.\[signals\]'"):
        Signals.validate(keys(monkeypatch, service, **EM), emulated=False)
