"""All of the test: the server, the daemon, the requests, two kills, and the index at the end.

In: a folder. Out: `Done`: what the page counted by a reader of our own, what the answers told, and
what the product says. The boards are emulated and known to the nanojoule.
"""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.feeding import Feeding, true_energy_j
from tests.vllm.counts import KINDS, Counts, by_engine, counts, grown
from tests.vllm.server import Vllm
from tests.vllm.tap import Tap
from tests.vllm.work import AGAIN, EVERY, LONGEST, Client, Line, Load, at_once
from tokenergy_collectors.lake import Lake

COLLECT = [sys.executable, "-m", "tokenergy_collectors"]
BOARDS = 2
STEADY_POLLS = 10
LOAD_EVENTS = 400
PROFILE = """
name = "vllm"
start = 2026-01-15T08:00:00Z
duration_s = 1800
seed = 11

[nodes.n1]
boards = "h100"
count = 2

[[jobs]]
id = "load"
devices = { n1 = [0, 1] }
start_s = 1
end_s = 1800
workload = { type = "periodic", model = "m", frequency_hz = 0.2, high_w = 500 }
"""
CONFIG = """
lake = "{lake}"
node = "n1"
jobs_file = "{jobs}"

[[tokens]]
source_id = "chat"
url = "{url}"
job_id = "chat"
every_s = 1.0
timeout_s = 10.0
"""


@dataclass
class Life:
    """One life of the server, from its start to its end.

    Attributes:
        lines: what each kind of request told, and by how much the page grew meanwhile.
        given: growth between the first and the last page that the daemon was given.
        made: growth to the last page that was there: what the server made at least.
        engines: growth of each rank, as the daemon was given it.
    """

    ready_s: float = 0.0
    lines: list[tuple[Line, Counts]] = field(default_factory=list)
    given: Counts = field(default_factory=Counter)
    made: Counts = field(default_factory=Counter)
    engines: dict[str, Counts] = field(default_factory=dict)


@dataclass
class Done:
    """What is compared."""

    lives: list[Life]
    checked: str
    job: dict[str, Any]
    usage: list[dict[str, Any]]
    events: list[dict[str, Any]]
    truth_j: float


class Scenario:
    """Runs everything, step by step."""

    def __init__(self, folder: Path, vllm: Vllm, tap: Tap, fed: Feeding) -> None:
        self._vllm, self._tap, self._fed = vllm, tap, fed
        self._client = Client(vllm.port)
        self._jobs, self._config = folder / "jobs.csv", folder / "collect.toml"
        self.lake = folder / "lake"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._config.write_text(CONFIG.format(lake=self.lake, jobs=self._jobs, url=tap.url))

    def run(self) -> tuple[list[Life], str, float, float]:
        """Run it; return both lives, what `check` said, and the edges of the job."""
        first = Life(self._vllm.start())
        start_s = time.time() + 1
        self._list_job(start_s, None)
        checked = self._fed.run(*COLLECT, "check", "--config", self._config)
        known = len(self._tap.pages)
        self.start_daemon()
        # All that counts is made after the start of the job, and after the first reading.
        self._tap.wait(lambda tap: len(tap.pages) > known + 1 and time.time() > start_s)
        first_page = counts(self._tap.pages[known])
        self._lines(first, EVERY)
        self._kill_in_the_middle(first, known, first_page)
        given, refused = len(self._tap.pages), self._tap.refused
        self._tap.wait(lambda tap: tap.refused > refused + 1)
        second = Life(self._vllm.start())
        self._tap.wait(lambda tap: len(tap.pages) > given + 1)
        self._lines(second, AGAIN)
        second.lines.append(self._line(self._with_a_daemon_killed))
        last = counts(self._vllm.page())
        self._tap.wait(lambda tap: counts(tap.pages[-1]) == last)
        end_s = time.time()
        self.stop_daemon()
        second.made = grown(Counter(), last)
        self._given(second, given, Counter())
        self._list_job(start_s, end_s)
        self._fed.run(*COLLECT, "import", "jobs", self._jobs, "--lake", self.lake)
        return [first, second], checked, start_s, end_s

    def _lines(self, life: Life, kinds: list[Callable[[Client], Line]]) -> None:
        life.lines += [self._line(kind) for kind in kinds]

    def _line(self, kind: Callable[[Client], Line]) -> tuple[Line, Counts]:
        """Send one kind of request while nothing else runs; return by how much the page grew."""
        before = counts(self._vllm.page())
        line = kind(self._client)
        return line, grown(before, self._at_rest())

    def _at_rest(self) -> Counts:
        """Wait until the page stands still; return its counts."""
        steady, last = 0, counts(self._vllm.page())
        while steady < STEADY_POLLS:
            time.sleep(0.2)
            now = counts(self._vllm.page())
            steady, last = (steady + 1 if now == last else 0), now
        assert last["prompts"] == sum(last[kind] for kind in ("computed", "cached", "external"))
        return last

    def _kill_in_the_middle(self, life: Life, known: int, first: Counts) -> None:
        """SIGKILL the server while it streams to six clients."""
        before = counts(self._vllm.page())
        load = Load(self._client)
        for _ in range(LOAD_EVENTS):
            assert load.running.acquire(timeout=60), "no stream begins"
        pages = len(self._tap.pages)
        # Between this page of the daemon and the kill the server goes on: nobody tells of that.
        self._tap.wait(lambda tap: len(tap.pages) > pages)
        last = counts(self._vllm.page())
        while last["generated"] <= counts(self._tap.pages[-1])["generated"]:
            last = counts(self._vllm.page())
        self._vllm.kill()
        load.join()
        life.made = grown(first, last)
        self._given(life, known, first)
        line = Line("killed with -9", "no usage; the page has what was made until it was read")
        line.more_prompts = (0, load.sent)
        line.more_generated = (1, load.sent // 100 * LONGEST)
        life.lines.append((line, grown(before, last)))
        # What clients got is made, also what the last page did not show.
        life.made["generated"] += max(0, load.generated - (last - before)["generated"])

    def _given(self, life: Life, begin: int, first: Counts) -> None:
        pages = self._tap.pages[begin:]
        life.given = grown(first, counts(pages[-1]))
        ends = by_engine(pages[0] if first else ""), by_engine(pages[-1])
        life.engines = {
            name: Counter({kind: now[kind] - ends[0].get(name, Counter())[kind] for kind in KINDS})
            for name, now in ends[1].items()
        }

    def _with_a_daemon_killed(self, client: Client) -> Line:
        """SIGKILL the daemon while the server works, and start it again."""
        line = at_once(client)
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait(30)
        more = at_once(client)
        line.usage.update(more.usage)
        line.name = "daemon killed meanwhile"
        pages = len(self._tap.pages)
        self.start_daemon()
        self._tap.wait(lambda tap: len(tap.pages) > pages)
        return line

    def start_daemon(self) -> None:
        words = [*COLLECT, "run", "--config", str(self._config)]
        self._daemon = subprocess.Popen(words, env=self._fed.environment)

    def stop_daemon(self) -> None:
        """End the daemon as an operator does."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGTERM)
            assert self._daemon.wait(60) == 0

    def _list_job(self, start_s: float, end_s: float | None) -> None:
        with self._jobs.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["job_id", "node", "device", "start", "end"])
            for board in range(BOARDS):
                end = "" if end_s is None else f"{end_s:.6f}"
                writer.writerow(["chat", "n1", board, f"{start_s:.6f}", end])


def run_everything(folder: Path) -> Done:
    """Run the scenario and derive the index."""
    profile = folder / "profile.toml"
    profile.write_text(PROFILE)
    vllm = Vllm(folder)
    try:
        with Tap(vllm.url) as tap, Feeding(profile, folder) as fed:
            scenario = Scenario(folder, vllm, tap, fed)
            try:
                lives, checked, start_s, end_s = scenario.run()
            finally:
                scenario.stop_daemon()
            lake = scenario.lake
            truth_j = sum(
                true_energy_j(profile, lake, fed, board, start_s, end_s) for board in range(BOARDS)
            )
    finally:
        vllm.kill()
    tokenergy = Path(sys.executable).parent / "tokenergy"
    for command in ("aggregate", "index", "check"):
        subprocess.run([tokenergy, command, "--lake", lake], check=True)
    read = Lake(lake).read
    [job] = [row for row in read("job_index").to_pylist() if row["job_id"] == "chat"]
    usage = [row for row in read("token_usage").to_pylist() if row["job_id"] == "chat"]
    return Done(lives, checked, job, usage, read("event").to_pylist(), truth_j)
