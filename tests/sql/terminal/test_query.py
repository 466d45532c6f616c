"""Ad-hoc questions: the three forms, empty answers, macros, views over an empty lake, the site."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.lakes import T0, LakeBuilder, S, level
from tests.support.ledger import ask
from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_sql.index.site import load_site
from tokenergy_sql.terminal.output import Output
from tokenergy_sql.terminal.query import run_query


def answer(lake: Lake, sql: str, output_format: str) -> str:
    out = io.StringIO()
    run_query(lake, sql, Output(output_format), out)
    return out.getvalue()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Nobody who takes it changes it."""
    builder = LakeBuilder(tmp_path_factory.mktemp("query") / "it's a lake")
    builder.device("A")
    builder.power("A", level(100_000, T0, T0 + 2 * S))
    builder.job('j, "quoted"', "A", T0, T0 + S)
    return builder.build()


def test_csv(lake: Lake) -> None:
    text = answer(lake, "SELECT job_id, e_gpu_j, n_generated FROM job_index", "csv")
    assert list(csv.reader(io.StringIO(text))) == [
        ["job_id", "e_gpu_j", "n_generated"],
        ['j, "quoted"', "100.0", ""],
    ]


def test_json(lake: Lake) -> None:
    text = answer(lake, "SELECT job_id, n_generated, utc(start_us) AS t FROM job_index", "json")
    assert json.loads(text) == [
        {"job_id": 'j, "quoted"', "n_generated": None, "t": "2026-01-15 08:00:00"}
    ]


def test_table(lake: Lake) -> None:
    lines = answer(lake, "SELECT 1 AS one, NULL AS nil, '[b]x' AS t", "table").splitlines()
    assert lines[0].split() == ["one", "┃", "nil", "┃", "t"]
    assert lines[2].replace(" ", "") == "1││[b]x"
    assert lines[-1].strip() == "1 row"


def test_no_rows(lake: Lake) -> None:
    assert answer(lake, "SELECT 1 AS a WHERE false", "json") == "[]\n"
    assert answer(lake, "SELECT 1 AS a WHERE false", "csv") == "a\n"


def test_every_table_is_a_view_even_of_an_empty_lake(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, table in TABLES.items():
        text = answer(Lake(tmp_path / "empty"), f"FROM {name}", "csv")
        assert text == ",".join(table.column_names) + "\n"


def test_types_of_the_views_are_the_contracts(lake: Lake) -> None:
    empty = ask(lake, "SELECT typeof(e_gpu_nj) t, typeof(emulated) e FROM job_index")
    assert empty == [{"t": "DECIMAL(38,0)", "e": "BOOLEAN"}]


def test_a_device_is_what_it_was_last_found_to_be(tmp_path: Path) -> None:
    builder = LakeBuilder(tmp_path / "lake")
    builder.device("A", limit_mw=700_000)
    builder.device("A", limit_mw=400_000, ts_us=T0 + S)
    assert ask(builder.lake, "SELECT limit_mw FROM device_now") == [{"limit_mw": 400_000}]


def test_the_site_file(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("[site]\npue = 1.234567\nhost_w = 900.5\n[nodes.n2]\nhost_w = 7.0\n")
    for site in (load_site(path, tmp_path / "x"), load_site(None, tmp_path)):
        assert site.pue_ppm == 1_234_567
        hosts = site.undated()
        assert (hosts.host_of("n1"), hosts.host_of("n2")) == (900_500, 7_000)
    nothing = load_site(None, tmp_path / "x")
    assert (nothing.pue_ppm, nothing.undated().host_of("n1")) == (None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[site]\npeu = 1.2\n", "unknown key 'peu'"),
        ("[site]\npue = 0.9\n", "site.pue"),
        ("[nodes.n1]\nhost_w = -1.0\n", "nodes.n1.host_w"),
        ("[nodes]\nn1 = 5\n", "nodes.n1"),
        ("[[period]]\npue = 1.2\n", "period.0.from"),
        ("[[period]]\nfrom = 2026-02-01T00:30:00Z\n", "expected the beginning of an hour in UTC"),
        ("[[period]]\nfrom = 1999-12-31T23:00:00Z\n", "from 2000 to 2099"),
        ("[[period]]\nfrom = 2026-02-01T00:00:00Z\nwatts = 1\n", "allowed: from, pue, host_w"),
        ("[[period]]\nfrom = 2026-02-01T00:00:00Z\n" * 2, "have the same `from`"),
    ],
)
def test_a_bad_site_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_site(path, tmp_path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
