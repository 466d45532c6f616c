"""A whole Airflow on SQLite runs the DAG: three hours arrive, one late, one corrected a day later;
then a broken ledger, a fault of each kind and a task that hangs. Run by `make e2e-airflow-local`.

The tests are one story and run in their order: each takes the lake as the one before left it.
"""

from __future__ import annotations

import html
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.airflow_server import DAG, AirflowServer, wait_for
from tests.support.faultyfleet import BROKEN, NODES, SET, SILENT, faulty_fleet
from tests.support.report_names import CHROMIUM
from tests.support.sinks import MailSink, Webhook, serving
from tests.support.three_hours import ThreeHours
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.lake.paths import partition
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import load_site
from tokenergy_transforms.aggregate import aggregate, worklist
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour

pytestmark = pytest.mark.e2e

DERIVED = [table.name for table in TABLES.values() if table.layer == "derived"]
QUALITY = "tokenergy_quality"
SECRET = "s3cr3t-key"  # noqa: S105 - no log may show it: the test greps
TASKS = {
    *("settings", "heal", "batches", "aggregate[0]", "shards", "book", "shared", "index", "check"),
    *("load_profile", "report", "done", "run"),
}
GREEN = dict.fromkeys(TASKS, "success") | {"book": "skipped"}
"""States of a run of a few nodes: their hour has no shards."""


class Story:
    """One lake, one Airflow, and where its alerts go."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(folder / "lake", create=True)
        self.lake.prepare()
        self.raw = ThreeHours(folder, datetime.now(UTC))
        self.hours = self.raw.hours
        self._minute = 10
        self.hook, self.mails = Webhook(), MailSink()
        smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": self.mails.port}
        extra = {"disable_ssl": True, "disable_tls": True, "retry_limit": 1, "timeout": 10}
        home = folder / "home"
        home.mkdir()
        self.airflow = AirflowServer(
            home,
            {
                "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps({**smtp, "extra": extra}),
                "TOKENERGY_ALERT_FROM": "tokenergy@example.org",
                "TOKENERGY_ALERT_TO": "ops@example.org",
                "TOKENERGY_ALERT_WEBHOOK": f"http://127.0.0.1:{self.hook.port}/{SECRET}",
                "TOKENERGY_LAKE": str(self.lake.root),
            },
        )

    def files(self, hour_us: int) -> dict[Path, tuple[bytes, int]]:
        """Derived files of an hour, with bytes and inode: a file written anew has another one."""
        return {
            path: (path.read_bytes(), path.stat().st_ino)
            for table in DERIVED
            for path in self.lake.files(table, [hour_us])
            if table != "job_index"  # one row a job over all its hours
        }

    def trigger(self, name: str, **conf: object) -> None:
        """Start a run of the last of the three hours, whatever the time is by now."""
        self._minute += 1  # no two runs have the same date, and the schedule has minute 10
        date = datetime.fromtimestamp(self.hours[2] // 1_000_000 + 60 * self._minute, UTC)
        self.airflow.trigger(name, date, conf)

    def run(self, name: str, **conf: object) -> dict[str, str]:
        self.trigger(name, **conf)
        return self.airflow.finished(name)

    def green(self, name: str) -> bool:
        states = self.run(name)
        assert states == GREEN
        self.airflow.idle()
        return True

    def healed(self, run: str) -> str:
        return self.airflow.log(run, "heal")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    told = Story(tmp_path_factory.mktemp("story"))
    with serving(told.hook, told.mails):
        try:
            told.airflow.start()
            yield told
        finally:
            told.airflow.stop()


def direct(lake: Lake, folder: Path) -> Lake:
    """What the packages make of the raw files of a lake, called directly and at once."""
    fresh = Lake(folder / "direct", create=True)
    for table in TABLES.values():
        if table.layer == "raw" and (lake.root / table.name).exists():
            shutil.copytree(lake.root / table.name, fresh.root / table.name)
    hours = lake.hours("segment")
    for hour, node in worklist(fresh, hours):
        aggregate(fresh, hour, node, 1_000_000, "cpu")
    index(fresh, load_site(None, fresh.root), hours, progress=lambda _: None)
    for hour in hours:
        profile_hour(fresh, hour, KINDS)
    return fresh


def assert_as_direct(lake: Lake, folder: Path) -> None:
    expected = direct(lake, folder)
    assert lake.read("ledger").num_rows > 0
    for table in DERIVED:
        assert lake.read(table).equals(expected.read(table)), table


def test_paused_for_three_hours_it_catches_up_on_all(story: Story, tmp_path: Path) -> None:
    story.raw.arrive(story.lake)  # but for the late files of one node
    story.airflow.unpause()
    (run,) = wait_for("scheduled run", lambda: [*story.airflow.runs()])
    assert run.startswith("scheduled__")
    states = story.airflow.finished(run)
    assert states == GREEN
    story.airflow.idle()
    assert story.lake.hours("ledger")[:3] == story.hours
    assert " healed hours: ok" in story.healed(run)
    log = story.airflow.log(run, "aggregate")
    assert "2 nodes, " in log
    assert " segments in " in log
    assert_as_direct(story.lake, tmp_path)


def test_late_readings_are_booked_by_the_next_run(story: Story, tmp_path: Path) -> None:
    first, second, _ = story.hours
    before, unmoved = story.files(second), story.files(first)
    late = story.lake.derived("segment", second, "n2")
    on_time = story.lake.derived("segment", second, "n1")
    story.raw.arrive(story.lake, story.raw.late())
    assert story.green("late")
    after = story.files(second)
    assert after[late][0] != before[late][0]
    assert after[on_time] == before[on_time]  # not even written again
    assert story.files(first) == unmoved
    assert "checks of 1 healed hours: ok" in story.healed("late")
    assert_as_direct(story.lake, tmp_path)


def test_a_correction_derives_only_its_hour_again(story: Story) -> None:
    first, second, third = story.hours
    unmoved, before = {**story.files(first), **story.files(third)}, story.files(second)
    story.raw.correct(story.lake)
    assert story.green("corrected")
    assert {**story.files(first), **story.files(third)} == unmoved
    assert story.files(second) != before


def test_consumers_get_an_event_for_each_checked_hour(story: Story) -> None:
    events = story.airflow.ask("GET", "/assets/events?limit=1000")["asset_events"]
    names = [partition(hour)[5:].replace("/hour=", "T") for hour in story.hours]
    told = {event["extra"]["hour"] for event in events if event["name"] == "tokenergy_ledger"}
    assert told >= {*names}


@pytest.fixture
def broken_ledger(story: Story) -> Iterator[None]:
    """One nanojoule too much in the books of the last hour; afterwards they are as they were."""
    hour_us = story.hours[2]
    kept = story.lake.files("ledger", [hour_us])
    rows = story.lake.read("ledger", [hour_us])
    first = pa.array([number == 0 for number in range(rows.num_rows)])
    more = pc.if_else(first, pc.add(rows["energy_nj"], 1), rows["energy_nj"])
    place = rows.column_names.index("energy_nj")
    story.lake.replace("ledger", rows.set_column(place, "energy_nj", more), hour_us, "ledger")
    assert story.lake.files("ledger", [hour_us]) != kept
    yield
    story.lake.replace("ledger", rows, hour_us, "ledger")
    assert story.lake.files("ledger", [hour_us]) == kept


@pytest.mark.usefixtures("broken_ledger")
def test_a_breach_is_told_at_the_webhook_and_by_mail(story: Story) -> None:
    story.hook.all()
    states = story.run("breach")
    assert states["check"] == "failed"
    assert states["run"] == "failed"
    assert states["report"] == "upstream_failed"
    body = next_about(story, lambda told: (told["run"], told["task"]) == ("breach", "check"))
    assert "the books do not close: " in body["reason"]
    assert "law (1 rows)" in body["reason"]
    assert body["dag"] == DAG
    last = [line for line in printed(story, "breach", "check") if not line.startswith("::")][-1]
    assert last == f"ALERT {body['text']}"
    while not str((mail := story.mails.next())["Subject"]).startswith(f"{DAG}.check failed (20"):
        pass
    assert mail["To"] == "ops@example.org"
    (part,) = [part for part in mail.walk() if part.get_content_type() == "text/html"]
    assert "law (1 rows)" in part.get_content()


def next_about(story: Story, which: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Return the next message of the webhook of which something is true; wait for it."""
    while not which(body := story.hook.next()[1]):
        pass
    return dict(body)


def printed(story: Story, run: str, task: str, dag: str = DAG) -> list[str]:
    lines = story.airflow.log(run, task, dag).splitlines()
    return [json.loads(line)["event"] for line in lines if line.startswith("{")]


def test_each_kind_of_fault_turns_its_own_task_red(story: Story, tmp_path: Path) -> None:
    """A broken law, a file that breaks the contract, a missing node, a clock that was set."""
    lake = faulty_fleet(tmp_path / "lake", time.time_ns() // 1000)
    node = {"columns": BROKEN, "freshness": SILENT, "clocks": SET}
    reasons = {
        "law": "law: The ledger adds up to the meter",
        # As the newest file, or in quarantine by now: the other looks read it at the same time.
        "columns": "is string, not int32",
        "freshness": f"No node is without readings for longer than 2.0 h. node={SILENT} ",
        "clocks": f"No clock is off or was set by more than 1 s. node={SET} ",
    }
    story.airflow.unpause(dag=QUALITY)
    conf = {"lake": str(lake.root), "hours": 3, "coverage": 0.1}
    story.airflow.trigger("faults", datetime.now(UTC), conf, QUALITY)
    states = story.airflow.finished("faults", QUALITY)
    story.airflow.unpause(paused=True, dag=QUALITY)
    red = dict.fromkeys((*reasons, "run"), "failed")
    assert states == {**red, "settings": "success", "coverage": "success"}
    told: dict[str | None, dict[str, str]] = {}
    while not {*reasons, None} <= {*told}:  # each task, and the run
        body = next_about(story, lambda told: told["run"] == "faults")
        told[body["task"]] = body
    assert {*told} == {*reasons, None}
    mails: dict[str, str] = {}
    while not {*reasons} <= {*mails}:
        mail = story.mails.next()
        for task in reasons:
            if str(mail["Subject"]).startswith(f"{QUALITY}.{task} failed"):
                (part,) = [one for one in mail.walk() if one.get_content_type() == "text/html"]
                mails[task] = html.unescape(part.get_content())
    for task, reason in reasons.items():
        assert reason in told[task]["reason"]
        assert told[task]["dag"] == QUALITY
        if own := node.get(task):
            named = {one for one in NODES if one in told[task]["reason"]}
            assert named == {own}
        lines = [one for one in printed(story, "faults", task, QUALITY) if not one.startswith("::")]
        assert lines[-1] == f"ALERT {told[task]['text']}"
        assert reason in mails[task]
        print(f"{task}: {told[task]['reason']}")


@pytest.fixture(scope="module")
def stuck(story: Story, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A site file that nobody ever finishes reading; and short limits, from here on."""
    path = tmp_path_factory.mktemp("stuck") / "site.toml"
    os.mkfifo(path)
    limits = {"TASK_TIMEOUT": "6s", "RUN_TIMEOUT": "18s", "DEADLINE": "9s"}
    story.airflow.restart({f"TOKENERGY_{name}": text for name, text in limits.items()})
    return str(path)


def test_a_task_that_waits_for_ever_fails_at_its_limit(story: Story, stuck: str) -> None:
    states = story.run("waits", site=stuck)
    assert states["settings"] == "failed"
    assert states["run"] == "failed"
    body = next_about(story, lambda told: (told["run"], told["task"]) == ("waits", "settings"))
    assert body["reason"].startswith("AirflowTaskTimeout: ")


def test_a_stopped_task_ends_with_its_run(story: Story, stuck: str) -> None:
    """SIGSTOP: the task does not notice its own limit, but that of the run ends it."""

    def process() -> int | None:
        task = story.airflow.tasks("stopped").get("settings", {})
        return task.get("pid") if task.get("state") == "running" else None

    story.trigger("stopped", site=stuck)
    pid = wait_for("task", process, story.airflow.output)
    os.kill(pid, signal.SIGSTOP)
    assert story.airflow.finished("stopped")["run"] == "failed"
    late = next_about(story, lambda told: told["run"] == "stopped" and told["state"] == "late")
    assert "running past its deadline (TOKENERGY_DEADLINE)" in late["reason"]
    while not str(story.mails.next()["Subject"]).startswith(f"{DAG}: the run is late (20"):
        pass
    body = next_about(story, lambda told: told["run"] == "stopped" and told["state"] == "failed")
    assert body["task"] is None
    assert "took longer than TOKENERGY_RUN_TIMEOUT allows" in body["reason"]
    wait_for("end of the process", lambda: not Path(f"/proc/{pid}").exists())


def test_after_all_that_the_next_run_is_green_and_mends_a_damaged_file(
    story: Story, tmp_path: Path
) -> None:
    story.airflow.restart({})
    (damaged,) = story.lake.files("ledger", [story.hours[0]])
    before = {path: one for hour in story.hours for path, one in story.files(hour).items()}
    damaged.write_bytes(before[damaged][0][:1_000])
    assert story.green("next")
    after = {path: one for hour in story.hours for path, one in story.files(hour).items()}
    assert after.pop(damaged)[0] == before.pop(damaged)[0]
    assert after == before  # nothing else was written
    assert "set aside, damaged: " in story.healed("next")
    assert_as_direct(story.lake, tmp_path)


def test_the_grid_shows_it(story: Story) -> None:
    """Look at the page as a person would; keep the picture if a place for it is named."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        page.goto(f"http://127.0.0.1:{story.airflow.port}/dags/{DAG}")
        for task in TASKS - {"run", "aggregate[0]"} | {"aggregate"}:
            badge = page.locator(f"[data-testid='grid-next-{task}']")
            sync_api.expect(badge).to_be_visible(timeout=60_000)
        page.locator("[data-resize-handle]").focus()
        for _ in range(3):  # all runs, not only the last two
            page.keyboard.press("ArrowRight")
        sync_api.expect(page.locator("[data-testid='grid-late-heal']")).to_be_visible()
        page.wait_for_load_state("networkidle")
        if place := os.environ.get("TOKENERGY_GRID_PICTURE"):
            page.screenshot(path=place)
        browser.close()


def test_no_log_shows_the_key_of_the_webhook(story: Story) -> None:
    files = [*story.airflow.home.rglob("*.log"), *story.airflow.home.glob("*.out")]
    texts = [file.read_bytes() for file in files]
    assert sum(b"told the webhook at 127.0.0.1" in text for text in texts) >= 2
    assert not any(SECRET.encode() in text for text in texts)
