"""One lake, one cluster, where its alerts go, and the readings that are still to arrive."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.airflow_cluster.fleet import Readings
from tests.airflow_cluster.place import Place
from tests.kills.week import run, strays
from tests.support.airflow_cluster import Cluster
from tests.support.airflow_server import DAG, ENDED
from tests.support.sinks import Webhook
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.scheduled.settings import complete_until

HOURS = int(os.environ.get("TOKENERGY_CLUSTER_HOURS", "24"))
"""How many past hours are filled; fewer in a hurry."""

NEWER = 2
"""Hours that arrive meanwhile."""

DERIVED = [table.name for table in TABLES.values() if table.layer == "derived"]
KEY = "w3bh00k-k3y"


class Story:
    """One lake, one cluster, where its alerts go, and the readings that are still to arrive."""

    def __init__(self, folder: Path, place: Place) -> None:
        complete = complete_until(datetime.now(UTC), timedelta(minutes=10))
        # The hours of the past are older than those that the schedule heals.
        newest, past = complete - timedelta(hours=NEWER), complete - timedelta(days=6)
        for name in ("past", "newer", "cluster"):
            (folder / name).mkdir()
        self.past = Readings(folder / "past", "past", past, HOURS)
        self.newer = Readings(folder / "newer", "newer", newest, NEWER)
        self.place, self.folder = place, folder
        self.hook = Webhook()
        alerts = f"http://127.0.0.1:{self.hook.port}/{KEY}"
        self.airflow = Cluster(
            folder / "cluster",
            {"TOKENERGY_ALERT_WEBHOOK": alerts},
            {"TOKENERGY_LAKE": place.url, **place.environment},
        )
        self._minute = 10

    def put(self, readings: Readings, files: list[Path]) -> None:
        self.place.put(readings.lake.root, files)

    def trigger(self, name: str, hour_us: int, dag: str = DAG, **conf: object) -> None:
        """Start a run of an hour; no two runs of a DAG have the same date."""
        self._minute += 1
        date = datetime.fromtimestamp(hour_us // 1_000_000 + 60 * self._minute, UTC)
        self.airflow.trigger(name, date, conf, dag)

    def rest(self) -> None:
        """Wait until no hourly run goes on, and let none begin: an hour may end at any moment."""
        airflow = self.airflow
        while True:
            airflow.idle()
            airflow.unpause(paused=True)
            if all(one["state"] in ENDED for one in airflow.runs().values()):
                return
            airflow.unpause()

    def instances(self) -> list[dict[str, Any]]:
        """Return all instances of tasks of the hourly DAG that ran."""
        found = [one for name in self.airflow.runs() for one in self.airflow.tasks(name).values()]
        return [one for one in found if one["start_date"] and one["end_date"]]

    def assert_as_by_commands(self, folder: Path) -> Lake:
        """Compare with what one process makes of the same raw files; return a copy of the lake."""
        lake = self.place.snapshot(folder / "lake")
        fresh = Lake(folder / "direct", create=True)
        fresh.prepare()
        for name in ("site.toml", *(t.name for t in TABLES.values() if t.layer == "raw")):
            if (lake.root / name).is_dir():
                shutil.copytree(lake.root / name, fresh.root / name)
            elif (lake.root / name).exists():
                shutil.copyfile(lake.root / name, fresh.root / name)
        for command in ("aggregate", "index", "load-profile"):
            run(fresh, command)
        for table in DERIVED:
            assert lake.read(table).equals(fresh.read(table)), table
        rows = {table: lake.read(table).num_rows for table in DERIVED}
        print(f"equal, row for row: {', '.join(f'{n:,} {table}' for table, n in rows.items())}")
        assert min(rows["job_index"], rows["ledger"], rows["load_profile"]) > 0
        assert strays(lake) == set()
        assert [*lake.root.rglob(".*.tmp")] == []
        run(lake, "check")
        return lake
