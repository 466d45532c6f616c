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
from tests.support.feeding import Feeding
from tokenergy_collectors import cli as collect_cli
from tokenergy_sql import cli as analysis_cli

PAGES = sorted(path.name for path in DOCS.glob("start-*.md"))
SECTIONS = ["What you see", "What the number means", "Next", "Trouble"]
PROFILE = Path(__file__).with_name("host.toml")
NOT_RUN: dict[str, list[str]] = {}
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
