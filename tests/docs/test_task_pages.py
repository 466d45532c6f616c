"""The pages by task: their commands run, they print what the pages show, and each page is short."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.docs.taskpages import (
    DOCS,
    ROOT,
    Session,
    blocks,
    clone,
    not_as_shown,
    prose,
    run,
    words_of,
)
from tests.prometheus.history import history
from tests.support.feeding import Feeding, Truth
from tests.support.kubelet import FakeKubelet, pod
from tests.support.store import Store
from tokenergy_collectors import cli as collect_cli
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_sql import cli as analysis_cli

PAGES = sorted(path.name for path in DOCS.glob("start-*.md"))
SECTIONS = ["What you see", "What the number means", "Next", "Trouble"]
PROFILE = Path(__file__).with_name("host.toml")
NOT_RUN = {
    "start-airflow.md": ["Airflow: `make e2e-dags` runs these DAGs in a real one"],
    "start-kubernetes.md": ["a registry and a container builder"],
    "start-slurm.md": ["root: it makes a group, and folders of root"],
}
"""Why blocks do not run, by page: whoever adds one says so here."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session]:
    """The page of the log, run."""
    folder = clone(tmp_path_factory.mktemp("log"))
    return folder, run("start-log.md", folder)


def succeeded(page: str, session: Session) -> None:
    """Every block of the page ran, and printed what the page shows."""
    last = session.printed[max(session.printed)] if session.printed else ""
    assert session.code == 0, last[-2000:]
    assert set(session.printed) == {n for n, block in enumerate(blocks(page)) if block.runs}
    assert not_as_shown(page, session) == []


def test_i_have_a_log(log: tuple[Path, Session]) -> None:
    succeeded("start-log.md", log[1])


def test_i_ask_in_sql(log: tuple[Path, Session]) -> None:
    succeeded("start-sql.md", run("start-sql.md", log[0]))


def test_i_have_airflow(log: tuple[Path, Session]) -> None:
    """The commands behind the DAG; of the DAGs, their names and where they lie."""
    succeeded("start-airflow.md", run("start-airflow.md", log[0]))
    text = (DOCS / "start-airflow.md").read_text("utf-8")
    named = set(re.findall(r"\btokenergy_(?:hourly|quality|daily|restate)\b", text))
    assert len(named) >= 3
    assert all((log[0] / "dags" / f"{name}.py").exists() for name in named)


def test_i_have_prometheus(tmp_path: Path) -> None:
    """Against a store in this process that has what a real one scraped, 22 virtual minutes."""
    page, folder = "start-prometheus.md", clone(tmp_path)
    with Store() as store:
        fill(store, history()[0])
        replaced = {
            "http://prometheus:9090": store.url,
            "--from 1d": "--from 2026-01-15T08:50:00Z --to 2026-01-15T09:12:00Z",
        }
        session = run(page, folder, replaced=replaced)
    succeeded(page, session)


def fill(store: Store, samples: str) -> None:
    """Give a store the samples of OpenMetrics text."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in samples.splitlines():
        if not line.startswith("#"):
            series, value, stamp = line.rsplit(" ", 2)
            # A Prometheus keeps whole milliseconds.
            found.setdefault(series, []).append((round(float(stamp), 3), float(value)))
    for series, points in found.items():
        name, _, rest = series.partition("{")
        store.add(name, points, **dict(re.findall(r'(\w+)="([^"]*)"', rest)))


def test_i_have_a_gpu_host(tmp_path: Path) -> None:
    """On emulated boards, with the daemon as it is; the server has another port."""
    folder = clone(tmp_path)
    with Feeding(PROFILE, tmp_path) as boards:
        page = "start-gpu-host.md"
        session = run(
            page,
            folder,
            replaced={
                "http://127.0.0.1:8000/metrics": url_of(boards),
                "--duration 1m": "--duration 20s",
            },
            environment=boards.environment,
        )
    succeeded(page, session)


def test_i_have_slurm(tmp_path: Path) -> None:
    """The hook as slurmd calls it, and the daemon; folders of root are below the test's."""
    folder, page = clone(tmp_path), "start-slurm.md"
    for name in ("etc/tokenergy", "var/spool/tokenergy-slurm", "var/lib/tokenergy"):
        (folder / name).mkdir(parents=True)
    places = ("/etc/systemd", "/etc/tokenergy", "/var/spool", "/var/lib")
    with Feeding(PROFILE, tmp_path) as boards:
        session = run(
            page,
            folder,
            replaced={place: f"{folder}{place}" for place in places},
            environment={**boards.environment, "TASK_ROOT": str(folder)},
        )
    succeeded(page, session)


def test_i_have_kubernetes(tmp_path: Path) -> None:
    """Helm's own code renders the chart; a kubelet in this process has two pods with GPUs."""
    pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
    folder, page = clone(tmp_path), "start-kubernetes.md"
    for name in ("pod-resources", "cgroup", "pods", "var/lib/tokenergy"):
        (folder / name).mkdir(parents=True)
    kubelet = FakeKubelet(folder / "pod-resources")
    one, other = (board.uuid for board in Truth(load_profile(PROFILE), "gpu-01", 1).identities)
    kubelet.pods = [pod("chat-0", one, namespace="ml"), pod("notebook", f"{other}::0")]
    kubelet.allocatable = [one, f"{other}::0", f"{other}::1"]
    kubelet.start()
    try:
        with Feeding(PROFILE, tmp_path) as boards:
            environment = {**boards.environment, "TASK_ROOT": str(folder)}
            session = run(page, folder, environment=environment)
    finally:
        kubelet.stop()
    succeeded(page, session)


def url_of(boards: Feeding) -> str:
    """Return the address of the emulated server."""
    assert boards.process.stdout is not None
    line = boards.process.stdout.readline()
    assert line.startswith("# tokens of job chat-70b"), line
    return line.split()[-1]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_short_and_has_its_parts(page: str) -> None:
    assert len(prose(page).split()) <= 350
    assert re.findall(r"^## (.+)$", prose(page), re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("page", PAGES)
def test_only_known_blocks_do_not_run(page: str) -> None:
    reasons = [block.reason for block in blocks(page) if block.marker == "not run"]
    print(f"{page}: {len(reasons)} not run: {'; '.join(map(str, reasons)) or '-'}")
    assert reasons == NOT_RUN.get(page, [])
    assert any(block.runs for block in blocks(page))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_exists(page: str) -> None:
    texts = [*(block.text for block in blocks(page) if block.kind == "sh"), prose(page)]
    for app, program in ((collect_cli.app, "tokenergy-collect"), (analysis_cli.app, "tokenergy")):
        assert words_of(texts, program) <= known(typer.main.get_command(app)), program
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert words_of(texts, "make") <= targets


def known(command: Any, before: str = "") -> set[str]:
    """Return the commands of a program, such as `run` and `import jobs`."""
    found = set()
    for name, sub in getattr(command, "commands", {}).items():
        found |= {f"{before}{name}"} | known(sub, f"{before}{name} ")
    return found
