"""From an OpenADR server to what the site gave: the daemon, the lake, `tokenergy response`."""

from __future__ import annotations

import csv
import io
import threading
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.sql.flexibility.staged import booked, stage
from tests.sql.flexibility.test_response import us
from tests.support.commands import command
from tests.support.vtn import VtnProcess, event, free_port
from tokenergy_collectors.base.clock import SystemClock
from tokenergy_collectors.base.logs import Log
from tokenergy_collectors.daemon.daemon import Daemon
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.host import Host
from tokenergy_sql.checks.checking import run_checks

DAY = date(2035, 1, 1)
"""A Monday: a server asks for no answer to an event that is over by the wall clock."""
HOURS = range(12, 20)


def collect(root: Path, vtn: VtnProcess) -> dict[str, object]:
    """Run a daemon until the server has an answer; return that."""
    table = {"name": "utility", "url": vtn.url, "ven_name": "site-1", "every_s": 1.0, "unit": "kW"}
    keys = {"lake": str(root), "node": "n1", "gpus": False, "openadr": [table]}
    host = Host("n1", SystemClock(), Log("text"), lake=Lake(root, create=True))
    daemon, stop = Daemon(Config.model_validate(keys), host), threading.Event()
    running = threading.Thread(target=daemon.run, args=(stop,))
    running.start()
    try:
        return vtn.hear()
    finally:
        stop.set()
        running.join()


def plant(lake: Lake) -> None:
    """Ten days of the same shape; 20 kW less on the first of January from 16:00 to 18:00."""
    rows = []
    for back in range(10):
        day = DAY - timedelta(days=back)
        for hour in HOURS:
            kw = 100 + hour + 3 * back - (20 if back == 0 and hour in (16, 17) else 0)
            rows.append(booked("a", us(day, hour), us(day, hour + 1), kw))
    stage(lake, "ledger", rows)


def test_from_the_server_to_what_was_given(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    asked = event("peak-7", us(DAY, 16), (60, 60), (-18.0, -24.0))
    answer = {"event_id": "peak-7", "answered": "optOut"}
    port = free_port()
    # The server is killed; another run of the daemon is told the same, and records nothing twice.
    for _ in range(2):
        with VtnProcess(port, asked) as vtn:
            assert collect(root, vtn) == answer
    lake = Lake(root)
    assert [row["interval"] for row in lake.read("grid_event").to_pylist()] == [0, 1]
    plant(lake)
    code, out, err = command(
        "tokenergy", "response", "peak-7", "--lake", str(root), "--format", "csv"
    )
    assert (code, err) == (0, "")
    total, *slices = csv.DictReader(io.StringIO(out))
    assert (total["program"], total["opt"]) == ("http://utility.example/fast", "optOut")
    assert float(total["given_kw"]) == pytest.approx(20)
    assert float(total["requested_kw"]) == pytest.approx(21)
    assert total["verdict"] == "not given"
    assert [float(row["requested_kw"]) for row in slices] == [18, 24]
    assert [float(row["given_kw"]) for row in slices] == [pytest.approx(20)] * 2


def test_a_lake_of_events_alone_has_no_breach(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("event_id,start,end\ne,2026-01-15T16:00Z,2026-01-15T18:00Z\n")
    words = ("import", "events", str(path), "--lake", str(tmp_path / "lake"))
    assert command("tokenergy-collect", *words)[0] == 0
    assert [one.name for one in run_checks(Lake(tmp_path / "lake")) if one.breach] == []
