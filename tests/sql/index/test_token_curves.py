"""What few counters need is left out where none needs it: the answer is the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.counting import GROWTH, every_ten
from tests.support.lakes import T0, LakeBuilder, S
from tokenergy_sql.catalog.duck import open_memory
from tokenergy_sql.catalog.views import UNITS, define
from tokenergy_sql.index import tokencurves
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.tokencounting import OF_SEVERAL
from tokenergy_sql.index.tokens import Usage
from tokenergy_sql.index.usagekept import FOLDER


@pytest.fixture
def builder(tmp_path: Path) -> LakeBuilder:
    found = LakeBuilder(tmp_path / "lake")
    for number, job in enumerate("ab"):
        found.job(job, job, T0, T0 + 60 * S)
        found.tokens(job, every_ten([n + number for n in GROWTH]), source_id=job)
    return found


def answers(builder: LakeBuilder) -> tuple[Any, ...]:
    shutil.rmtree(builder.lake.root / FOLDER, ignore_errors=True)
    found = Usage.of(builder.lake)
    tables = [found.rows, found.by_job, found.known, found.of_jobs]
    return tuple((table.schema, sorted(map(repr, table.to_pylist()))) for table in tables)


def always(*_: object) -> bool:
    return True


def test_counters_that_only_grow_do_without(
    builder: LakeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = answers(builder)
    monkeypatch.setattr(tokencurves, "any_row", always)
    assert answers(builder) == without
    # A fall without a start: were its models left out, it would count nothing.
    builder.tokens("a", every_ten([600, 50, 100, 150, 200, 250, 300]), source_id="fell")
    with_fall = answers(builder)
    assert with_fall != without
    monkeypatch.setattr(tokencurves, "any_row", lambda *_: False)
    assert answers(builder) != with_fall


def test_tables_without_rows_have_the_columns_of_their_models() -> None:
    with open_memory() as con:
        define(con, UNITS)
        con.execute(
            "CREATE TABLE token_seen (counter BIGINT, run INTEGER, ts_us BIGINT, value BIGINT, "
            "quantum BIGINT, skipped BOOLEAN, peak DOUBLE, since_us BIGINT)"
        )
        tokencurves.build(con, ("token_start", "token_stretch", "token_moved"))
        con.execute(
            "CREATE TABLE token_process (counter BIGINT, number BIGINT, process BIGINT, "
            "first_us BIGINT, last_us BIGINT, dead_us BIGINT)"
        )
        for name, columns in OF_SEVERAL.items():
            con.execute(f"CREATE TABLE said ({columns})")
            con.execute(f"CREATE TABLE made AS {model_text(name)}")
            said, made = (con.table(table) for table in ("said", "made"))
            assert (said.columns, said.types) == (made.columns, made.types), name
            con.execute("DROP TABLE said; DROP TABLE made")
