"""The page of questions: each is answered, by several clients, while the index replaces files."""

from __future__ import annotations

import csv
import io
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.cluster import END, SITE
from tests.support.lakes import LakeBuilder, S
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog.file import NAME, write_catalog
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query

PAGE = Path(__file__).parents[3] / "docs" / "questions.md"
QUESTION = re.compile(r"^## (\d+)\. (.+?)\n\n(Asked by .+?)\n\n```sql\n(.+?)```\n\n(.+?)\Z", re.S)


def questions() -> dict[int, str]:
    """Return the SQL by number."""
    parts = re.split(r"^(?=## )", PAGE.read_text("utf-8"), flags=re.M)[1:]
    found = [QUESTION.match(part) for part in parts]
    assert all(found)
    return {int(match[1]): match[4] for match in found if match}


def test_there_are_twelve_each_with_words() -> None:
    assert list(questions()) == list(range(1, 13))


@pytest.fixture(scope="module")
def answers(cluster: Lake) -> dict[int, list[dict[str, Any]]]:
    with duckdb.connect(str(cluster.root / NAME), read_only=True) as con:
        found = {}
        for number, sql in questions().items():
            result = con.execute(sql)
            names = [column[0] for column in result.description]
            found[number] = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        return found


def test_each_has_an_answer_and_each_column_says_something(
    answers: dict[int, list[dict[str, Any]]],
) -> None:
    for number, rows in answers.items():
        assert rows, number
        silent = {name for name in rows[0] if all(row[name] is None for row in rows)}
        # nothing ran unseen in this lake
        assert silent <= ({"unattributed_kwh"} if number == 6 else set()), number


def test_the_answers_are_right(answers: dict[int, list[dict[str, Any]]]) -> None:
    """Against plain arithmetic on the powers and rates of the small cluster."""
    first = {(r["model"], r["workload"]): r for r in answers[1]}
    # A for 400 s and C for 343 s less 30 unseen; hosts by device time; PUE 1.25
    gpu_j = 601 * 400 + 503 * 313
    host_j = 400 * 400 / 2 + 400 * 343
    kwh = (gpu_j + host_j) * 1.25 / (97 * 400) / 3.6
    assert first["big", "inference"]["kwh_per_million"] == pytest.approx(kwh, abs=1e-4)

    billed = {r["account"]: r for r in answers[2]}
    own = (gpu_j + 350 * 153 + host_j + 400 * 153 / 2) * 1.25 / 3.6e6
    assert billed["web"]["own_kwh"] == pytest.approx(own, abs=1e-4)
    assert billed["web"]["billed_kwh"] > billed["web"]["own_kwh"]
    # All that the boards drew and the hosts of three nodes; PUE 1.25.
    bill = ((601 + 350 + 503 + 287) * 400 - 503 * 30 + (400 + 400 + 301) * 400) * 1.25 / 3.6e6
    assert sum(r["billed_kwh"] for r in billed.values()) == pytest.approx(bill, abs=2e-4)

    everything = (601 + 350 + 503 + 287) * 400 - 503 * 30
    assert sum(r["kwh"] or 0 for r in answers[3]) == pytest.approx(everything / 3.6e6, abs=5e-5)
    (gap,) = [r for r in answers[3] if r["account"] == "gap"]
    assert gap["kwh"] is None
    assert gap["at_most"] == pytest.approx(30 * 700 / 3.6e6, abs=1e-5)

    assert answers[4][0]["watts"] == 601 + 350 + 503 + 287
    assert {(r["rack"], r["watts"]) for r in answers[5]} == {
        ("s/h1/p1/r1", 951.0),
        ("s/h1/p1/r2", 503.0),
        ("s/h2/p1/r1", 287.0),
    }

    idle = {r["node"]: r["share_without_job"] for r in answers[6]}
    assert idle["n3"] == pytest.approx(40 / 400)
    assert idle["n2"] == pytest.approx(57 / 400, abs=1e-3)
    assert [r["job_id"] for r in answers[7]] == ["both", "chat", "silent", "small", "train"]

    (train,) = [r for r in answers[8] if r["workload"] == "training"]
    assert train["joules_per_token"] == pytest.approx(287 / 1013, abs=1e-4)
    (h100,) = [r for r in answers[8] if r["model"] == "big"]
    assert (h100["estimate"], h100["joules_per_token"]) == (
        True,
        pytest.approx(gpu_j / (97 * 400), abs=1e-4),
    )

    compared = {r["figure"]: r for r in answers[9]}
    assert compared["tokens"]["ratio"] == pytest.approx(31 * 150 / (97 * 400), abs=1e-4)

    unseen = {r["node"]: r for r in answers[10]}
    assert unseen["n2"]["coverage"] == pytest.approx(370 / 400)
    assert unseen["n2"]["longest_gap_s"] == 30.0
    assert unseen["n1"]["coverage"] == 1.0

    day = {r["workload"]: r for r in answers[11]}
    assert day["inference"]["n_tokens"] == 97 * 400 + 31 * 150 + 11 * 60
    assert "uncounted" in day["inference"]["reason_codes"]
    assert day["training"]["joules_per_token"] == pytest.approx((287 + 301) * 1.25 / 1013, abs=1e-4)
    assert [r["n_tokens"] for r in answers[12]] == [97 * 200 + 31 * 150 + 11 * 60, 97 * 200]


def test_tokenergy_query_gives_the_same(
    cluster: Lake, answers: dict[int, list[dict[str, Any]]]
) -> None:
    for number, sql in questions().items():
        out = io.StringIO()
        run_query(cluster, sql, Output("csv"), out)
        names, *rows = csv.reader(io.StringIO(out.getvalue()))
        assert names == list(answers[number][0]), number
        assert len(rows) == len(answers[number])


_INDEX = "from tokenergy_sql.cli import main; main()"

Client = Callable[[Path, str], None]
_BY_PYTHON = (
    "import duckdb, sys\n"
    "con = duckdb.connect(sys.argv[1], read_only=True)\n"
    "for sql in sys.stdin.read().split(';'):\n"
    "    if sql.strip(): print(con.execute(sql).fetchall())\n"
)


REPLACED = ("Invalid data", "know what type", "outside file", "No such file")
"""What DuckDB says where a file is replaced between planning a statement and reading the file."""


def by_module(catalog: Path, script: str) -> None:
    with duckdb.connect(str(catalog), read_only=True) as con:
        for sql in script.split(";"):
            while sql.strip():
                try:
                    assert con.execute(sql).fetchall()
                    break
                except duckdb.Error as error:
                    if not any(words in str(error) for words in REPLACED):
                        raise


def by_process(catalog: Path, script: str) -> None:
    """Plain DuckDB in a process of its own: its command-line client, or else its module."""
    client = shutil.which("duckdb", path=f"{Path(sys.executable).parent}") or shutil.which("duckdb")
    words = (
        [client, "-readonly", "-bail", "-csv", str(catalog)]
        if client
        else [sys.executable, "-c", _BY_PYTHON, str(catalog)]
    )
    while True:
        done = subprocess.run(words, input=script, capture_output=True, text=True, timeout=120)
        if done.returncode == 0 or not any(said in done.stderr for said in REPLACED):
            break
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 12


CLIENTS = (by_module, by_process)


def ended(process: subprocess.Popen[bytes]) -> Callable[[], bool]:
    return lambda: process.poll() is not None


def rounds_until(ended: Callable[[], bool], client: Client, catalog: Path, script: str) -> int:
    """Ask again and again; return how many times all answers came before the end."""
    rounds = 0
    while not ended():
        client(catalog, script)
        rounds += not ended()
    return rounds


def test_while_the_index_replaces_files(cluster: Lake, tmp_path: Path) -> None:
    """Two clients ask at the same time, for as long as the index runs."""
    lake = Lake(shutil.copytree(cluster.root, tmp_path / "lake"))
    write_catalog(lake)
    catalog = lake.root / NAME
    script = ";\n".join(questions().values()) + ";\n"
    before = identities(lake)
    rounds = dict.fromkeys(CLIENTS, 0)
    for pue in ("1.30", "1.31"):
        period = f"[[period]]\nfrom = 2026-01-01T00:00:00Z\npue = {pue}\n"
        (lake.root / "site.toml").write_text(SITE + period)
        LakeBuilder(lake.root).job(f"reserved for {pue}", "D", END + 60 * S, None, node="n3")
        words = [sys.executable, "-c", _INDEX, "index", "--all", "--lake", str(lake.root)]
        with (
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as index,
            ThreadPoolExecutor() as pool,
        ):
            asking = {
                client: pool.submit(rounds_until, ended(index), client, catalog, script)
                for client in CLIENTS
            }
            for client, asked in asking.items():
                rounds[client] += asked.result()
            said = index.stdout.read().decode() if index.stdout else ""
        assert index.returncode == 0, said
        assert "2 of 2 hours derived" in said
    assert min(rounds.values()) >= 2
    for client in CLIENTS:
        client(catalog, script)
    after = identities(lake)
    replaced = {path.parts[-4:-3] for path in before if before[path] != after.get(path)}
    assert replaced == {("job_hour_index",), ("job_index",), ()}
    with duckdb.connect(str(catalog), read_only=True) as con:
        pue = con.execute(
            "SELECT max(e_facility_nj / (e_gpu_nj + e_host_nj)) FROM job_index"
        ).fetchone()
        assert pue is not None
        assert math.isclose(pue[0], 1.31, abs_tol=1e-6)


def identities(lake: Lake) -> dict[Path, tuple[int, int]]:
    files = [*lake.files("job_hour_index"), *lake.files("job_index"), lake.root / NAME]
    stats = {path.relative_to(lake.root): path.stat() for path in files}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items()}
